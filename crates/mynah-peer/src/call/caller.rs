//! What a typed client stands on.

use crate::error::CallError;
use crate::link::Side;
use crate::local::InProcess;
use crate::method::MethodInfo;
use mynah_codec::Format;
use mynah_protocol::{CallId, CancelReason, DecodeLimits, Metadata};
use std::collections::VecDeque;
use std::task::{self, Poll};
use std::time::Duration;

/// Something that calls can be made through: a [`Peer`](crate::Peer), a pool, a wrapper, a mock.
///
/// Object-safe, and without a box per call: the future of a call drives it by polling.
pub trait Caller: Send + Sync + 'static {
    /// The format that params are to be encoded in, and the limits for what comes back.
    /// `Pending` until it is known; the task is woken then.
    fn poll_format(
        &self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(Format, DecodeLimits), CallError>>;

    /// Sends a request. `Pending` while there is no room for it; the task is woken then.
    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>>;

    /// Sends a notification. `Pending` while there is no room for it; the task is woken then.
    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>>;

    /// Asks for the answer to a request: the encoded result is put in `reply` (empty, or a buffer to be swapped).
    ///
    /// An error of the peer comes as [`CallError::Application`] of the raw error, for the caller to
    /// type it. `sides` is there when somebody listens. After `Ready` the ticket is used up.
    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut Vec<u8>,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallError<mynah_protocol::RpcError>>>;

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

    /// A server in the same process, where values need not be encoded.
    fn in_process(&self) -> Option<&InProcess> {
        None
    }

    /// Whether error codes of the peer have the meaning that [`ErrorCode`](mynah_protocol::ErrorCode) gives them.
    fn maps_codes(&self) -> bool {
        true
    }
}

/// A request that is to be sent.
#[derive(Debug)]
pub struct OutgoingCall<'a> {
    /// What is called.
    pub method: &'a MethodInfo,
    /// The encoded params.
    pub params: &'a [u8],
    /// The time for it; `None`: without end.
    pub timeout: Option<Duration>,
    /// What travels beside the params.
    pub metadata: &'a Metadata,
    /// Whether somebody listens to progress and logs.
    pub listens: bool,
}

/// A request that was sent, as its [`Caller`] knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub CallId);

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
