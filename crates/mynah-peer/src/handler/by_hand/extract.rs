//! What a handler can take of its call.

use crate::context::Context;
use crate::events::Events;
use crate::handler;
use crate::peer::Peer;
use mynah_protocol::{Evidence, Metadata, RpcError};
use std::any::{TypeId, type_name};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What a handler made by hand can take of its call, as an argument of its own before the params.
///
/// Implement it for what several handlers want alike: who the caller is, a transaction, a tenant.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a handler can take of its call",
    note = "before its params a handler takes `Context`, `State<T>`, `ServerState<T>`, `Peer`, `Evidence`, or what implements `mynah::FromContext`"
)]
pub trait FromContext: Sized + Send + 'static {
    /// Takes it. It runs where the request was read, before the handler, and must not block.
    ///
    /// # Errors
    /// The call ends with this error, and its handler is not started.
    fn from_context(cx: &Context) -> Result<Self, RpcError>;

    /// The same for the last one who wants the context.
    #[doc(hidden)]
    #[inline]
    fn from_owned(cx: Context) -> Result<Self, RpcError> {
        Self::from_context(&cx)
    }

    /// Says what must have been given to the router, so that a router without it does not start. Nothing unless it is
    /// implemented.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// What handlers need of the server state, gathered when they are registered.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    pub(crate) states: Vec<(TypeId, &'static str)>,
}

impl Needs {
    /// It needs server state of this type: [`Router::state`](crate::Router::state).
    pub fn server_state<T: Send + Sync + 'static>(&mut self) {
        self.states.push((TypeId::of::<T>(), type_name::<T>()));
    }
}

impl FromContext for Context {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        Ok(cx.clone())
    }

    #[inline]
    fn from_owned(cx: Context) -> Result<Self, RpcError> {
        Ok(cx)
    }
}

/// The other side, to call it back: [`Context::peer`].
impl FromContext for Peer {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        Ok(cx.peer())
    }
}

/// What the transport knows about the other side: [`Context::evidence`].
impl FromContext for Evidence {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        Ok(cx.evidence().clone())
    }
}

/// What came beside the params: [`Context::metadata`].
impl FromContext for Metadata {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        Ok(cx.metadata().clone())
    }
}

/// What this side publishes: [`Context::events`].
impl FromContext for Events {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        Ok(cx.events())
    }
}

/// A value of the connection, as an argument of a handler: [`Context::state`]. The first who asks for it makes it.
pub struct State<T>(pub Arc<T>);

/// A value of the server, as an argument of a handler: [`Context::server_state`]. A router whose handlers take one that
/// was not given with [`Router::state`](crate::Router::state) does not start.
pub struct ServerState<T>(pub Arc<T>);

impl<T: Default + Send + Sync + 'static> FromContext for State<T> {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        Ok(Self(cx.state()))
    }
}

impl<T: Send + Sync + 'static> FromContext for ServerState<T> {
    fn from_context(cx: &Context) -> Result<Self, RpcError> {
        if let Some(state) = cx.server_state() {
            return Ok(Self(state));
        }
        // The router was asked when it started; a method that was added later may come here.
        let incident = handler::incident();
        tracing::error!(incident, state = type_name::<T>(), "server state is absent");
        Err(handler::internal(&incident))
    }

    fn needs(needs: &mut Needs) {
        needs.server_state::<T>();
    }
}

macro_rules! states {
    ($($name:ident)*) => { $(
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self(Arc::clone(&self.0))
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }

        impl<T> Deref for $name<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }
    )* };
}

states!(State ServerState);
