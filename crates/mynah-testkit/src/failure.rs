//! What came of a case.

use mynah_protocol::TransportError;
use std::fmt;

/// Why a case failed, as a sentence for whoever wrote the transport or dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    what: Box<str>,
}

/// What a case that passed has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shown {
    /// What the case is about holds.
    Holds,
    /// It is carried: it reaches the other side.
    Carried,
    /// The wire has no word for it; the caller's side keeps it alone.
    Kept,
    /// The wire has no word for it, and what needs it fails where it is made.
    Refused,
}

impl Shown {
    /// The word that stands for it in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Carried => "carried",
            Self::Kept => "kept",
            Self::Refused => "refused",
        }
    }
}

/// What came of a case.
pub(crate) type Verdict = Result<Shown, Failure>;

impl Failure {
    /// A failure that says what was seen.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into().into_boxed_str(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::new(error.chain())
    }
}

/// Says what was attempted when something failed.
pub(crate) trait Because<T> {
    fn because(self, attempted: &str) -> Result<T, Failure>;
}

impl<T, E: fmt::Debug> Because<T> for Result<T, E> {
    fn because(self, attempted: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{attempted}: {error:?}")))
    }
}

impl<T> Because<T> for Option<T> {
    fn because(self, attempted: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::new(attempted))
    }
}

/// Holds something against what must be.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::new(otherwise()))
    }
}
