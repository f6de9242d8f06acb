//! Values by their type: those of a connection, and those that all share.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// One value of each type. Costs nothing until there is one.
#[derive(Default)]
pub(crate) struct States(OnceLock<Box<Mutex<Values>>>);

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

impl States {
    fn lock(&self) -> MutexGuard<'_, Values> {
        let values = self.0.get_or_init(Box::default);
        values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, of: TypeId) -> bool {
        self.0.get().is_some() && self.lock().contains_key(&of)
    }

    /// The value of a type, if there is one.
    pub(crate) fn find<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get()?;
        let value = self.lock().get(&TypeId::of::<T>()).cloned();
        value?.downcast().ok()
    }

    /// Puts a value in the place of another of its type, which comes back.
    pub(crate) fn set<T: Send + Sync + 'static>(&self, value: Arc<T>) -> Option<Arc<T>> {
        let old = self.lock().insert(TypeId::of::<T>(), value);
        old?.downcast().ok()
    }

    /// Takes over the values of another, as far as it has none of their types.
    pub(crate) fn take_over(&self, other: &Self) {
        if other.0.get().is_none() {
            return;
        }
        let values = other.lock().clone();
        let mut own = self.lock();
        for (of, value) in values {
            own.entry(of).or_insert(value);
        }
    }

    /// The value of a type, made when there is none.
    pub(crate) fn find_or_default<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        if let Some(value) = self.find() {
            return value;
        }
        // Code of the user, and so not under the lock: of two who make one at the same time, the first has it.
        let made: Arc<T> = Arc::default();
        let mut values = self.lock();
        let kept = values.entry(TypeId::of::<T>()).or_insert_with(|| {
            let kept: Arc<T> = Arc::clone(&made);
            kept
        });
        let kept = Arc::clone(kept);
        drop(values);
        kept.downcast().unwrap_or(made)
    }
}
