//! The other side of a connection, for threads.

use super::desk::Desk;
use super::iter::Iter;
use super::runner::Runner;
use crate::call::{
    CallBuilder, Caller, CallerExt, OutgoingCall, ServiceClient, Ticket, delegate_to,
};
use crate::error::CallError;
use crate::events::Subscribe;
use crate::events::Subscription;
use futures_core::Stream;
use mynah_connection::CloseReason;
use mynah_protocol::{CancelReason, Evidence, RpcError, Window};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::runtime::Handle;

/// The other side of a connection, for threads: what an async program does with a [`Peer`](crate::Peer) and `.await`, a
/// synchronous one does with this and `.wait()`.
///
/// Typed clients are the same: `let arith: ArithClient<blocking::Peer> = peer.client();`, `arith.add(2, 3).wait()?`.
/// Cheap to clone and usable from any thread; several threads may wait at the same time. When the last one is dropped, what
/// waits is written and the connection is closed.
///
/// `C` is what it calls through: a peer, a [`Reconnecting`](crate::Reconnecting), or another [`Caller`].
pub struct Peer<C = crate::Peer> {
    // Before the runner: its drop is the end of the connection, which the runner sees through.
    caller: C,
    /// Where the callbacks of the one call that is made through this clone are done.
    desk: OnceLock<Arc<Desk>>,
    runner: Arc<Runner>,
}

impl<C: Clone> Clone for Peer<C> {
    fn clone(&self) -> Self {
        Self::with(self.caller.clone(), Arc::clone(&self.runner))
    }
}

impl<C> fmt::Debug for Peer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("blocking::Peer")
            .field("runner", &self.runner)
            .finish_non_exhaustive()
    }
}

impl<C> Peer<C> {
    pub(super) const fn with(caller: C, runner: Arc<Runner>) -> Self {
        Self {
            caller,
            desk: OnceLock::new(),
            runner,
        }
    }

    /// What a future opens, on a runtime of its own that is driven by whoever waits: `mynah::blocking::connect` in general.
    ///
    /// # Errors
    /// The outer one when there is no runtime or thread to be had, or within async code
    /// ([`io::ErrorKind::Unsupported`]); the inner one is that of the future.
    pub fn open<E>(opening: impl Future<Output = Result<C, E>>) -> io::Result<Result<Self, E>> {
        let runner = Runner::own()?;
        let opened = runner.open(opening);
        let opened = opened
            .map_err(|refused| io::Error::new(io::ErrorKind::Unsupported, refused.to_string()))?;
        Ok(opened.map(|caller| Self::with(caller, runner)))
    }

    /// What it calls through, for what needs no waiting.
    #[must_use]
    pub const fn caller(&self) -> &C {
        &self.caller
    }

    pub(super) const fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    pub(super) fn desk(&self) -> Option<&Arc<Desk>> {
        self.desk.get()
    }

    /// Waits for a future: for what has no form of its own here.
    ///
    /// # Errors
    /// [`CallError::Misuse`] within async code.
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output, CallError> {
        self.runner.wait_within(future)
    }

    /// A stream as an iterator.
    pub fn iter<S: Stream + Unpin>(&self, stream: S) -> Iter<S> {
        Iter::new(stream, Arc::clone(&self.runner), None)
    }
}

impl<C: Caller + Clone> Peer<C> {
    /// A typed client that calls through this peer.
    #[must_use]
    pub fn client<K: ServiceClient<Self>>(&self) -> K {
        K::from_caller(self.clone())
    }

    /// A call by name: [`CallerExt::call`], with `.wait()` on what is made of it, or `for` over its stream.
    pub fn call(
        &self,
        service: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> CallBuilder<Self> {
        CallerExt::call(self, service, method)
    }

    /// Subscribes to a topic of the other side, and is done when the other side has it in its books;
    /// [`wait`](Subscribe::wait) for it.
    pub fn subscribe<T>(&self, topic: impl Into<Box<str>>) -> Subscribe<T, Self> {
        Subscribe::new(self.clone(), topic)
    }

    /// The events of a topic of the other side, subscribed to when this is called: [`Peer::events`](crate::Peer::events).
    pub fn events<T>(&self, topic: impl Into<Box<str>>) -> Iter<Subscription<T, Self>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.iter(CallerExt::events(self, topic))
    }

    /// The events of all topics of the other side, each with its topic:
    /// [`Peer::events_any`](crate::Peer::events_any).
    pub fn events_any<T>(&self) -> Iter<Subscription<(String, T), Self>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.iter(CallerExt::events_any(self))
    }
}

impl Peer {
    /// What the transport knows about the other side. The peer cannot send any of it.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        self.caller.evidence()
    }

    /// Emits an event under a topic, whether the other side listens or not: [`Peer::emit`](crate::Peer::emit).
    ///
    /// # Errors
    /// As there.
    pub fn emit<T: Serialize + ?Sized>(&self, topic: &str, message: &T) -> Result<(), CallError> {
        self.caller.emit(topic, message)?;
        self.runner.stir();
        Ok(())
    }

    /// Hears what the other side emits under a topic, from now on: [`Peer::listen`](crate::Peer::listen).
    ///
    /// # Errors
    /// As there.
    pub fn listen<T: DeserializeOwned + Send + 'static>(
        &self,
        topic: &str,
    ) -> Result<Iter<Subscription<T>>, CallError> {
        self.caller.listen(topic).map(|heard| self.iter(heard))
    }

    /// Waits for the next event that the other side emits under a topic, no longer than `patience`.
    ///
    /// # Errors
    /// As [`Peer::wait_for`](crate::Peer::wait_for), and [`CallError::Misuse`] within async code.
    pub fn wait_for<T: DeserializeOwned + Send + 'static>(
        &self,
        topic: &str,
        patience: Duration,
    ) -> Result<T, CallError> {
        let event = self.caller.wait_for::<T>(topic)?.deadline(patience);
        self.wait(event.into_future())?
    }

    /// Closes the connection once what waits has been written.
    pub fn close(&self) {
        self.caller.close();
        self.runner.stir();
    }

    /// The same, and tells the other side why where its wire can say it:
    /// [`Peer::close_with`](crate::Peer::close_with).
    pub fn close_with(&self, reason: &RpcError) {
        self.caller.close_with(reason);
        self.runner.stir();
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.caller.is_closed()
    }

    /// Waits for the end of the connection.
    ///
    /// # Errors
    /// [`CallError::Misuse`] within async code.
    pub fn closed(&self) -> Result<CloseReason, CallError> {
        self.wait(self.caller.closed())
    }
}

impl crate::Peer {
    /// The same peer for a thread of this runtime that may block: a `#[blocking]` handler, `tokio::task::spawn_blocking`.
    /// Its calls end with the connection, and so do those who wait for them.
    ///
    /// # Errors
    /// [`CallError::Misuse`] on a thread that knows of no runtime: use
    /// [`blocking::Peer::of`](crate::blocking::Peer::of) there.
    pub fn blocking(&self) -> Result<Peer, CallError> {
        let handle = Handle::try_current();
        let handle = handle.map_err(|_none| CallError::Misuse("this thread has no runtime"))?;
        Ok(Peer::of(self.clone(), handle))
    }
}

impl<C: Caller> Peer<C> {
    /// A caller of an async program, for threads that may block. The runtime must be driven by others.
    #[must_use]
    pub fn of(caller: C, runtime: Handle) -> Self {
        Self::with(caller, Runner::lent(runtime))
    }
}

impl<C: Caller> Caller for Peer<C> {
    delegate_to!(caller:
        poll_format poll_reply poll_items window poll_accepted default_timeout deadline interceptors trace
        carries_metadata in_process peer reconnects send_again poll_connected maps_codes
    );

    #[inline]
    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        if !call.attachments.is_empty() && self.desk.get().is_none() {
            // A second call through the same clone is not waited for by itself.
            let _desk = self.desk.set(Desk::take_over(call.attachments));
        }
        let begun = self.caller.poll_begin(cx, call);
        self.runner.stir();
        begun
    }

    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        let notified = self.caller.poll_notify(cx, call);
        self.runner.stir();
        notified
    }

    fn taken(&self, ticket: Ticket, taken: Window) {
        self.caller.taken(ticket, taken);
        self.runner.stir();
    }

    fn cancel(&self, ticket: Ticket, reason: CancelReason) {
        self.caller.cancel(ticket, reason);
        if let Some(desk) = self.desk.get() {
            desk.close();
        }
        self.runner.stir();
    }

    fn runtime(&self) -> Option<&Handle> {
        // Over a connection nothing of the program runs where a call is started.
        self.caller.in_process()?;
        self.runner.handle()
    }

    fn own_runtime(&self) -> Option<&Handle> {
        self.runner.handle()
    }
}
