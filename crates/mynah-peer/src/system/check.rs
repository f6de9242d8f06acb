//! Whether a contract of this side still fits the other side's.

use crate::error::CallError;
use mynah_contract::{Change, Comparison, Contract, Manifest};
use std::fmt;

/// A type that the macro made of a service: it knows the contract.
///
/// `ArithClient` and `ArithService` both do. Nothing is made before it is asked for.
pub trait Contracted {
    /// The contract of the service: its methods and events as they were declared.
    fn contract() -> Contract;
}

/// Why a client cannot rely on what it was compiled with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CheckError {
    /// The other side has another contract, at which this client fails.
    Drift(Comparison),
    /// The other side has no such service, or does not show it.
    Absent(String),
    /// The other side cannot be asked.
    Call(CallError),
}

/// `own` is held for the old contract: what matters is whether its clients fail at the other one's servers.
pub(super) fn held_against(own: &Contract, theirs: &Manifest) -> Result<Comparison, CheckError> {
    let Some(theirs) = theirs.contract(own.name()) else {
        return Err(CheckError::Absent(own.name().to_owned()));
    };
    let comparison = Comparison::of_contracts(own, theirs);
    if comparison.changes().iter().any(Change::breaks_old_clients) {
        return Err(CheckError::Drift(comparison));
    }
    Ok(comparison)
}

impl From<CallError> for CheckError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift(comparison) => {
                f.write_str("the other side has another contract")?;
                let changes = comparison.changes().iter();
                let mut breaking = changes.filter(|change| change.breaks_old_clients());
                if let Some(change) = breaking.next() {
                    write!(f, ": {change}")?;
                }
                match breaking.count() {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
            Self::Absent(service) => {
                write!(
                    f,
                    "the other side shows no service \"{}\"",
                    service.escape_debug()
                )
            }
            Self::Call(_) => f.write_str("the other side cannot be asked for its contract"),
        }
    }
}

impl std::error::Error for CheckError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => Some(error),
            Self::Drift(_) | Self::Absent(_) => None,
        }
    }
}
