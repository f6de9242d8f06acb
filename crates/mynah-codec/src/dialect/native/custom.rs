//! Bodies in a format of the program's own.

use super::{NAME, Native, NativeWire};
use crate::dialect::{Dialect, Side};
use crate::format::CustomFormat;
use crate::{Wire, WireError};
use mynah_protocol::{FormatId, Hello, Limits};

/// The native dialect with bodies in a format of the program's own. Made by [`Native::custom`].
///
/// Heads, and what the wire says itself, errors among it, are in CBOR. Both ends must have the format under the same
/// number; a side that accepts speaks the built-in formats as well.
#[derive(Clone, Copy, Debug)]
pub struct CustomNative {
    format: &'static dyn CustomFormat,
}

impl Native {
    /// The native dialect with bodies in a format of the program's own, which the other side has under the same number.
    #[must_use]
    pub const fn custom(format: &'static dyn CustomFormat) -> CustomNative {
        CustomNative { format }
    }
}

impl Dialect for CustomNative {
    fn name(&self) -> &'static str {
        NAME
    }

    fn wire(&self, side: Side, limits: &Limits) -> Box<dyn Wire> {
        let wire = match side {
            Side::Dial => NativeWire::dial(FormatId::Other(self.format.id()), limits),
            Side::Accept => NativeWire::accept(limits),
        };
        Box::new(wire.with_custom(self.format))
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }
}

impl NativeWire {
    /// The same with a format of the program's own, which is spoken where its number is asked for.
    #[must_use]
    pub const fn with_custom(mut self, format: &'static dyn CustomFormat) -> Self {
        self.custom = Some(format);
        self
    }

    /// Whether the peer means the same format where none of the built-in ones is spoken.
    pub(super) fn check_custom(&self, hello: &Hello<'_>) -> Result<(), WireError> {
        let FormatId::Other(ours) = self.profile.format else {
            return Ok(());
        };
        let theirs = hello.more.as_ref().and_then(|more| more.format);
        if theirs == Some(ours.into()) {
            return Ok(());
        }
        let theirs = theirs.map_or_else(
            || "no format".to_owned(),
            |number| format!("format {number}"),
        );
        Err(WireError::Handshake {
            dialect: NAME,
            detail: format!("peer's bodies are in {theirs}, this side's in format {ours}"),
        })
    }
}
