//! What the macro registers.

use super::Method;
use super::detached::{Blocking, Spawned};
use super::inline::{Direct, Inline, Start, Value};
use super::output::{Output, ViaResult, ViaValue};
use super::sink::{StreamSink, Streamed, TypedStreamMethod};
use super::validated::ValidatedRoutes;
use crate::blocking::{BlockingPool, PoolFull};
use crate::context::Context;
use crate::error::DomainError;
use crate::events::{Events, Lag};
use crate::method::{MethodInfo, MethodKind};
use crate::params::Reads;
use crate::router::Route;
use crate::validate::{CheckParams, CheckResult, Unchecked};
use mynah_codec::Format;
use mynah_contract::Contract;
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError};
use serde::Serialize;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A service that can be registered. Implemented by the macro for `…Service` types.
pub trait Service: Send + Sync + 'static {
    /// Its name on the wire.
    fn name(&self) -> &'static str;

    /// Hands out its methods.
    fn register(self, routes: &mut Routes);
}

/// A free function that can be added to a router. Implemented by `#[mynah::export]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no exported function",
    note = "mark the function: `#[mynah::export]`; a closure or a plain function has a name of its own: `Router::method(\"name\", function)`"
)]
pub trait Export: Send + Sync + 'static {
    /// Hands out its method.
    fn export(self, routes: &mut Routes);
}

/// The methods of a service, as they are registered.
#[derive(Default)]
pub struct Routes {
    routes: Vec<Route>,
    events: Vec<Declaration>,
    contracts: Vec<fn() -> Contract>,
}

/// What a contract says of a topic.
pub(crate) struct Declaration {
    topic: &'static str,
    lag: Option<Lag>,
    capacity: Option<usize>,
}

impl Declaration {
    pub(crate) fn apply(&self, events: &Events) {
        events.declare_default(self.topic, self.lag, self.capacity);
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("len", &self.routes.len())
            .finish()
    }
}

impl Routes {
    /// The same, with params and results held against [`Validate`](crate::Validate).
    pub const fn validated(&mut self) -> ValidatedRoutes<'_> {
        ValidatedRoutes { routes: self }
    }

    /// A method that is polled where its request was read.
    pub fn unary<P, T, E, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        P: Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        self.inline::<_, _, _, ViaResult, Unchecked>(
            info,
            MethodKind::Unary,
            reads,
            Direct(handler),
        );
    }

    /// A notification that is polled where it was read.
    pub fn notification<P, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: Send + 'static,
    {
        let start = Direct(handler);
        self.inline::<_, _, _, ViaValue, Unchecked>(info, MethodKind::Notification, reads, start);
    }

    /// A method that runs in a task of its own.
    pub fn spawned<P, T, E, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        P: Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        self.task::<_, _, _, _, ViaResult, Unchecked>(info, MethodKind::Unary, reads, handler);
    }

    /// A notification that runs in a task of its own.
    pub fn spawned_notification<P, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: Send + 'static,
    {
        self.task::<_, _, _, _, ViaValue, Unchecked>(
            info,
            MethodKind::Notification,
            reads,
            handler,
        );
    }

    /// A plain function that runs on the blocking pool.
    pub fn blocking<P, T, E, H>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) -> Result<T, E> + Send + Sync + 'static,
        P: Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        self.thread::<_, _, _, _, ViaResult, Unchecked>(info, MethodKind::Unary, reads, handler);
    }

    /// A plain function without an answer that runs on the blocking pool.
    pub fn blocking_notification<P, H>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P) + Send + Sync + 'static,
        P: Send + 'static,
    {
        self.thread::<_, _, _, _, ViaValue, Unchecked>(
            info,
            MethodKind::Notification,
            reads,
            handler,
        );
    }

    /// A method with a stream of results, polled as far as the caller gives credit. The future of the handler gives
    /// its stream to the sink, and so the stream may borrow from what the future owns.
    pub fn stream<P, T, E, H, F>(
        &mut self,
        info: &'static MethodInfo,
        reads: impl Reads<P>,
        handler: H,
    ) where
        H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        self.streamed::<_, _, _, _, _, _, Unchecked>(info, reads, handler);
    }

    /// What happens under a topic when a subscriber is too slow. See [`Events::declare_default`].
    pub fn event(&mut self, topic: &'static str, lag: Option<Lag>, capacity: Option<usize>) {
        self.events.push(Declaration {
            topic,
            lag,
            capacity,
        });
    }

    pub(super) fn inline<P, S, R, O, C>(
        &mut self,
        info: &'static MethodInfo,
        kind: MethodKind,
        reads: R,
        start: S,
    ) where
        S: Start<P>,
        S::Future: Future<Output: Output<O>>,
        R: Reads<P>,
        P: Send + 'static,
        O: 'static,
        C: CheckParams<P> + CheckResult<Value<S::Future, O>>,
    {
        let method: Arc<Inline<S, P, R, O, C>> = Inline::new(start, reads);
        let typed = Arc::clone(&method).typed();
        self.push(info, kind, Box::new(method), typed);
    }

    pub(super) fn task<P, H, F, R, O, C>(
        &mut self,
        info: &'static MethodInfo,
        kind: MethodKind,
        reads: R,
        handler: H,
    ) where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output: Output<O>> + Send + 'static,
        R: Reads<P>,
        P: Send + 'static,
        O: 'static,
        C: CheckParams<P> + CheckResult<Value<F, O>>,
    {
        let handler = Arc::new(handler);
        let names = Named(reads.names());
        let method = Spawned::<H, P, R, O, C>::new(Arc::clone(&handler), reads);
        let start = Direct(move |context, params: P| {
            AbortOnDrop(tokio::spawn(handler(context, params))).joined()
        });
        let typed: Arc<Inline<_, P, Named, O, C>> = Inline::new(start, names);
        self.push(info, kind, Box::new(method), typed.typed());
    }

    pub(super) fn thread<P, H, G, R, O, C>(
        &mut self,
        info: &'static MethodInfo,
        kind: MethodKind,
        reads: R,
        handler: H,
    ) where
        H: Fn(Context, P) -> G + Send + Sync + 'static,
        G: Output<O>,
        R: Reads<P>,
        P: Send + 'static,
        O: 'static,
        C: CheckParams<P> + CheckResult<G::Value>,
    {
        let handler = Arc::new(handler);
        let names = Named(reads.names());
        let method = Blocking::<H, P, R, O, C>::new(Arc::clone(&handler), reads);
        let start = Direct(move |context: Context, params: P| {
            let handler = Arc::clone(&handler);
            let pool = context.blocking_pool().clone();
            on_pool(pool, move || handler(context, params))
        });
        let typed: Arc<Inline<_, P, Named, O, C>> = Inline::new(start, names);
        self.push(info, kind, Box::new(method), typed.typed());
    }

    pub(super) fn streamed<P, T, E, H, F, R, C>(
        &mut self,
        info: &'static MethodInfo,
        reads: R,
        handler: H,
    ) where
        H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        R: Reads<P>,
        P: Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
        C: CheckParams<P> + CheckResult<T>,
    {
        let method = Streamed::<H, P, R, T, E, C>::new(handler, reads, false);
        let other = Arc::clone(&method);
        let typed: Arc<dyn TypedStreamMethod<P, T, E>> = other;
        self.push(info, MethodKind::Stream, Box::new(method), Box::new(typed));
    }

    fn push(
        &mut self,
        info: &'static MethodInfo,
        kind: MethodKind,
        handler: Box<dyn Method>,
        typed: Box<dyn Any + Send + Sync>,
    ) {
        self.routes.push(Route::of(info, kind, handler, typed));
    }

    /// What makes the contract of the service when somebody asks.
    pub fn contract(&mut self, contract: fn() -> Contract) {
        self.contracts.push(contract);
    }

    pub(crate) fn take_contracts(&mut self) -> Vec<fn() -> Contract> {
        std::mem::take(&mut self.contracts)
    }

    pub(crate) fn into_parts(self) -> (Vec<Route>, Vec<Declaration>) {
        (self.routes, self.events)
    }
}

/// Runs a function on a pool, unless whoever waits for it is gone before its turn. In process the permits of the server
/// bound how many wait. A panic goes on in the one who waits.
fn on_pool<R: Send + 'static>(
    pool: BlockingPool,
    function: impl FnOnce() -> R + Send + 'static,
) -> impl Future<Output = R> + Send {
    let (done, result) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let taken = pool.run_always(move || {
        let _entered = runtime.enter();
        if !done.is_closed() {
            let result = catch_unwind(AssertUnwindSafe(function));
            // Nobody may be waiting any more.
            let _unheard = done.send(result);
        }
    });
    async move {
        if let Err(PoolFull) = taken {
            // There is no thread at all, and there will be none.
            std::panic::resume_unwind(Box::new("no thread for a blocking handler"));
        }
        match result.await {
            Ok(Ok(result)) => result,
            Ok(Err(payload)) => std::panic::resume_unwind(payload),
            // Only the end of the process ends a pool with work in it.
            Err(_gone) => std::future::pending().await,
        }
    }
}

/// For params that are never read: a caller in the same process passes them as they are.
struct Named(&'static [&'static str]);

impl<P> Reads<P> for Named {
    fn names(&self) -> &'static [&'static str] {
        self.0
    }

    fn read(&self, _: &[u8], _: Format, _: &DecodeLimits) -> Result<P, Box<RpcError>> {
        let text = "these params are not read";
        Err(Box::new(RpcError::new(ErrorCode::INTERNAL, text)))
    }
}

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    /// The result; a panic of the task goes on in the one who waits.
    async fn joined(mut self) -> T {
        match (&mut self.0).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                // Only dropping this future aborts the task, or the end of the runtime.
                Err(_aborted) => std::future::pending().await,
            },
        }
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
