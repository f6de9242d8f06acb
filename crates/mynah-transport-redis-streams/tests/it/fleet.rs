//! A redis-server, and servers and clients on it.

use mynah::prelude::*;
use mynah::{RpcError, ServerHandle};
use mynah_testkit::redis::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

#[mynah::service]
pub(crate) trait Arith {
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
    async fn fail(&self, code: i64) -> Result<i64, RpcError>;
    /// Waits until it is let through.
    async fn wait(&self, cx: &Context, name: String) -> Result<String, RpcError>;
    async fn echo(&self, text: String) -> Result<String, RpcError>;
    #[notification]
    async fn touch(&self, key: String);
}

#[derive(Clone, Default)]
pub(crate) struct MyArith {
    pub(crate) state: Arc<State>,
}

pub(crate) struct State {
    pub(crate) runs: AtomicU64,
    pub(crate) touched: std::sync::Mutex<Vec<String>>,
    pub(crate) deliveries: std::sync::Mutex<Vec<mynah::Delivery>>,
    pub(crate) began: Semaphore,
    pub(crate) gate: Semaphore,
    pub(crate) changed: Notify,
    /// Calls of `wait` that were stopped.
    pub(crate) stopped: AtomicU64,
}

/// Counts a call that does not come to its end.
struct Stopped<'s>(Option<&'s State>);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            state.stopped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            runs: AtomicU64::new(0),
            touched: Default::default(),
            deliveries: Default::default(),
            began: Semaphore::new(0),
            gate: Semaphore::new(0),
            changed: Notify::new(),
            stopped: AtomicU64::new(0),
        }
    }
}

impl Arith for MyArith {
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
        self.state.runs.fetch_add(1, Ordering::SeqCst);
        if let Some(delivery) = cx.delivery() {
            self.state.deliveries.lock().unwrap().push(delivery);
        }
        Ok(a + b)
    }

    async fn fail(&self, code: i64) -> Result<i64, RpcError> {
        Err(RpcError::new(ErrorCode::from_wire(code), "wanted"))
    }

    async fn wait(&self, cx: &Context, name: String) -> Result<String, RpcError> {
        self.state.runs.fetch_add(1, Ordering::SeqCst);
        if let Some(delivery) = cx.delivery() {
            self.state.deliveries.lock().unwrap().push(delivery);
        }
        self.state.began.add_permits(1);
        let mut stopped = Stopped(Some(&self.state));
        self.state.gate.acquire().await.unwrap().forget();
        stopped.0 = None;
        Ok(name)
    }

    async fn echo(&self, text: String) -> Result<String, RpcError> {
        Ok(text)
    }

    async fn touch(&self, key: String) {
        self.state.touched.lock().unwrap().push(key);
        self.state.changed.notify_waiters();
    }
}

impl State {
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until so many more calls of `wait` have begun.
    pub(crate) async fn begun(&self, count: u32) {
        within(self.began.acquire_many(count))
            .await
            .unwrap()
            .forget();
    }
}

/// A bound for what is to happen, no measure.
pub(crate) async fn within<T>(what: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what.into_future())
        .await
        .expect("it happens in time")
}

/// Looks until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    within(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn redis() -> RedisServer {
    RedisServer::start().await.expect("redis-server starts")
}

pub(crate) fn url(redis: &RedisServer, options: &str) -> String {
    let options = if options.is_empty() {
        String::new()
    } else {
        format!("&{options}")
    };
    format!("{}?prefix=app{options}", redis.url())
}

pub(crate) async fn serve(redis: &RedisServer, options: &str) -> (ServerHandle, Arc<State>) {
    let arith = MyArith::default();
    let state = Arc::clone(&arith.state);
    let server = Server::new()
        .register(ArithService::new(arith))
        .listen(&url(redis, options))
        .start()
        .await
        .unwrap();
    (server, state)
}

pub(crate) async fn connect(redis: &RedisServer, options: &str) -> ArithClient {
    mynah::connect(&url(redis, options)).await.unwrap().client()
}

/// How many entries a stream has.
pub(crate) async fn len(redis: &RedisServer, stream: &str) -> i64 {
    let len = redis.command(&["XLEN", stream]).await.unwrap();
    len.as_integer().unwrap()
}

/// How many entries are pending.
pub(crate) async fn pending(redis: &RedisServer) -> i64 {
    let summary = redis
        .command(&["XPENDING", "app:cmds:arith", "arith"])
        .await;
    summary.unwrap().items()[0].as_integer().unwrap()
}

/// Nothing is left of what was asked.
pub(crate) async fn settled(redis: &RedisServer) {
    until(async || len(redis, "app:cmds:arith").await == 0 && pending(redis).await == 0).await;
}
