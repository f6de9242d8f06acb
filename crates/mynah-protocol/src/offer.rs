//! What a server offers, as its listeners are told before they accept.

use crate::Limits;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What a server offers. A listener that is found by address has no use for it; a broker's has to know which services
/// to read for.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Offer {
    /// The services, by name, each once. Methods without a service are not among them.
    pub services: Vec<OfferedService>,
    /// The limits of the connections that the listener will bring.
    pub limits: Limits,
}

/// One service of an [`Offer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferedService {
    /// Its name, not empty.
    pub name: Box<str>,
    /// The hash of its contract, 32 bytes: where the server announces its contracts.
    pub contract: Option<Box<[u8]>>,
}

impl Offer {
    /// An offer of nothing, within these limits.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            services: Vec::new(),
            limits,
        }
    }

    /// Adds a service, unless it is there.
    #[must_use]
    pub fn with_service(mut self, name: impl Into<Box<str>>, contract: Option<Box<[u8]>>) -> Self {
        let name = name.into();
        if !self.services.iter().any(|known| known.name == name) {
            self.services.push(OfferedService { name, contract });
        }
        self
    }
}
