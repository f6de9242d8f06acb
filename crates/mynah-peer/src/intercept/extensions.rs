//! Values that interceptors leave for handlers.

use std::any::{Any, TypeId};
use std::fmt;

/// Values by their type, at most one of each. Empty costs nothing.
#[derive(Default)]
pub struct Extensions {
    // A handful at most: a list is found through faster than a map.
    values: Vec<(TypeId, Box<dyn Any + Send + Sync>)>,
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("len", &self.values.len())
            .finish()
    }
}

impl Extensions {
    /// No values.
    #[must_use]
    pub const fn new() -> Self {
        Self { values: Vec::new() }
    }

    /// Adds a value, in place of the one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.put(TypeId::of::<T>(), Box::new(value));
    }

    fn put(&mut self, of: TypeId, value: Box<dyn Any + Send + Sync>) {
        match self.values.iter_mut().find(|(known, _)| *known == of) {
            Some((_, old)) => *old = value,
            None => self.values.push((of, value)),
        }
    }

    /// The value of a type.
    #[must_use]
    pub fn value<T: 'static>(&self) -> Option<&T> {
        let of = TypeId::of::<T>();
        let (_, value) = self.values.iter().find(|(known, _)| *known == of)?;
        value.downcast_ref()
    }

    /// Takes over the values of another.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (of, value) in other.values {
            self.put(of, value);
        }
    }
}
