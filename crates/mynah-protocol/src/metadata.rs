//! Key-value pairs beside a request.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The entry of metadata that says which operation a call is a part of: a text that the caller chooses, new for each thing
/// to be done and the same when it asks for that again. A server that keeps outcomes answers the second call with the
/// outcome of the first.
pub const OPERATION_ID: &str = "operation-id";

/// Key-value pairs that travel beside the params of a request: trace context, tenant, whatever the
/// two programs agree on. Never evidence: the peer can send anything here.
///
/// Shape: texts, in the order in which they were added, a name at most once. Empty costs nothing
/// and allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    entries: Option<Box<Entries>>,
}

type Entries = Vec<(Box<str>, Box<str>)>;

impl Metadata {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: None }
    }

    /// Adds an entry, or replaces the one of the same name.
    pub fn insert(&mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) {
        let (name, value) = (name.into(), value.into());
        let entries = self.entries.get_or_insert_default();
        match entries.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => entries.push((name, value)),
        }
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .flat_map(|entries| entries.iter())
            .map(|(name, value)| (&**name, &**value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}
