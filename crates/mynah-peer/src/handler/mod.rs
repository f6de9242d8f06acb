//! Handlers: code of the user behind a name.

mod bind;
mod by_hand;
mod contracted;
mod detached;
mod inline;
mod locate;
mod output;
mod routes;
mod sink;
mod stream;
mod validated;

pub(crate) use bind::{Bound, wanted};
pub use by_hand::Mounted;
pub use by_hand::{
    FromContext, Function, Handler, Needs, Respond, ServerState, State, Validated, markers,
    validated,
};
pub(crate) use contracted::HeldToContract;
pub(crate) use detached::catch;
pub(crate) use inline::{Direct, Inline, TypedError, TypedMethod, TypedRunning};
pub(crate) use locate::refused;
pub use output::Output;
pub(crate) use output::ViaResult;
pub(crate) use routes::Declaration;
pub use routes::{Export, Routes, Service};
pub use sink::StreamSink;
pub(crate) use sink::{LocalResults, TypedStreamMethod};
pub(crate) use stream::{Produce, Progress, append_with, fill};
pub use validated::ValidatedRoutes;

use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::link::HandlerRef;
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError, Streams};
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::task::{self, Poll};

/// One call as it is handed to a handler.
pub(crate) struct Invocation<'a> {
    pub(crate) context: Context,
    pub(crate) params: &'a [u8],
    pub(crate) streams: Streams,
    pub(crate) format: Format,
    pub(crate) limits: &'a DecodeLimits,
}

/// How a handler takes a call.
pub(crate) enum Called {
    /// It is done; the result is in the buffer.
    Done(Result<(), Box<RpcError>>),
    /// It was not ready at its first poll.
    Running(Box<dyn Running>),
    /// It has a stream of results.
    Streaming {
        producer: Box<dyn Produce>,
        /// Whether the caller is to be told that the call has been taken on.
        accepted: bool,
    },
    /// It runs elsewhere and answers through the link.
    Elsewhere(HandlerRef),
}

/// A handler whose types are known only inside.
pub(crate) trait Method: Send + Sync {
    /// Starts it: decodes the params, polls once. The result is appended to `reply`.
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called;

    /// Why these params cannot be read, if they cannot: what its [`call`](Self::call) would be refused with before anything
    /// else. Asked where something else is wrong with them, so that the order is the same everywhere.
    fn misread(
        &self,
        _params: &[u8],
        _format: Format,
        _limits: &DecodeLimits,
    ) -> Option<Box<RpcError>> {
        None
    }

    /// Takes the cell of a handler back that is done or was stopped, and drops what is left of its future. A cell of
    /// another method is dropped.
    fn recycle(&self, cell: Box<dyn Any>);
}

/// A handler that was not ready at its first poll.
pub(crate) trait Running: Send {
    /// Polls it; the result is appended to `reply`. Not called again after `Ready`.
    fn poll(
        &mut self,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Poll<Result<(), Box<RpcError>>>;

    /// Drops the handler's future.
    fn stop(&mut self);

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// Reads the params of a call. `names`: of the params, as far as they are known.
#[inline]
pub(crate) fn decode<P: DeserializeOwned>(
    params: &[u8],
    format: Format,
    limits: &DecodeLimits,
    names: &'static [&'static str],
) -> Result<P, Box<RpcError>> {
    format
        .decode(params, limits)
        .map_err(|error| refused::<P>(&error, params, format, limits, names))
}

/// Writes the result of a call, or turns its error into the one that travels.
#[inline]
pub(crate) fn encode<T: Serialize, E: crate::DomainError>(
    result: Result<T, TypedError<E>>,
    format: Format,
    reply: &mut EncodedBuffer,
) -> Result<(), Box<RpcError>> {
    match result {
        Ok(value) => reply
            .push(format, &value)
            .map_err(|error| Box::new(RpcError::new(ErrorCode::UNENCODABLE, error.to_string()))),
        Err(TypedError::Own(error)) => Err(Box::new(error.into_rpc())),
        Err(TypedError::Refused(error)) => Err(error),
    }
}

thread_local! {
    static PANICS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Panics of code of the user that were caught on this thread.
pub(crate) fn panics() -> u64 {
    PANICS.get()
}

/// What the caller hears of a panic: an id to look for in the log, and nothing else.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Box<RpcError> {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    PANICS.set(PANICS.get().wrapping_add(1));
    let incident = incident();
    tracing::error!(incident, panic = %text.escape_debug(), "handler panicked");
    Box::new(internal(&incident))
}

/// What is logged beside an error of which the other side learns nothing else.
pub(crate) fn incident() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{number:x}", std::process::id())
}

/// The error that says no more than where to look.
pub(crate) fn internal(incident: &str) -> RpcError {
    let text = format!("internal error, incident {incident}");
    RpcError::new(ErrorCode::INTERNAL, text)
}
