//! What generated mocks stand on.

use crate::events::Events;
use crate::handler::Service;
use crate::peer::Peer;
use crate::router::Router;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was called on a mock, and what of it nobody expected. Shared by its clones.
#[derive(Clone)]
pub struct MockCalls {
    shared: Arc<Shared>,
}

struct Shared {
    mock: &'static str,
    events: Events,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    calls: Vec<&'static str>,
    unexpected: Vec<&'static str>,
}

impl fmt::Debug for MockCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.shared.mock)
            .field(&self.shared.lock().calls)
            .finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MockCalls {
    /// Nothing was called yet. `mock` is the name of the type, for what it says.
    #[must_use]
    pub fn new(mock: &'static str) -> Self {
        Self {
            shared: Arc::new(Shared {
                mock,
                events: Events::new(),
                book: Mutex::default(),
            }),
        }
    }

    /// Notes a call.
    pub fn note(&self, method: &'static str) {
        self.shared.lock().calls.push(method);
    }

    /// Notes that a method was called for which the test has given nothing.
    ///
    /// # Panics
    /// Always: the caller hears of an internal error, and the end of the mock tells the test.
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    pub fn unexpected(&self, method: &'static str) -> ! {
        self.shared.lock().unexpected.push(method);
        panic!("{}", unexpected(self.shared.mock, &[method]));
    }

    /// The methods that were called, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<&'static str> {
        self.shared.lock().calls.clone()
    }

    /// What the mock publishes.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// A peer that is this mock.
    ///
    /// # Panics
    /// When a name of its methods cannot stand on a wire, which the macro refuses.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn serve(&self, service: impl Service) -> Peer {
        let router = Router::new()
            .register(service)
            .with_events(self.shared.events.clone());
        Peer::of(router).expect("a service as the macro makes it")
    }
}

fn unexpected(mock: &str, methods: &[&str]) -> String {
    let methods = methods.join("`, `");
    format!("{mock}: `{methods}` was called, and the test has given nothing for it")
}

impl Drop for Shared {
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    fn drop(&mut self) {
        let book = std::mem::take(&mut *self.lock());
        if !book.unexpected.is_empty() && !std::thread::panicking() {
            panic!("{}", unexpected(self.mock, &book.unexpected));
        }
    }
}
