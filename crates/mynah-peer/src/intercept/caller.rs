//! A caller with interceptors around it.

use super::{Interceptor, Interceptors};
use crate::call::{Caller, delegate_to};
use std::sync::Arc;

/// A [`Caller`] with an interceptor around every call that is made through it: for a pool, a mock, whatever is no
/// [`Peer`](crate::Peer) (which has [`Peer::with_interceptor`](crate::Peer::with_interceptor)). Those that the caller has already come later.
#[derive(Clone, Debug)]
pub struct Intercepted<C> {
    caller: C,
    chain: Arc<Interceptors>,
}

impl<C: Caller> Intercepted<C> {
    /// A caller with an interceptor around it.
    #[must_use]
    pub fn new(caller: C, interceptor: impl Interceptor) -> Self {
        let own = Interceptors::with(None, interceptor);
        let chain = Interceptors::joined(&own, caller.interceptors());
        Self { caller, chain }
    }

    /// The caller.
    #[must_use]
    pub const fn caller(&self) -> &C {
        &self.caller
    }
}

impl<C: Caller> Caller for Intercepted<C> {
    delegate_to!(caller:
        poll_format poll_begin poll_notify poll_reply poll_items taken window poll_accepted cancel default_timeout
        deadline trace carries_metadata in_process runtime own_runtime peer reconnects send_again poll_connected
        maps_codes
    );

    fn interceptors(&self) -> Option<&Arc<Interceptors>> {
        Some(&self.chain)
    }
}
