//! Calls without a connection: a router is given a request, or the bytes of one, and what it answers comes back.
//!
//! The task of a connection runs here as everywhere, in the future of whoever asks, over a transport that has one
//! delivery and keeps what is said. So limits, deadlines, interceptors, spans and metrics are those of any call.

mod one_call;
mod one_read;

use crate::driver::{drive_bytes, drive_carrier};
use crate::link::{Link, LinkConfig, Out};
use crate::metrics::{self, Dropped};
use crate::router::Router;
use bytes::Bytes;
use mynah_codec::{Dialect, Format, Side};
use mynah_connection::CloseReason;
use mynah_protocol::{
    Capabilities, Envelope, ErrorCode, Evidence, Limits, Profile, Response, RpcError,
};
use one_call::OneCall;
use one_read::OneRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The name of the dialect of calls that no wire carries.
const DIRECT: &str = "direct";

/// Why bytes have no answer that says everything.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// As many run as [`Limits::connections`] allows; nothing was run.
    #[error("too many deliveries are handled")]
    Busy,
    /// The bytes end within a message. The messages before it were handled, and this is what was answered.
    #[error("{unread} bytes at the end are no whole message")]
    Incomplete {
        /// How many are left over.
        unread: usize,
        /// What was answered; it may be empty.
        said: Bytes,
    },
    /// The bytes are none of this dialect, or break its rules: a connection would have ended.
    #[error("delivery cannot be handled: {reason}")]
    Ended {
        /// Why.
        reason: CloseReason,
        /// What the other side is to be told, and what was answered before; it may be empty.
        said: Bytes,
    },
    /// There is more to answer than may be held: [`Limits::output_high_water_bytes`], and one message more.
    #[error("answers exceed {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// One of the calls or deliveries that may run at once.
struct Permit<'a>(&'a AtomicUsize);

impl<'a> Permit<'a> {
    fn take(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let taken = count.fetch_add(1, Ordering::AcqRel);
        let permit = Self(count);
        (taken < limit).then_some(permit)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Router {
    /// Runs one call that no connection carries, and gives its response; `None` for a notification, and for anything
    /// that is no call.
    ///
    /// It goes through the interceptors of the router and under its limits ([`Self::limits`]), of which
    /// `calls_in_flight` holds for all calls of this kind together. `caller` is what is known of whoever asks:
    /// interceptors and handlers see it as the evidence of the peer. The params are in the format that their payload
    /// names, and so is the result.
    ///
    /// A handler that calls back is told at once that nobody is there; progress and logs go nowhere; a method with a
    /// stream is refused.
    ///
    /// Cancel safety: dropped before its end, the call is cancelled.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn dispatch(
        self: &Arc<Self>,
        request: impl Into<Envelope<'static>>,
        caller: Evidence,
    ) -> Option<Response<'static>> {
        let envelope = request.into();
        let (id, format) = match &envelope {
            Envelope::Request(request) => (Some(request.id.clone()), request.params.format()),
            Envelope::Notification(notification) => (None, notification.params.format()),
            _ => return None,
        };
        let refuse = |error: RpcError| {
            let result = Err(Box::new(error));
            id.clone().map(|id| Response { id, result })
        };
        if Format::built_in(format).is_none() {
            let text = "params are in a format that is none of the built-in ones";
            return refuse(RpcError::new(ErrorCode::UNSUPPORTED, text));
        }
        let limits = self.direct_limits();
        let most = usize::try_from(limits.calls_in_flight).unwrap_or(usize::MAX);
        let Some(_permit) = Permit::take(&self.direct().calls, most) else {
            if id.is_none() {
                metrics::dropped(Dropped::Notification, 1);
            } else {
                metrics::busy(1);
            }
            return refuse(RpcError::from_code(ErrorCode::BUSY));
        };
        let mut capabilities = Capabilities::NONE;
        capabilities.notifications = true;
        capabilities.cancel = true;
        capabilities.deadline = true;
        capabilities.metadata = true;
        capabilities.services = true;
        capabilities.error_codes = true;
        let profile = Profile::new(DIRECT, format).with_capabilities(capabilities);
        let link = self.direct_link(Out::carrier(profile.clone(), &limits), limits, caller);
        link.set_facts(&link.lock().out);
        let (transport, answer) = OneCall::new(envelope, profile, Arc::clone(&link));
        drive_carrier(Box::pin(transport), Arc::clone(&link), Vec::new()).await;
        let answered = answer.take();
        if let (Some(id), None) = (id, &answered) {
            // The rules of a connection ended it: the request breaks a limit that is no error of a call.
            let text = match link.end_reason() {
                Some(reason) => reason.to_string(),
                None => "call was not answered".to_owned(),
            };
            let result = Err(Box::new(RpcError::new(ErrorCode::INVALID_REQUEST, text)));
            return Some(Response { id, result });
        }
        answered
    }

    /// Handles what a peer has sent in a dialect, and gives what it is to be sent: `None` when that is nothing, as for
    /// notifications.
    ///
    /// The bytes are any number of whole messages, with all that the dialect wants to be said first. On wires of lines
    /// the last one needs no line feed ([`Wire::message_end`](mynah_codec::Wire::message_end)). What follows is
    /// what a connection that is read and answered once would do. Each delivery is a connection of its own: limits,
    /// interceptors and state hold as for one, `limits.connections` of them may run at once, and it ends once every
    /// call in it is answered. `caller` is what is known of whoever sent it.
    ///
    /// A handler that calls back is told at once that nobody is there, and a method with a stream is refused.
    ///
    /// Cancel safety: dropped before its end, its calls are cancelled.
    ///
    /// # Errors
    /// [`DirectError`]: the bytes are not whole messages of this dialect, or too much for the limits. What was answered
    /// by then is in it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn handle_wire(
        self: &Arc<Self>,
        dialect: &impl Dialect,
        bytes: impl Into<Bytes>,
        caller: Evidence,
    ) -> Result<Option<Bytes>, DirectError> {
        let limits = self.direct_limits();
        let permit = Permit::take(&self.direct().deliveries, limits.connections);
        let _permit = permit.ok_or(DirectError::Busy)?;
        let most = limits
            .output_high_water_bytes
            .saturating_add(limits.decode.max_message_bytes);
        let wire = dialect.wire(Side::Accept, &limits);
        let end = wire.message_end();
        let link = self.direct_link(Out::wire(wire), limits, caller);
        let (stream, said) = OneRead::new(bytes.into(), end, Arc::clone(&link), most);
        {
            let mut state = link.lock();
            state.out.own_output();
            if state.out.is_ready() {
                link.set_facts(&state.out);
            }
        }
        let unread = drive_bytes(stream, None, Arc::clone(&link), (), &[]).await;
        let said = said.take().ok_or(DirectError::TooLarge { limit: most })?;
        match link.end_reason() {
            Some(CloseReason::Drained) | None if unread > 0 => {
                Err(DirectError::Incomplete { unread, said })
            }
            Some(CloseReason::Drained) | None => Ok(Some(said).filter(|said| !said.is_empty())),
            Some(reason) => Err(DirectError::Ended { reason, said }),
        }
    }

    fn direct_limits(&self) -> Arc<Limits> {
        Arc::clone(&self.direct().limits)
    }

    fn direct_link(self: &Arc<Self>, out: Out, limits: Arc<Limits>, caller: Evidence) -> Arc<Link> {
        let config = LinkConfig {
            limits,
            router: Arc::clone(self),
            evidence: caller,
            default_timeout: None,
            listeners: OnceLock::new(),
            server: None,
            direct: true,
        };
        let link = Link::new(out, config);
        // One handle that stays: a handler that drops its peer must not close what it runs in.
        link.add_handle();
        link.expect_no_answers();
        link
    }
}

/// What a router keeps for calls without a connection.
#[derive(Default)]
pub(crate) struct DirectCalls {
    pub(crate) limits: Arc<Limits>,
    /// Calls that run.
    calls: AtomicUsize,
    /// Deliveries that are handled.
    deliveries: AtomicUsize,
}
