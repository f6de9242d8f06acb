//! Calls of methods whose names are known when the program runs.

use super::{Attachments, Call, Caller, Notify};
use crate::context::Context;
use crate::error::DomainError;
use crate::events::{ALL_TOPICS, Subscribe, Subscription};
use crate::method::Target;
use crate::params::{And, IntoArg, IntoArgs, NamedParams, Object, Params};
use crate::stream::{StreamCall, Streaming};
use mynah_protocol::{OPERATION_ID, RpcError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What can be said through any [`Caller`] without a contract: a peer, a pool, a wrapper, a mock.
pub trait CallerExt: Caller + Clone + Sized {
    /// A call by name. Nothing is sent before [`CallBuilder::result`], [`stream`](CallBuilder::stream) or
    /// [`notify`](CallBuilder::notify) is made of it, and awaited or polled.
    ///
    /// An empty `service` calls a method by its own name alone, for a service without a name, or a wire that has no
    /// services.
    fn call(
        &self,
        service: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> CallBuilder<Self> {
        let target = Target::named(service, method);
        CallBuilder {
            call: Call::to(self.clone(), target, ()),
        }
    }

    /// The events of a topic of the other side, subscribed to when this is called. See
    /// [`Peer::events`](crate::Peer::events).
    fn events<T>(&self, topic: impl Into<Box<str>>) -> Subscription<T, Self>
    where
        T: DeserializeOwned + Send + 'static,
    {
        Subscribe::new(self.clone(), topic).start()
    }

    /// The events of all topics of the other side, each with its topic.
    fn events_any<T>(&self) -> Subscription<(String, T), Self>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.events(ALL_TOPICS)
    }
}

impl<C: Caller + Clone> CallerExt for C {}

/// A call by name before it is known what comes back.
///
/// Params are given in one of three ways: [`args`](Self::args) in order, [`arg`](Self::arg) each with its name, or
/// [`params`](Self::params) as one object. Which of them a wire can say, the table at [`Params`] tells; a Mynah server
/// reads all of them.
///
/// Streams and functions that go with the call are params of their own: see [`Attached`](crate::Attached).
#[must_use = "a call is made of its result, its stream or its notification"]
pub struct CallBuilder<C, P = ()> {
    call: Call<P, (), RpcError, C>,
}

impl<C, P> fmt::Debug for CallBuilder<C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallBuilder").field(&self.call).finish()
    }
}

impl<C> CallBuilder<C, ()> {
    /// All params, in order: a tuple with one element for each, `(5,)` for one. Those at the end that are `None` are left
    /// out.
    #[inline]
    pub fn args<A: IntoArgs>(self, args: A) -> CallBuilder<C, A::Params> {
        self.with(|(), attachments| args.into_args(attachments))
    }

    /// One value that is all of the params: a struct or a map from their names, as a rule. A reference will do.
    #[inline]
    pub fn params<T: Serialize + Send>(self, params: T) -> CallBuilder<C, Object<T>> {
        self.with(|(), _| Object(params))
    }
}

impl<C, P: NamedParams> CallBuilder<C, P> {
    /// One param, by its name. One that is `None` is left out, as a typed client leaves it out; `()` is a null.
    #[inline]
    pub fn arg<A: IntoArg>(
        self,
        name: impl Into<Cow<'static, str>>,
        value: A,
    ) -> CallBuilder<C, And<P, A::Param>> {
        self.with(|before, attachments| And::new(before, name.into(), value.into_arg(attachments)))
    }
}

impl<C, P> CallBuilder<C, P> {
    #[inline]
    fn with<Q>(self, params: impl FnOnce(P, &mut Attachments) -> Q) -> CallBuilder<C, Q> {
        CallBuilder {
            call: self.call.with_params(params),
        }
    }

    /// The time for the whole call. See [`Call::deadline`].
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.call = self.call.deadline(timeout);
        self
    }

    /// No deadline, not even the default one.
    pub fn no_deadline(mut self) -> Self {
        self.call = self.call.no_deadline();
        self
    }

    /// The call ends no later than the one that is being handled, and goes on with its trace.
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
    pub fn operation_id(self, id: impl Into<Box<str>>) -> Self {
        self.metadata(OPERATION_ID, id)
    }

    /// An id of the program's own for the call, on wires whose ids are texts. See [`Call::id`].
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.call = self.call.id(id);
        self
    }

    /// The method may run more than once for one call, as `#[idempotent]` says it in a contract: a caller that
    /// reconnects makes the call again when its fate is unknown.
    pub fn idempotent(mut self) -> Self {
        self.call.target.set_idempotent();
        self
    }

    /// Hands progress to `listener`. See [`Call::on_progress`].
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

    /// Hands lines of the callee's log to `listener`. See [`Call::on_log`].
    pub fn on_log<V: DeserializeOwned>(
        mut self,
        listener: impl FnMut(i64, V) + Send + 'static,
    ) -> Self {
        self.call = self.call.on_log(listener);
        self
    }

    /// The call with one result of this type. Await it, or [`start`](Call::start) it.
    ///
    /// An error of the handler is [`CallError::Application`](crate::CallError::Application) of the error as it travelled.
    #[inline]
    pub fn result<T>(self) -> Call<P, T, RpcError, C> {
        self.call.typed()
    }

    /// The same with errors of a type that the two programs agree on; others are
    /// [`CallError::Remote`](crate::CallError::Remote).
    #[inline]
    pub fn result_or<T, E: DomainError>(self) -> Call<P, T, E, C> {
        self.call.typed()
    }
}

impl<C: Caller, P: Params> CallBuilder<C, P> {
    /// Sends the request now, if there is room, and gives the stream of its results. What goes wrong is its first item.
    ///
    /// The default deadline covers the time to the first item; a deadline that is set covers the whole stream.
    pub fn stream<T: DeserializeOwned + Send + 'static>(self) -> Streaming<T, RpcError, C> {
        self.stream_or()
    }

    /// The same with errors of a type that the two programs agree on.
    pub fn stream_or<T, E>(self) -> Streaming<T, E, C>
    where
        T: DeserializeOwned + Send + 'static,
        E: DomainError,
    {
        StreamCall::of(self.call.typed()).start()
    }

    /// A notification: await it to send it. What has to do with an answer is left out of it: deadlines, progress, logs.
    ///
    /// With a stream or a callback among its params it fails: they live as long as their call, and a notification has
    /// no end.
    pub fn notify(self) -> Notify<P, C> {
        Notify::of(self.call)
    }
}
