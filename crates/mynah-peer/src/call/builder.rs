//! A call before it is made.

use super::caller::Timeout;
use super::{Attachments, CallFuture, CallOptions, Caller, SideEffects};
use crate::context::Context;
use crate::error::{CallError, DomainError};
use crate::link::Side;
use crate::method::{MethodInfo, Target};
use crate::metrics::{self, Dropped};
use crate::params::Params;
use crate::stream::Attachment;
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, OPERATION_ID};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A call before it is made. Await it, or [`start`](Self::start) it; nothing is sent before.
///
/// Cancel safety: the future may be dropped at any time. A request that has not left is taken back;
/// one that has left is cancelled at the peer, once.
#[must_use = "a call is made when it is awaited or started"]
pub struct Call<P, T, E, C> {
    pub(crate) caller: C,
    pub(crate) target: Target,
    pub(crate) params: P,
    pub(crate) options: CallOptions,
    /// Present when somebody listens; most calls have nobody, and pay for nothing.
    pub(crate) listeners: Option<Box<Listeners>>,
    pub(crate) attachments: Attachments,
    pub(super) result: PhantomData<fn() -> Result<T, E>>,
}

/// Decodes and hands out one progress: value, note, format, limits.
pub(crate) type OnProgress = Box<dyn FnMut(&[u8], Option<&[u8]>, Format, &DecodeLimits) + Send>;
/// Decodes and hands out one line: level, dropped before it, content, format, limits.
pub(crate) type OnLog = Box<dyn FnMut(i64, u64, &[u8], Format, &DecodeLimits) + Send>;

#[derive(Default)]
pub(crate) struct Listeners {
    pub(super) progress: Option<OnProgress>,
    pub(super) log: Option<OnLog>,
    /// What came and was not handed out yet.
    pub(crate) sides: SideEffects,
}

impl Listeners {
    pub(crate) fn of(progress: OnProgress, log: OnLog) -> Self {
        Self {
            progress: Some(progress),
            log: Some(log),
            sides: SideEffects::default(),
        }
    }

    /// Hands out what came, in order. Runs code of the user.
    pub(crate) fn hand_out(&mut self, format: Format, limits: &DecodeLimits) {
        while let Some(side) = self.sides.queue.pop_front() {
            match side {
                Side::Progress { value, note } => {
                    if let Some(listener) = &mut self.progress {
                        listener(&value, note.as_deref(), format, limits);
                    }
                }
                Side::Log {
                    level,
                    dropped,
                    content,
                } => {
                    if let Some(listener) = &mut self.log {
                        listener(level, dropped, &content, format, limits);
                    }
                }
            }
        }
        let dropped = std::mem::take(&mut self.sides.dropped);
        if dropped > 0 {
            metrics::dropped(Dropped::SideMessage, dropped);
            tracing::debug!(dropped, "side messages were dropped");
        }
    }
}

impl<P, T, E, C> fmt::Debug for Call<P, T, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl<P, T, E, C> Call<P, T, E, C> {
    /// A call of a method through a caller. Made by the macro.
    #[inline]
    pub fn new(caller: C, method: &'static MethodInfo, params: P) -> Self {
        Self::to(caller, Target::Method(method), params)
    }

    #[inline]
    pub(crate) fn to(caller: C, target: Target, params: P) -> Self {
        Self {
            caller,
            target,
            params,
            options: CallOptions::default(),
            listeners: None,
            attachments: Attachments::new(),
            result: PhantomData,
        }
    }

    /// The same call with other params.
    #[inline]
    pub(crate) fn with_params<Q>(
        self,
        params: impl FnOnce(P, &mut Attachments) -> Q,
    ) -> Call<Q, T, E, C> {
        let mut attachments = self.attachments;
        Call {
            caller: self.caller,
            target: self.target,
            params: params(self.params, &mut attachments),
            options: self.options,
            listeners: self.listeners,
            attachments,
            result: PhantomData,
        }
    }

    /// The same call of a method that gives something else back.
    #[inline]
    pub(crate) fn typed<U, F>(self) -> Call<P, U, F, C> {
        Call {
            caller: self.caller,
            target: self.target,
            params: self.params,
            options: self.options,
            listeners: self.listeners,
            attachments: self.attachments,
            result: PhantomData,
        }
    }

    /// Adds what goes with a param beside its bytes. Used by the macro, for streams and callbacks.
    pub fn attach(mut self, attachment: Attachment) -> Self {
        attachment.add_to(&mut self.attachments);
        self
    }

    /// The time for the whole call: waiting, writing, running, reading. Zero ends it at once.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.options.timeout = Timeout::Of(timeout);
        self
    }

    /// No deadline, not even the default one.
    pub fn no_deadline(mut self) -> Self {
        self.options.timeout = Timeout::Never;
        self
    }

    /// The call ends no later than the one that is being handled, and goes on with its trace.
    pub fn within(mut self, context: &Context) -> Self {
        self.options.deadline = match (self.options.deadline, context.deadline()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if let Some(trace) = context.trace() {
            self.options.trace = Some(Arc::new(trace));
        }
        self
    }

    /// Adds an entry that travels beside the params.
    pub fn metadata(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.options.metadata.insert(name, value);
        self
    }

    /// Says which operation the call is a part of: an entry of metadata, [`OPERATION_ID`]. The same call under the same id
    /// is answered with the outcome of the first where the server keeps outcomes, as it does over Redis Streams; elsewhere
    /// it is what its handler makes of it.
    pub fn operation_id(self, id: impl Into<Box<str>>) -> Self {
        self.metadata(OPERATION_ID, id)
    }

    /// An id of the program's own for the call, on wires whose ids are texts: for peers that look for it, or logs of both
    /// sides. It must be new among the calls in flight, which a call under an id that is taken hears as
    /// [`CallError::Misuse`]; on other wires the call fails with [`CallError::Unsupported`]. Within one process nobody
    /// sees it.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// Hands progress to `listener`, in order, before the result; values of another shape are passed over. It runs
    /// where the call is awaited.
    pub fn on_progress<V: DeserializeOwned>(
        mut self,
        mut listener: impl FnMut(V) + Send + 'static,
    ) -> Self {
        self.listeners.get_or_insert_default().progress =
            Some(Box::new(move |value, _note, format, limits| {
                match format.decode::<V>(value, limits) {
                    Ok(value) => listener(value),
                    Err(error) => tracing::debug!(%error, "progress of another shape"),
                }
            }));
        self
    }

    /// The same with the note beside each value; `None` when there is none, or it is of another shape.
    pub fn on_progress_with<V: DeserializeOwned, N: DeserializeOwned>(
        mut self,
        mut listener: impl FnMut(V, Option<N>) + Send + 'static,
    ) -> Self {
        self.listeners.get_or_insert_default().progress =
            Some(Box::new(move |value, note, format, limits| {
                match format.decode::<V>(value, limits) {
                    Ok(value) => {
                        listener(
                            value,
                            note.and_then(|note| format.decode(note, limits).ok()),
                        );
                    }
                    Err(error) => tracing::debug!(%error, "progress of another shape"),
                }
            }));
        self
    }

    /// Hands lines of the callee's log to `listener`: level (1 critical to 5 debug) and content, in
    /// order, before the result. It runs where the call is awaited.
    pub fn on_log<V: DeserializeOwned>(
        mut self,
        mut listener: impl FnMut(i64, V) + Send + 'static,
    ) -> Self {
        self.listeners.get_or_insert_default().log =
            Some(Box::new(move |level, dropped, content, format, limits| {
                if dropped > 0 {
                    tracing::debug!(dropped, "lines of the callee's log were dropped");
                }
                match format.decode::<V>(content, limits) {
                    Ok(content) => listener(level, content),
                    Err(error) => tracing::debug!(%error, "line of log of another shape"),
                }
            }));
        self
    }
}

impl<P, T, E, C> Call<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Sends the request now, if there is room, and returns the future of its answer.
    pub fn start(self) -> CallFuture<P, T, E, C> {
        let mut future = self.into_future();
        future.send();
        future
    }
}

impl<P, T, E, C> IntoFuture for Call<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = CallFuture<P, T, E, C>;

    #[inline]
    fn into_future(self) -> Self::IntoFuture {
        CallFuture::new(self)
    }
}
