//! The callbacks that a peer may call.

use crate::handler::Method;
use mynah_protocol::{CALLBACK_SERVICE, MethodName};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The callbacks of one connection that the peer may call.
#[derive(Default)]
pub(crate) struct CallbackTable {
    open: Mutex<HashMap<u64, Arc<dyn Method>>>,
    /// The highest number that was ever open.
    highest: AtomicU64,
}

impl CallbackTable {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<dyn Method>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn insert(&self, number: u64, method: Arc<dyn Method>) {
        self.highest.fetch_max(number, Ordering::Relaxed);
        self.lock().insert(number, method);
    }

    /// Whether a name that calls nothing may be that of a callback which was open once.
    pub(crate) fn is_over(&self, name: &MethodName<'_>) -> bool {
        let number = |method: &str| method.parse::<u64>().ok();
        name.service == CALLBACK_SERVICE
            && number(&name.method).is_some_and(|it| it <= self.highest.load(Ordering::Relaxed))
    }

    /// What a name calls, if it is a callback that is open.
    pub(crate) fn find(&self, name: &MethodName<'_>) -> Option<Arc<dyn Method>> {
        if name.service != CALLBACK_SERVICE {
            return None;
        }
        let number = name.method.parse().ok()?;
        self.lock().get(&number).cloned()
    }

    /// Whether the callback of a number is open.
    pub(crate) fn is_open(&self, number: &str) -> bool {
        let number = number.parse::<u64>();
        number.is_ok_and(|number| self.lock().contains_key(&number))
    }

    /// Not under the connection's lock: the functions of the user are dropped here.
    pub(crate) fn revoke(&self, numbers: &[u64]) {
        for number in numbers {
            let revoked = self.lock().remove(number);
            drop(revoked);
        }
    }
}
