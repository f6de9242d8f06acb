//! What is wrong with a value, and where.

use std::borrow::Cow;
use std::fmt;

/// One step on the way to a part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The field, parameter or key of this name.
    Name(Cow<'static, str>),
    /// The element of this number, counted from 0.
    Index(usize),
}

/// One thing that is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Where, from the outside in; empty for the whole.
    pub at: Vec<Step>,
    /// Which kind of fault, for programs: `missing_field`, `too_large`.
    pub kind: Cow<'static, str>,
    /// What is wrong, for people.
    pub message: String,
}

impl Fault {
    /// A fault of the whole or of a part.
    #[must_use]
    pub fn new(
        at: Vec<Step>,
        kind: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            at,
            kind: kind.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.at.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) if number == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
            }
        }
        if !self.at.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}
