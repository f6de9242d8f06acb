//! What the macro registers.

use super::Method;
use super::detached::{Blocking, Spawned};
use super::inline::{Inline, TypedMethod};
use super::sink::{StreamSink, Streamed, TypedStreamMethod};
use crate::blocking::{BlockingPool, PoolFull};
use crate::context::Context;
use crate::error::DomainError;
use crate::events::{Events, Lag};
use crate::method::MethodInfo;
use crate::router::Route;
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::convert::Infallible;
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

/// The methods of a service, as they are registered.
#[derive(Default)]
pub struct Routes {
    routes: Vec<Route>,
    events: Vec<Declaration>,
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
    /// A method that is polled where its request was read.
    pub fn unary<P, T, E, H, F>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        let method = Inline::new(handler);
        let typed: Arc<dyn TypedMethod<P, T, E>> = Arc::<Inline<H, P, F>>::clone(&method);
        self.push(info, Box::new(method), typed);
    }

    /// A notification that is polled where it was read.
    pub fn notification<P, H, F>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
    {
        self.unary(info, move |context, params| {
            let future = handler(context, params);
            async move {
                future.await;
                Ok::<(), Infallible>(())
            }
        });
    }

    /// A method that runs in a task of its own.
    pub fn spawned<P, T, E, H, F>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        let handler = Arc::new(handler);
        let method = Spawned::new(Arc::clone(&handler));
        let typed = Inline::new(move |context, params: P| {
            let task = AbortOnDrop(tokio::spawn(handler(context, params)));
            task.joined()
        });
        let typed: Arc<dyn TypedMethod<P, T, E>> = typed;
        self.push(info, Box::new(method), typed);
    }

    /// A notification that runs in a task of its own.
    pub fn spawned_notification<P, H, F>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
    {
        self.spawned(info, move |context, params| {
            let future = handler(context, params);
            async move {
                future.await;
                Ok::<(), Infallible>(())
            }
        });
    }

    /// A plain function that runs on the blocking pool.
    pub fn blocking<P, T, E, H>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P) -> Result<T, E> + Send + Sync + 'static,
        P: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        let handler = Arc::new(handler);
        let method = Blocking::new(Arc::clone(&handler));
        let typed = Inline::new(move |context: Context, params: P| {
            let handler = Arc::clone(&handler);
            let pool = context.blocking_pool().clone();
            on_pool(pool, move || handler(context, params))
        });
        let typed: Arc<dyn TypedMethod<P, T, E>> = typed;
        self.push(info, Box::new(method), typed);
    }

    /// A plain function without an answer that runs on the blocking pool.
    pub fn blocking_notification<P, H>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P) + Send + Sync + 'static,
        P: DeserializeOwned + Send + 'static,
    {
        self.blocking(info, move |context, params| {
            handler(context, params);
            Ok::<(), Infallible>(())
        });
    }

    /// A method with a stream of results, polled as far as the caller gives credit. The future of the handler gives
    /// its stream to the sink, and so the stream may borrow from what the future owns.
    pub fn stream<P, T, E, H, F>(&mut self, info: &'static MethodInfo, handler: H)
    where
        H: Fn(Context, P, StreamSink<T, E>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
        T: Serialize + Send + 'static,
        E: DomainError,
    {
        let method = Streamed::new(handler);
        let typed: Arc<dyn TypedStreamMethod<P, T, E>> =
            Arc::<Streamed<H, P, T, E>>::clone(&method);
        self.push_any(info, Box::new(method), Box::new(typed));
    }

    /// What happens under a topic when a subscriber is too slow. See [`Events::declare_default`].
    pub fn event(&mut self, topic: &'static str, lag: Option<Lag>, capacity: Option<usize>) {
        self.events.push(Declaration {
            topic,
            lag,
            capacity,
        });
    }

    fn push<P: 'static, T: 'static, E: 'static>(
        &mut self,
        info: &'static MethodInfo,
        handler: Box<dyn Method>,
        typed: Arc<dyn TypedMethod<P, T, E>>,
    ) {
        self.push_any(info, handler, Box::new(typed));
    }

    fn push_any(
        &mut self,
        info: &'static MethodInfo,
        handler: Box<dyn Method>,
        typed: Box<dyn Any + Send + Sync>,
    ) {
        self.routes.push(Route {
            service: info.service().into(),
            method: info.name().into(),
            handler,
            typed,
        });
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
