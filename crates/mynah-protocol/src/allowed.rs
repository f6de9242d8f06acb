//! The methods that a peer may call, as what lets it in says.

use crate::{Evidence, EvidenceKey, MethodName, Value};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The most patterns of one list.
const MAX_PATTERNS: usize = 64;

/// The most bytes of one pattern: as long as a name may be by default.
const MAX_PATTERN_BYTES: usize = 256;

/// Which methods a peer may call: a list of patterns, written `arith.*,clock.now`.
///
/// | pattern | what may be called |
/// |---|---|
/// | `service.method` | that method |
/// | `service.*` | each method of that service; `service.get*` those that begin so. The `*` stands at the end, for anything without a dot |
/// | `method` | a method without a service |
/// | `*` | everything |
///
/// A transport that knows what its peer may do says so as the fact [`EvidenceKey::METHODS`]. The side that answers then
/// refuses everything else before its handler, with [`PERMISSION_DENIED`](crate::ErrorCode::PERMISSION_DENIED), and
/// describes itself without it. The topics of events are held against the same patterns.
///
/// Shape: as many patterns as were written, in their order; no pattern at all allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedMethods {
    patterns: Vec<Box<str>>,
}

/// Why a list of patterns is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing between two commas, or nothing at all.
    #[error("a pattern is empty")]
    Empty,
    /// A `*` that is not at the end.
    #[error("`*` may only stand at the end of a pattern")]
    Star,
    /// A character that no name of a method has.
    #[error("a pattern has a blank, a quote or a control character")]
    Character,
    /// A pattern is too long, or there are too many.
    #[error("more than {MAX_PATTERNS} patterns, or one of more than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
}

impl AllowedMethods {
    /// What is allowed to the peer that this is known of. `None`: it does not say, so everything is.
    ///
    /// A fact that cannot be understood allows nothing.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Option<Self> {
        let fact = evidence.fact(EvidenceKey::METHODS)?;
        let patterns = match fact {
            Value::Array(patterns) => patterns.iter().map(|one| pattern(one.as_str()?)).collect(),
            _ => None,
        };
        Some(Self {
            patterns: patterns.unwrap_or_default(),
        })
    }

    /// Whether a method may be called.
    #[must_use]
    pub fn allows(&self, name: &MethodName<'_>) -> bool {
        self.patterns
            .iter()
            .any(|pattern| matches(pattern, &name.service, &name.method))
    }

    /// Whether events of a topic may be subscribed to and emitted.
    #[must_use]
    pub fn allows_topic(&self, topic: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| matches(pattern, "", topic))
    }

    /// The fact to be put under [`EvidenceKey::METHODS`].
    #[must_use]
    pub fn to_value(&self) -> Value {
        let patterns = self.patterns.iter();
        Value::Array(patterns.map(|one| Value::from(&**one)).collect())
    }
}

impl FromStr for AllowedMethods {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        for one in text.split(',') {
            check(one)?;
            if patterns.len() == MAX_PATTERNS {
                return Err(PatternError::TooLong);
            }
            patterns.push(one.into());
        }
        Ok(Self { patterns })
    }
}

impl fmt::Display for AllowedMethods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.patterns.iter().enumerate() {
            write!(f, "{}{pattern}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn pattern(text: &str) -> Option<Box<str>> {
    check(text).ok().map(|()| text.into())
}

fn check(text: &str) -> Result<(), PatternError> {
    let odd = |char: char| char.is_whitespace() || char.is_control() || matches!(char, '"' | '\'');
    let before_star = text.strip_suffix('*').unwrap_or(text);
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > MAX_PATTERN_BYTES {
        return Err(PatternError::TooLong);
    }
    if before_star.contains('*') {
        return Err(PatternError::Star);
    }
    if text.contains(odd) || text.contains(',') {
        return Err(PatternError::Character);
    }
    Ok(())
}

fn matches(pattern: &str, service: &str, method: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (begin, open) = match pattern.strip_suffix('*') {
        Some(begin) => (begin, true),
        None => (pattern, false),
    };
    let name: String = if service.is_empty() {
        method.into()
    } else {
        [service, method].join(".")
    };
    match name.strip_prefix(begin) {
        Some(rest) if open => !rest.contains('.'),
        Some(rest) => rest.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
