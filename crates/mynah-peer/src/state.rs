//! Values that a program keeps for one connection.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Value = Arc<dyn Any + Send + Sync>;

/// Values by their type, at most one of each, for as long as a connection lives.
#[derive(Default)]
pub(crate) struct ConnectionState {
    // A handful at most: a list is found through faster than a map.
    values: Mutex<Vec<(TypeId, Value)>>,
}

impl fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionState")
            .field("len", &self.lock().len())
            .finish()
    }
}

impl ConnectionState {
    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Value)>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the value of a type, in place of the one before.
    pub(crate) fn set<T: Send + Sync + 'static>(&self, value: T) {
        let of = TypeId::of::<T>();
        let value: Value = Arc::new(value);
        let mut values = self.lock();
        let known = values.iter_mut().find(|(known, _)| *known == of);
        // What it replaces is code of the user, and goes after the lock.
        let replaced = match known {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                values.push((of, value));
                None
            }
        };
        drop(values);
        drop(replaced);
    }

    /// The value of a type.
    pub(crate) fn value<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let of = TypeId::of::<T>();
        let values = self.lock();
        let (_, value) = values.iter().find(|(known, _)| *known == of)?;
        Arc::clone(value).downcast().ok()
    }
}
