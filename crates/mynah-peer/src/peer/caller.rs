//! Calls through a peer.

use super::{Kind, Peer};
use crate::call::{Caller, OutgoingCall, SideEffects, Ticket, WireFormat};
use crate::encoded::ReplyBuffer;
use crate::error::CallError;
use crate::intercept::Interceptors;
use crate::link::{Batch, BeginOptions, CallEnd, Link, Sides, WireFacts};
use crate::local::InProcess;
use crate::trace::TraceContext;
use mynah_codec::Format;
use mynah_connection::CloseReason;
use mynah_protocol::{
    CancelReason, DecodeLimits, ErrorCode, Limits, Metadata, RpcError, Undelivered, Window,
};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::Instant;

impl Caller for Peer {
    #[inline]
    fn poll_format(&self, cx: &mut task::Context<'_>) -> Poll<Result<WireFormat, CallError>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Ok(WireFormat::new(Format::Cbor, DecodeLimits::DEFAULT)));
        };
        if let Some(facts) = handle.link.facts() {
            return Poll::Ready(Ok(facts.wire_format()));
        }
        let mut state = handle.link.lock();
        if let Some(facts) = handle.link.facts() {
            return Poll::Ready(Ok(facts.wire_format()));
        }
        if let Some(reason) = state.connection.closed() {
            return Poll::Ready(Err(CallError::Disconnected(reason.clone())));
        }
        state.wait_for_room(cx.waker(), 0);
        Poll::Pending
    }

    #[inline]
    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let Some(facts) = handle.link.facts() else {
            return Poll::Pending;
        };
        if !call.metadata.is_empty() && !facts.capabilities.metadata {
            let error = CallError::Unsupported {
                dialect: facts.dialect,
                feature: "metadata",
            };
            return Poll::Ready(Err(error));
        }
        if !call.metadata.is_empty() {
            check_metadata(call.metadata, &handle.link.config.limits)?;
        }
        if let Some(id) = call.id {
            check_id(id, call, facts, &handle.link.config.limits)?;
        }
        if call.results.is_some() || !call.attachments.is_empty() {
            check_streams(call, facts, &handle.link)?;
        }
        let options = BeginOptions {
            timeout: call.timeout,
            metadata: call.metadata,
            sides: call.listens.then(Box::<Sides>::default),
            results: call.results,
            attachments: call.attachments,
            id: call.id,
        };
        handle
            .link
            .begin(cx.waker(), call.name.clone(), call.params, facts, options)
            .map(|begun| begun.map(Ticket::new))
    }

    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let Some(facts) = handle.link.facts() else {
            return Poll::Pending;
        };
        if !call.metadata.is_empty() {
            if !facts.capabilities.metadata {
                let error = CallError::Unsupported {
                    dialect: facts.dialect,
                    feature: "metadata",
                };
                return Poll::Ready(Err(error));
            }
            check_metadata(call.metadata, &handle.link.config.limits)?;
        }
        handle.link.notify(
            cx.waker(),
            call.name.clone(),
            call.params,
            facts,
            call.metadata,
        )
    }

    #[inline]
    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut ReplyBuffer,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<(), CallError<RpcError>>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let polled = handle
            .link
            .poll_outcome(cx.waker(), ticket.id(), reply, sides);
        polled.map(|outcome| outcome.map_err(|end| ended(&handle.link, end)))
    }

    fn poll_items(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        batch: &mut Vec<u8>,
        taken: Window,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<bool, CallError<RpcError>>> {
        let Kind::Linked(handle) = &self.kind else {
            return Poll::Ready(Err(CallError::Misuse("calls in process are not encoded")));
        };
        let polled = handle
            .link
            .poll_items(cx.waker(), ticket.id(), batch, taken, sides);
        polled.map(|outcome| {
            outcome
                .map(|found| matches!(found, Batch::Items))
                .map_err(|end| ended(&handle.link, end))
        })
    }

    fn taken(&self, ticket: Ticket, taken: Window) {
        if let Kind::Linked(handle) = &self.kind {
            handle.link.taken(ticket.id(), taken);
        }
    }

    fn window(&self) -> Option<Window> {
        match &self.kind {
            Kind::Linked(handle) => Some(handle.link.window()),
            Kind::Local(_) => None,
        }
    }

    fn poll_accepted(&self, cx: &mut task::Context<'_>, ticket: Ticket) -> Poll<()> {
        match &self.kind {
            Kind::Linked(handle) => handle.link.poll_accepted(cx.waker(), ticket.id()),
            Kind::Local(_) => Poll::Ready(()),
        }
    }

    fn cancel(&self, ticket: Ticket, reason: CancelReason) {
        if let Kind::Linked(handle) = &self.kind {
            handle.link.cancel(ticket.id(), reason);
        }
    }

    #[inline]
    fn default_timeout(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Linked(handle) => handle.link.config.default_timeout,
            Kind::Local(local) => local.default_timeout,
        }
    }

    #[inline]
    fn deadline(&self) -> Option<Instant> {
        self.bound.as_ref()?.deadline(&self.kind)
    }

    #[inline]
    fn interceptors(&self) -> Option<&Arc<Interceptors>> {
        self.around.as_deref()?.chain.as_ref()
    }

    #[inline]
    fn trace(&self) -> Option<&TraceContext> {
        self.around.as_deref()?.trace.as_ref()
    }

    fn carries_metadata(&self) -> bool {
        match &self.kind {
            // Before the handshake of a wire that has one: it is one of ours.
            Kind::Linked(handle) => handle
                .link
                .facts()
                .is_none_or(|facts| facts.capabilities.metadata),
            Kind::Local(_) => true,
        }
    }

    #[inline]
    fn in_process(&self) -> Option<&InProcess> {
        match &self.kind {
            Kind::Linked(_) => None,
            Kind::Local(local) => Some(local),
        }
    }

    fn peer(&self) -> Option<Peer> {
        Some(self.clone())
    }

    fn maps_codes(&self) -> bool {
        match &self.kind {
            Kind::Linked(handle) => handle.link.facts().is_none_or(|facts| facts.maps_codes),
            Kind::Local(_) => true,
        }
    }
}

/// What the end of a call means to its caller.
fn ended(link: &Link, end: CallEnd) -> CallError<RpcError> {
    match end {
        CallEnd::Error(error) if error.code() == ErrorCode::CANCELLED && link.is_drained() => {
            // Nobody here has cancelled it: its handler was stopped because the grace of a drain was over.
            CallError::Indeterminate(CloseReason::Drained)
        }
        CallEnd::Error(error) => CallError::Application(*error),
        CallEnd::Deadline => CallError::Deadline,
        CallEnd::Lost { sent: true, reason } => CallError::Indeterminate(reason),
        CallEnd::Lost {
            sent: false,
            reason,
        } => CallError::Disconnected(reason),
        CallEnd::Undelivered(why) => undelivered(link, why),
        CallEnd::Gone => CallError::Misuse("the call was taken already"),
    }
}

/// What a carrier says of a call means to its caller.
#[cold]
fn undelivered(link: &Link, why: Undelivered) -> CallError<RpcError> {
    match why {
        Undelivered::Busy => CallError::Busy { retry_after: None },
        Undelivered::Unsupported(feature) => CallError::Unsupported {
            dialect: link.facts().map_or("", |facts| facts.dialect),
            feature,
        },
        Undelivered::PeerGone => CallError::Indeterminate(CloseReason::PeerGone),
        Undelivered::Violation(what) => CallError::Indeterminate(CloseReason::Violation(
            ErrorCode::PROTOCOL_VIOLATION,
            what.into(),
        )),
        Undelivered::Drained => CallError::Indeterminate(CloseReason::Drained),
        Undelivered::Doubtful => CallError::Indeterminate(CloseReason::TimedOut(
            "whether the request was written is not known",
        )),
        // It was not written, whatever else there is to know.
        _ => CallError::Disconnected(CloseReason::TimedOut("the request was not written")),
    }
}

/// Whether the wire can carry what the call has beside its params, and there is room for its callbacks.
#[cold]
fn check_streams(call: &OutgoingCall<'_>, facts: &WireFacts, link: &Link) -> Result<(), CallError> {
    let unsupported = |feature| {
        Err(CallError::Unsupported {
            dialect: facts.dialect,
            feature,
        })
    };
    if (call.results.is_some() || call.attachments.has_input()) && !facts.capabilities.streams {
        return unsupported("streams");
    }
    if call.attachments.callbacks() > 0 {
        if !facts.capabilities.callbacks {
            return unsupported("callbacks");
        }
        if link.callbacks.len() + call.attachments.callbacks() > link.config.limits.callbacks {
            return Err(CallError::Busy { retry_after: None });
        }
    }
    Ok(())
}

/// Whether a call may have this id of the program's own.
#[cold]
fn check_id(
    id: &str,
    call: &OutgoingCall<'_>,
    facts: &WireFacts,
    limits: &Limits,
) -> Result<(), CallError> {
    let unsupported = |feature| {
        Err(CallError::Unsupported {
            dialect: facts.dialect,
            feature,
        })
    };
    if !facts.capabilities.text_ids {
        return unsupported("ids of the program's own");
    }
    if call.results.is_some() || !call.attachments.is_empty() {
        return unsupported("ids of the program's own for calls with streams or callbacks");
    }
    if id.is_empty() {
        return Err(CallError::Misuse("an id is not empty"));
    }
    let (len, limit) = (id.len(), limits.max_id_bytes);
    if len > limit {
        let error = mynah_codec::EncodeError::TooLarge { len, limit };
        return Err(CallError::Encode(error));
    }
    Ok(())
}

/// Too much metadata would end the connection at the peer: it fails the call here. The peer's limits are taken to be
/// those of this side.
#[cold]
fn check_metadata(metadata: &Metadata, limits: &Limits) -> Result<(), CallError> {
    /// What the heads of two texts take at most, as far as they fit the limit at all.
    const HEADS: usize = 8;
    let len = metadata.bytes() + metadata.len() * HEADS;
    if len > limits.max_metadata_bytes {
        let limit = limits.max_metadata_bytes;
        return Err(CallError::Encode(mynah_codec::EncodeError::TooLarge {
            len,
            limit,
        }));
    }
    if metadata.len() > limits.max_metadata_entries {
        let (len, limit) = (metadata.len(), limits.max_metadata_entries);
        return Err(CallError::Encode(mynah_codec::EncodeError::TooLarge {
            len,
            limit,
        }));
    }
    Ok(())
}
