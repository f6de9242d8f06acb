//! A caller with interceptors around it.

use super::{Interceptor, Interceptors};
use crate::call::{Attempt, Caller, OutgoingCall, SideEffects, Ticket, WireFormat};
use crate::encoded::ReplyBuffer;
use crate::error::CallError;
use crate::local::InProcess;
use crate::peer::Peer;
use crate::trace::TraceContext;
use mynah_protocol::{CancelReason, RpcError, Window};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A [`Caller`] with an interceptor around every call that is made through it: for a pool, a mock, whatever is no
/// [`Peer`] (which has [`Peer::with_interceptor`]). Those that the caller has already come later.
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
    fn poll_format(&self, cx: &mut task::Context<'_>) -> Poll<Result<WireFormat, CallError>> {
        self.caller.poll_format(cx)
    }

    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        self.caller.poll_begin(cx, call)
    }

    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        self.caller.poll_notify(cx, call)
    }

    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut ReplyBuffer,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallError<RpcError>>> {
        self.caller.poll_reply(cx, ticket, reply, sides)
    }

    fn poll_items(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        batch: &mut Vec<u8>,
        taken: Window,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<bool, CallError<RpcError>>> {
        self.caller.poll_items(cx, ticket, batch, taken, sides)
    }

    fn taken(&self, ticket: Ticket, taken: Window) {
        self.caller.taken(ticket, taken);
    }

    fn window(&self) -> Option<Window> {
        self.caller.window()
    }

    fn poll_accepted(&self, cx: &mut task::Context<'_>, ticket: Ticket) -> Poll<()> {
        self.caller.poll_accepted(cx, ticket)
    }

    fn cancel(&self, ticket: Ticket, reason: CancelReason) {
        self.caller.cancel(ticket, reason);
    }

    fn default_timeout(&self) -> Option<Duration> {
        self.caller.default_timeout()
    }

    fn deadline(&self) -> Option<Instant> {
        self.caller.deadline()
    }

    fn interceptors(&self) -> Option<&Arc<Interceptors>> {
        Some(&self.chain)
    }

    fn trace(&self) -> Option<&TraceContext> {
        self.caller.trace()
    }

    fn carries_metadata(&self) -> bool {
        self.caller.carries_metadata()
    }

    fn in_process(&self) -> Option<&InProcess> {
        self.caller.in_process()
    }

    fn peer(&self) -> Option<Peer> {
        self.caller.peer()
    }

    fn reconnects(&self) -> bool {
        self.caller.reconnects()
    }

    fn send_again(&self, error: &CallError<RpcError>, attempt: Attempt) -> Option<Duration> {
        self.caller.send_again(error, attempt)
    }

    fn poll_connected(&self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        self.caller.poll_connected(cx)
    }

    fn maps_codes(&self) -> bool {
        self.caller.maps_codes()
    }
}
