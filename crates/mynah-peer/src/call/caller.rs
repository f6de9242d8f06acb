//! What a typed client stands on.

use super::Attempt;
use crate::blocking::Feed;
use crate::callback::CallbackTable;
use crate::encoded::{Encoded, ReplyBuffer};
use crate::error::CallError;
use crate::handler::{Method, Produce};
use crate::intercept::Interceptors;
use crate::link::{OutExtras, OutInput, Side};
use crate::local::InProcess;
use crate::peer::Peer;
use crate::trace::TraceContext;
use mynah_codec::Format;
use mynah_protocol::{
    CallId, CancelReason, DecodeLimits, Metadata, MethodName, ParamsShape, Window,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

/// Something that calls can be made through: a [`Peer`](crate::Peer), a pool, a wrapper, a mock.
///
/// Object-safe, and without a box per call: the future of a call drives it by polling.
pub trait Caller: Send + Sync + 'static {
    /// How params are to be encoded, and the limits for what comes back. `Pending` until it is known; the task is woken
    /// then.
    fn poll_format(&self, cx: &mut task::Context<'_>) -> Poll<Result<WireFormat, CallError>>;

    /// Sends a request, and takes what is attached to it. `Pending` while there is no room for it; the task is woken then.
    /// Once it is sent, the task is woken when there is something to ask for: nobody asks before.
    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>>;

    /// Sends a notification. `Pending` while there is no room for it; the task is woken then.
    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>>;

    /// Asks for the answer to a request: the encoded result is put in `reply`.
    ///
    /// An error of the peer comes as [`CallError::Application`] of the raw error, for the caller to
    /// type it. `sides` is there when somebody listens. After `Ready` the ticket is used up.
    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut ReplyBuffer,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallError<mynah_protocol::RpcError>>>;

    /// Asks for items of the results of a call that was begun with [`OutgoingCall::results`]: a batch as
    /// [`ItemBatch`](mynah_protocol::ItemBatch) reads it is put in `batch`. `taken` is what the program took since the
    /// last time. `Ok(false)`: the stream has come to its end. After that, or an error, the ticket is used up.
    fn poll_items(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        batch: &mut Vec<u8>,
        taken: Window,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<bool, CallError<mynah_protocol::RpcError>>> {
        let _ = (cx, ticket, batch, taken, sides);
        Poll::Ready(Err(CallError::Misuse("this caller has no streams")))
    }

    /// The program took so much of the results of a call and is not through with its batch yet: the other side may send
    /// more meanwhile. Said from half of [`Self::window`] on; what is less is said with [`Self::poll_items`].
    fn taken(&self, ticket: Ticket, taken: Window) {
        let _ = (ticket, taken);
    }

    /// What the results of a call may have on their way when [`ResultStream::window`] says nothing else. `None`: this
    /// caller wants no [`Self::taken`].
    fn window(&self) -> Option<Window> {
        None
    }

    /// Waits until the other side has taken a call on, or there is something for [`Self::poll_items`].
    fn poll_accepted(&self, cx: &mut task::Context<'_>, ticket: Ticket) -> Poll<()> {
        let _ = (cx, ticket);
        Poll::Ready(())
    }

    /// Gives a call up. Nothing happens when it is over.
    fn cancel(&self, ticket: Ticket, reason: CancelReason);

    /// The default time for a call.
    fn default_timeout(&self) -> Option<Duration> {
        None
    }

    /// When every call through this caller must have ended, whatever time it asks for: the deadline of the call whose
    /// handler has it from its context.
    fn deadline(&self) -> Option<tokio::time::Instant> {
        None
    }

    /// What stands around the calls that are made through this caller.
    fn interceptors(&self) -> Option<&Arc<Interceptors>> {
        None
    }

    /// The trace that calls through this caller go on with.
    fn trace(&self) -> Option<&TraceContext> {
        None
    }

    /// Whether calls may carry metadata. A trace is not sent where they may not.
    fn carries_metadata(&self) -> bool {
        true
    }

    /// A server in the same process, where values need not be encoded.
    fn in_process(&self) -> Option<&InProcess> {
        None
    }

    /// The runtime that handlers of a server in the same process are to find when a call is started where there is none.
    #[doc(hidden)]
    fn runtime(&self) -> Option<&tokio::runtime::Handle> {
        None
    }

    /// The runtime on which what has been started goes on, where the one who starts it has none.
    #[doc(hidden)]
    fn own_runtime(&self) -> Option<&tokio::runtime::Handle> {
        None
    }

    /// The peer that it stands on now, for what a caller cannot say: events without a wire, or of a wire without
    /// subscriptions.
    fn peer(&self) -> Option<Peer> {
        None
    }

    /// Whether there may be another connection after this one: then the params of a call are kept until its end, and
    /// [`Self::send_again`] is asked about calls that its end cut off.
    fn reconnects(&self) -> bool {
        false
    }

    /// When a call that ended with this error is to be begun again; `None`: it ended so. Asked only where
    /// [`Self::reconnects`], and for calls that can be begun again: nothing was attached to them, and nothing of their
    /// results has come.
    fn send_again(
        &self,
        error: &CallError<mynah_protocol::RpcError>,
        attempt: Attempt,
    ) -> Option<Duration> {
        let _ = (error, attempt);
        None
    }

    /// Waits for a connection, however long it takes. An error: there will be none.
    fn poll_connected(&self, cx: &mut task::Context<'_>) -> Poll<Result<(), CallError>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Whether error codes of the peer have the meaning that [`ErrorCode`](mynah_protocol::ErrorCode) gives them.
    fn maps_codes(&self) -> bool {
        true
    }
}

/// How a caller has its calls encoded.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WireFormat {
    /// The format of params and results.
    pub format: Format,
    /// The limits for what comes back.
    pub limits: DecodeLimits,
    /// How the wire spells params.
    pub params: ParamsShape,
    /// Whether it has no other spelling of them.
    pub only_params: bool,
    /// The name of the dialect, for errors.
    pub dialect: &'static str,
}

impl WireFormat {
    /// A format with limits; params are positional, and may be spelled in any other way.
    #[must_use]
    pub const fn new(format: Format, limits: DecodeLimits) -> Self {
        Self {
            format,
            limits,
            params: ParamsShape::Positional,
            only_params: false,
            dialect: "a caller",
        }
    }
}

/// A request that is to be sent.
#[derive(Debug)]
pub struct OutgoingCall<'a> {
    /// What is called.
    pub name: MethodName<'a>,
    /// An id that the program chose, for wires whose ids are texts; `None`: whatever the caller chooses.
    pub id: Option<&'a str>,
    /// The encoded params.
    pub params: Encoded<'a>,
    /// The time for it; `None`: without end.
    pub timeout: Option<Duration>,
    /// What travels beside the params.
    pub metadata: &'a Metadata,
    /// Whether somebody listens to progress and logs.
    pub listens: bool,
    /// Present when results are to come as a stream.
    pub results: Option<ResultStream>,
    /// What goes with the params beside their bytes.
    pub attachments: &'a mut Attachments,
    /// Whether the contract says that the method may run more than once for one call.
    pub idempotent: bool,
}

/// How a stream of results is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResultStream {
    /// What is taken at first; `None`: what the limits say.
    pub window: Option<Window>,
    /// Whether the time for the call ends with its first item.
    pub until_first: bool,
}

/// What goes with the params of a call beside their bytes: a stream, and callbacks. Taken by the caller that sends
/// the request.
#[derive(Default)]
pub struct Attachments {
    input: Option<Box<dyn Produce>>,
    /// Present when the input is an iterator.
    feed: Option<Arc<dyn Feed>>,
    callbacks: Vec<(u64, Arc<dyn Method>)>,
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachments")
            .field("input", &self.input.is_some())
            .field("callbacks", &self.callbacks.len())
            .finish()
    }
}

impl Attachments {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            input: None,
            feed: None,
            callbacks: Vec::new(),
        }
    }

    /// Whether there is nothing.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.input.is_none() && self.callbacks.is_empty()
    }

    /// Whether a stream is among them.
    #[inline]
    #[must_use]
    pub const fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// How many callbacks are among them.
    #[must_use]
    pub const fn callbacks(&self) -> usize {
        self.callbacks.len()
    }

    pub(crate) fn set_input(&mut self, input: Box<dyn Produce>, feed: Option<Arc<dyn Feed>>) {
        self.input = Some(input);
        self.feed = feed;
    }

    /// The iterator behind the input, for whoever is to ask it.
    pub(crate) fn take_feed(&mut self) -> Option<Arc<dyn Feed>> {
        self.feed.take()
    }

    /// Puts something in the place of every callback.
    pub(crate) fn wrap_callbacks(&mut self, wrap: impl Fn(Arc<dyn Method>) -> Arc<dyn Method>) {
        for (_, method) in &mut self.callbacks {
            *method = wrap(Arc::clone(method));
        }
    }

    pub(crate) fn add_callback(&mut self, number: u64, method: Arc<dyn Method>) {
        self.callbacks.push((number, method));
    }

    /// Everything, the callbacks ready to be called.
    pub(crate) fn take(&mut self, table: &CallbackTable) -> Box<OutExtras> {
        let input = self.input.take().map_or(OutInput::None, OutInput::Waiting);
        let mut numbers = Vec::new();
        for (number, method) in self.callbacks.drain(..) {
            numbers.push(number);
            table.insert(number, method);
        }
        Box::new(OutExtras {
            results: Vec::new(),
            accepted: false,
            input,
            callbacks: numbers,
            held: false,
        })
    }
}

/// A request that was sent, as its [`Caller`] knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: CallId,
    /// Which connection of the caller it was sent on, for one that has several.
    epoch: u32,
}

impl Ticket {
    /// A request under an id that its caller chose.
    #[inline]
    #[must_use]
    pub const fn new(id: CallId) -> Self {
        Self { id, epoch: 0 }
    }

    /// The id.
    #[inline]
    #[must_use]
    pub const fn id(self) -> CallId {
        self.id
    }

    /// The same request of the n-th connection.
    pub(crate) const fn with_epoch(mut self, epoch: u32) -> Self {
        self.epoch = epoch;
        self
    }

    pub(crate) const fn epoch(self) -> u32 {
        self.epoch
    }
}

/// What came beside a call and was not handed to the program yet.
#[derive(Debug, Default)]
pub struct SideEffects {
    pub(crate) queue: VecDeque<Side>,
    pub(crate) dropped: u64,
}

impl SideEffects {
    /// Adds progress with its encoded value and note.
    pub fn push_progress(&mut self, value: Vec<u8>, note: Option<Vec<u8>>) {
        self.queue.push_back(Side::Progress { value, note });
    }

    /// Adds a line of log with its encoded content.
    pub fn push_log(&mut self, level: i64, content: Vec<u8>) {
        self.queue.push_back(Side::Log {
            level,
            dropped: 0,
            content,
        });
    }
}

/// A typed client, made from whatever it calls through.
pub trait ServiceClient<C> {
    /// The client of this caller.
    fn from_caller(caller: C) -> Self;
}

/// How a call is made.
#[derive(Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Timeout,
    pub(crate) metadata: Metadata,
    /// No later than this, whatever the timeout says.
    pub(crate) deadline: Option<tokio::time::Instant>,
    /// The trace of the call that it is made within.
    pub(crate) trace: Option<Arc<TraceContext>>,
    /// An id that the program chose.
    pub(crate) id: Option<Box<str>>,
}

/// The time for a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Timeout {
    /// What the caller has as its default.
    #[default]
    Default,
    Of(Duration),
    Never,
}

impl CallOptions {
    /// Whether nobody has set a time for the call, so that the default one covers the first item of a stream only.
    pub(crate) const fn is_default_timeout(&self, latest: Option<tokio::time::Instant>) -> bool {
        matches!(self.timeout, Timeout::Default) && self.deadline.is_none() && latest.is_none()
    }

    /// Fixes when the call ends, if it ends: from now on its time is what is left until then.
    pub(crate) fn fix_deadline(
        &mut self,
        timeout: Option<Duration>,
    ) -> Option<tokio::time::Instant> {
        let from_now = tokio::time::Instant::now().checked_add(timeout?)?;
        let deadline = self.deadline.map_or(from_now, |known| known.min(from_now));
        self.deadline = Some(deadline);
        Some(deadline)
    }

    /// The call has all the time there is.
    pub(crate) const fn lift_deadline(&mut self) {
        self.timeout = Timeout::Never;
        self.deadline = None;
    }

    /// The time for a call that starts now.
    /// `latest`: no call through this caller ends later.
    #[inline]
    pub(crate) fn timeout(
        &self,
        default: Option<Duration>,
        latest: Option<tokio::time::Instant>,
    ) -> Option<Duration> {
        let own = match self.timeout {
            Timeout::Default => default,
            Timeout::Of(timeout) => Some(timeout),
            Timeout::Never => None,
        };
        let deadline = match (self.deadline, latest) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        match deadline {
            None => own,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(tokio::time::Instant::now());
                Some(own.map_or(left, |own| own.min(left)))
            }
        }
    }
}
