//! Callbacks: functions that are passed as params.

mod function;
mod table;

pub(crate) use table::CallbackTable;

use crate::call::{Call, Notify};
use crate::context::Context;
use crate::error::{CallError, DomainError};
use crate::handler::{Bound, Direct, Inline, Method, ViaResult, catch, panicked, wanted};
use crate::intercept::{self, Observed};
use crate::local::LocalCall;
use crate::method::Target;
use crate::params::Plain;
use crate::peer::Peer;
use crate::stream::Attachment;
use crate::validate::Unchecked;
use function::{Asker, Function, Teller};
use mynah_protocol::{By, CALLBACK_SERVICE, RpcError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture as _, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;

/// What a callback gives back that gives back nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoReply {}

/// A function of the caller, as a param of a method.
///
/// `Callback<A>` tells the caller something ([`send`](Self::send)); `Callback<A, R>` asks it for a value
/// ([`call`](Self::call)). The caller passes a closure; it runs in the task of the caller's connection, so it must not
/// block.
///
/// A callback lives as long as its call: after the call's end it fails with [`CallError::Cancelled`]. It can be cloned
/// and used from any task or thread.
pub struct Callback<A, R = NoReply> {
    inner: Inner<A, R>,
}

enum Inner<A, R> {
    /// A function of this process.
    Own {
        number: u64,
        function: Arc<dyn Function<A, R>>,
        /// The call in this process that it came with; `None` while it is on its way.
        lease: Option<Arc<LocalCall>>,
    },
    /// As it was decoded.
    Unbound(Unbound),
    /// A function of the other side.
    Remote(Arc<Remote>),
}

/// A callback on its way to the handler that it is for.
#[derive(Clone)]
struct Unbound {
    number: u64,
    /// Where its call will be, for a handler that does not bind it itself.
    bound: Option<Bound>,
    remote: OnceLock<Arc<Remote>>,
}

impl Unbound {
    fn remote(&self) -> Result<&Arc<Remote>, CallError> {
        if let Some(remote) = self.remote.get() {
            return Ok(remote);
        }
        let context = self.bound.as_ref().and_then(|bound| bound.get());
        let context = context.ok_or(UNBOUND)?;
        let made = || Arc::new(Remote::new(self.number, context));
        Ok(self.remote.get_or_init(made))
    }
}

struct Remote {
    number: Box<str>,
    peer: Peer,
    /// That of the call that it came with.
    context: Context,
}

impl<A, R> Clone for Callback<A, R> {
    fn clone(&self) -> Self {
        Self {
            inner: match &self.inner {
                Inner::Own {
                    number,
                    function,
                    lease,
                } => Inner::Own {
                    number: *number,
                    function: Arc::clone(function),
                    lease: lease.clone(),
                },
                Inner::Unbound(unbound) => Inner::Unbound(unbound.clone()),
                Inner::Remote(remote) => Inner::Remote(Arc::clone(remote)),
            },
        }
    }
}

impl<A, R> fmt::Debug for Callback<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

/// What the other side calls.
fn method<P, T, E, H, F>(function: H) -> Arc<dyn Method>
where
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    P: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
    E: DomainError,
{
    let inline: Arc<Inline<_, P, Plain, ViaResult, Unchecked>> =
        Inline::new(Direct(function), Plain);
    Arc::new(inline)
}

/// A number for a callback of this process.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<A: DeserializeOwned + Send + 'static> Callback<A> {
    /// A function that is told something, and what goes with the call for it. Used by the macro.
    pub fn telling(function: impl FnMut(A) + Send + 'static) -> (Self, Attachment) {
        let number = next_number();
        let function: Arc<dyn Function<A, NoReply>> = Arc::new(Teller(Mutex::new(function)));
        let told = Arc::clone(&function);
        let method = method(move |_cx: Context, (value,): (A,)| {
            told.tell(value);
            ready(Ok::<(), Infallible>(()))
        });
        let inner = Inner::Own {
            number,
            function,
            lease: None,
        };
        (Self { inner }, Attachment::callback(number, method))
    }
}

impl<A: Serialize + Send + 'static> Callback<A> {
    /// Tells the caller something. Done when it stands in the output; the caller gets what was sent in order, and
    /// before the result of the call.
    ///
    /// Cancel safety: dropped before it is done, nothing was sent.
    ///
    /// # Errors
    /// - [`CallError::Cancelled`] after the end of the call that it came with.
    /// - [`CallError::Encode`], [`CallError::Disconnected`] as with a notification.
    pub async fn send(&self, value: A) -> Result<(), CallError> {
        match &self.inner {
            Inner::Own {
                number,
                function,
                lease,
            } => {
                check_lease(lease.as_deref())?;
                // A function that panics is the caller's, as it is over a connection.
                let Some(observed) = observed(lease.as_deref(), *number) else {
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| function.tell(value))) {
                        panicked(&*payload);
                    }
                    return Ok(());
                };
                let refused = |error| CallError::from_peer(error, true);
                admit(lease.as_deref(), &observed).await.map_err(refused)?;
                let told = async {
                    function.tell(value);
                    Ok(())
                };
                match catch(intercept::run(observed, told)).await {
                    Ok(told) => told.map_err(refused),
                    Err(payload) => {
                        panicked(&*payload);
                        Ok(())
                    }
                }
            }
            Inner::Unbound(unbound) => unbound.remote()?.tell(value).await,
            Inner::Remote(remote) => remote.tell(value).await,
        }
    }
}

impl<A, R> Callback<A, R>
where
    A: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    /// A function that is asked for something, and what goes with the call for it. Used by the macro.
    pub fn asking<F, U>(function: F) -> (Self, Attachment)
    where
        F: Fn(A) -> U + Send + Sync + 'static,
        U: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        let number = next_number();
        let function: Arc<dyn Function<A, R>> = Arc::new(Asker(function));
        let asked = Arc::clone(&function);
        let method = method(move |_cx: Context, (value,): (A,)| asked.call(value));
        let inner = Inner::Own {
            number,
            function,
            lease: None,
        };
        (Self { inner }, Attachment::callback(number, method))
    }
}

impl<A, R> Callback<A, R>
where
    A: Serialize + Send + 'static,
    R: DeserializeOwned + Send + 'static,
{
    /// Asks the caller for a value. It ends no later than the call that it came with.
    ///
    /// Cancel safety: dropped before its end, it is cancelled at the caller.
    ///
    /// # Errors
    /// - [`CallError::Application`] with what the function returned as its error.
    /// - [`CallError::Cancelled`] after the end of the call that it came with.
    /// - Anything that a call can fail with.
    pub async fn call(&self, value: A) -> Result<R, CallError<RpcError>> {
        match &self.inner {
            Inner::Own {
                number,
                function,
                lease,
            } => {
                check_lease(lease.as_deref()).map_err(CallError::widen)?;
                let refused = |error| CallError::from_peer(error, true);
                let observed = observed(lease.as_deref(), *number);
                if let Some(observed) = &observed {
                    admit(lease.as_deref(), observed).await.map_err(refused)?;
                }
                let asked = async { function.call(value).await };
                let reply = async {
                    let replied = match observed {
                        Some(observed) => catch(intercept::run(observed, asked)).await,
                        None => catch(asked).await,
                    };
                    // A function that panics is the caller's, as it is over a connection.
                    replied
                        .unwrap_or_else(|payload| Err(*panicked(&*payload)))
                        .map_err(refused)
                };
                match lease {
                    Some(lease) => before(lease.cancelled(), reply).await,
                    None => reply.await,
                }
            }
            Inner::Unbound(unbound) => {
                let remote = unbound.remote().map_err(CallError::widen)?;
                remote.ask(value).await
            }
            Inner::Remote(remote) => remote.ask(value).await,
        }
    }
}

const UNBOUND: CallError =
    CallError::Misuse("a callback is a param of its own, not a part of another value");

/// What a callback gives back, unless the call that it came with ends before.
async fn before<R>(
    end: impl Future,
    reply: impl Future<Output = Result<R, CallError<RpcError>>>,
) -> Result<R, CallError<RpcError>> {
    let (mut end, mut reply) = (pin!(end), pin!(reply));
    poll_fn(|cx| {
        if let Poll::Ready(replied) = reply.as_mut().poll(cx) {
            return Poll::Ready(replied);
        }
        end.as_mut()
            .poll(cx)
            .map(|_over| Err(CallError::Cancelled(By::Caller)))
    })
    .await
}

/// Whether the call within the process that a callback came with is still in flight.
fn check_lease(lease: Option<&LocalCall>) -> Result<(), CallError> {
    match lease {
        Some(call) if call.is_cancelled() => Err(CallError::Cancelled(By::Caller)),
        Some(_) | None => Ok(()),
    }
}

/// What is kept for a call of a callback within the process, if somebody on its side looks at it.
fn observed(lease: Option<&LocalCall>, number: u64) -> Option<Arc<Observed>> {
    lease?.observe_callback(number)
}

async fn admit(lease: Option<&LocalCall>, observed: &Arc<Observed>) -> Result<(), RpcError> {
    let evidence = lease.map(LocalCall::evidence);
    intercept::admitted(observed, evidence, lease.and_then(LocalCall::deadline)).await
}

impl Remote {
    fn new(number: u64, context: &Context) -> Self {
        Self {
            number: number.to_string().into(),
            peer: context.peer(),
            context: context.clone(),
        }
    }

    async fn tell<A: Serialize + Send + 'static>(&self, value: A) -> Result<(), CallError> {
        self.check()?;
        Notify::to(self.peer.clone(), self.target(), (value,)).await
    }

    async fn ask<A, R>(&self, value: A) -> Result<R, CallError<RpcError>>
    where
        A: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        self.check().map_err(CallError::widen)?;
        // It has the deadline of its call, which the peer of the context brings along.
        let call = Call::to(self.peer.clone(), self.target(), (value,)).no_deadline();
        before(self.context.cancelled(), call.into_future()).await
    }

    fn target(&self) -> Target {
        Target::named(CALLBACK_SERVICE, self.number.to_string())
    }

    /// Whether the call that it came with is still in flight. A caller that has cancelled it listens no more.
    fn check(&self) -> Result<(), CallError> {
        if self.context.is_cancelled() {
            return Err(CallError::Cancelled(By::Caller));
        }
        match self.context.facts() {
            Some(facts) if !facts.capabilities.callbacks => Err(CallError::Unsupported {
                dialect: facts.dialect,
                feature: "callbacks",
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl<A, R> Callback<A, R> {
    /// The callback of the call of this context. Used by the macro.
    #[must_use]
    pub fn bind(self, context: &Context) -> Self {
        let number = match self.inner {
            Inner::Unbound(ref unbound) => unbound.number,
            Inner::Own {
                number, function, ..
            } => {
                let lease = context.local_call().cloned();
                let inner = Inner::Own {
                    number,
                    function,
                    lease,
                };
                return Self { inner };
            }
            Inner::Remote(_) => return self,
        };
        if context.link().is_none() {
            return self;
        }
        Self {
            inner: Inner::Remote(Arc::new(Remote::new(number, context))),
        }
    }
}

impl<A, R> Serialize for Callback<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.inner {
            Inner::Own { number, .. } => serializer.serialize_u64(*number),
            Inner::Unbound(_) | Inner::Remote(_) => Err(serde::ser::Error::custom(
                "a callback of a peer cannot be passed on: pass a closure that calls it",
            )),
        }
    }
}

impl<'de, A, R> Deserialize<'de> for Callback<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Ok(Self {
            inner: Inner::Unbound(Unbound {
                number,
                bound: wanted(),
                remote: OnceLock::new(),
            }),
        })
    }
}
