//! A call with a stream of results before it is made.

use super::{Attachment, Streaming};
use crate::call::{Call, Caller};
use crate::context::Context;
use crate::error::DomainError;
use crate::method::MethodInfo;
use crate::params::Params;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// A call with a stream of results before it is made. [`start`](Self::start) it; nothing is sent before.
///
/// The default deadline covers the time to the first item; a deadline that is set covers the whole stream.
#[must_use = "a call is made when it is started"]
pub struct StreamCall<P, T, E, C> {
    call: Call<P, T, E, C>,
}

impl<P, T, E, C> fmt::Debug for StreamCall<P, T, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamCall").field(&self.call).finish()
    }
}

impl<P, T, E, C> StreamCall<P, T, E, C> {
    /// A call of a method through a caller. Made by the macro.
    pub fn new(caller: C, method: &'static MethodInfo, params: P) -> Self {
        Self {
            call: Call::new(caller, method, params),
        }
    }

    pub(crate) const fn of(call: Call<P, T, E, C>) -> Self {
        Self { call }
    }

    /// Adds what goes with a param beside its bytes. Used by the macro, for streams and callbacks.
    pub fn attach(mut self, attachment: Attachment) -> Self {
        self.call = self.call.attach(attachment);
        self
    }

    /// The time for the whole stream.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.call = self.call.deadline(timeout);
        self
    }

    /// No deadline, not even the default one for the first item.
    pub fn no_deadline(mut self) -> Self {
        self.call = self.call.no_deadline();
        self
    }

    /// The stream ends no later than the call that is being handled.
    pub fn within(mut self, context: &Context) -> Self {
        self.call = self.call.within(context);
        self
    }

    /// Adds an entry that travels beside the params.
    pub fn metadata(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.call = self.call.metadata(name, value);
        self
    }

    /// Says which operation the call is a part of. See [`Call::operation_id`].
    pub fn operation_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.call = self.call.operation_id(id);
        self
    }

    /// An id of the program's own for the call, on wires whose ids are texts. See [`Call::id`].
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.call = self.call.id(id);
        self
    }

    /// Hands progress to `listener`, where the stream is polled. See [`Call::on_progress`].
    pub fn on_progress<V: DeserializeOwned>(
        mut self,
        listener: impl FnMut(V) + Send + 'static,
    ) -> Self {
        self.call = self.call.on_progress(listener);
        self
    }

    /// The same with the note beside each value. See [`Call::on_progress_with`].
    pub fn on_progress_with<V: DeserializeOwned, N: DeserializeOwned>(
        mut self,
        listener: impl FnMut(V, Option<N>) + Send + 'static,
    ) -> Self {
        self.call = self.call.on_progress_with(listener);
        self
    }

    /// Hands lines of the callee's log to `listener`, where the stream is polled. See [`Call::on_log`].
    pub fn on_log<V: DeserializeOwned>(
        mut self,
        listener: impl FnMut(i64, V) + Send + 'static,
    ) -> Self {
        self.call = self.call.on_log(listener);
        self
    }
}

impl<P, T, E, C> StreamCall<P, T, E, C>
where
    P: Params,
    T: DeserializeOwned + Send + 'static,
    E: DomainError,
    C: Caller,
{
    /// Sends the request now, if there is room, and returns the stream of its results. What goes wrong is its first
    /// item.
    pub fn start(self) -> Streaming<T, E, C> {
        Streaming::open(self.call, None)
    }
}
