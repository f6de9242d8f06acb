//! Functions of this process that callbacks stand for.

use super::NoReply;
use mynah_protocol::RpcError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

pub(super) type Reply<R> = Pin<Box<dyn Future<Output = Result<R, RpcError>> + Send>>;

/// A function of this process, typed.
pub(super) trait Function<A, R>: Send + Sync {
    fn call(&self, value: A) -> Reply<R>;
    fn tell(&self, value: A);
}

/// Tells something.
pub(super) struct Teller<F>(pub(super) Mutex<F>);

impl<A, F: FnMut(A) + Send> Function<A, NoReply> for Teller<F> {
    fn call(&self, value: A) -> Reply<NoReply> {
        self.tell(value);
        Box::pin(std::future::pending())
    }

    fn tell(&self, value: A) {
        // A closure that panicked goes on with the next value, as a handler does.
        let mut function = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        function(value);
    }
}

/// Asks for something.
pub(super) struct Asker<F>(pub(super) F);

impl<A, R, F, U> Function<A, R> for Asker<F>
where
    F: Fn(A) -> U + Send + Sync,
    U: Future<Output = Result<R, RpcError>> + Send + 'static,
{
    fn call(&self, value: A) -> Reply<R> {
        Box::pin((self.0)(value))
    }

    fn tell(&self, _value: A) {}
}
