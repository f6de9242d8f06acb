//! Layers of tower around real calls, on both sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mynah::prelude::*;
use mynah::{CallOutcome, Router};
use mynah_tower::{CallRequest, CallResponse, TowerLayer};
use std::future::IntoFuture as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use tower::buffer::BufferLayer;
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::{Layer, Service, ServiceBuilder};

#[mynah::service]
trait Work {
    async fn quick(&self) -> u64;
    /// Runs until the gate opens.
    async fn gated(&self) -> u64;
    async fn hangs(&self);
    #[spawn]
    async fn hangs_spawned(&self);
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    most: AtomicUsize,
}

struct MyWork {
    shared: Arc<Shared>,
    gate: Arc<tokio::sync::Semaphore>,
}

struct Runs<'a>(&'a Shared);

impl<'a> Runs<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let running = shared.running.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most.fetch_max(running, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work for MyWork {
    async fn quick(&self) -> u64 {
        1
    }

    async fn gated(&self) -> u64 {
        let _runs = Runs::begin(&self.shared);
        self.gate.acquire().await.unwrap().forget();
        1
    }

    async fn hangs(&self) {
        let _runs = Runs::begin(&self.shared);
        std::future::pending::<()>().await;
    }

    async fn hangs_spawned(&self) {
        let _runs = Runs::begin(&self.shared);
        std::future::pending::<()>().await;
    }
}

struct Both {
    client: Peer,
    /// In process, or the other end.
    _server: Box<dyn std::any::Any>,
    shared: Arc<Shared>,
    gate: Arc<tokio::sync::Semaphore>,
}

/// Over a connection in memory, or within the process.
async fn both(linked: bool, intercept: impl FnOnce(Router) -> Router) -> Both {
    let shared = Arc::new(Shared::default());
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let work = MyWork {
        shared: Arc::clone(&shared),
        gate: Arc::clone(&gate),
    };
    let router = intercept(Router::new().register(WorkService::new(work)));
    let (client, server): (Peer, Box<dyn std::any::Any>) = if linked {
        let (near, far) = tokio::io::duplex(4096);
        let native = mynah::dialect::Native::new();
        let far = Peer::over(far, &native)
            .side(mynah::dialect::Side::Accept)
            .router(router)
            .start()
            .unwrap();
        (Peer::over(near, &native).start().unwrap(), Box::new(far))
    } else {
        let server = Server::new().router(router).start().await.unwrap();
        (server.local(), Box::new(server))
    };
    Both {
        client,
        _server: server,
        shared,
        gate,
    }
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_limit_of_concurrency_holds_on_both_sides() {
    for linked in [true, false] {
        for on_client in [false, true] {
            let limit = || TowerLayer::new(ConcurrencyLimitLayer::new(2));
            let both = both(linked, |router| {
                if on_client {
                    router
                } else {
                    router.intercept(limit())
                }
            })
            .await;
            let mut peer = both.client.clone();
            if on_client {
                peer = peer.with_interceptor(limit());
            }
            let client: WorkClient = peer.client();
            let mut calls: Vec<_> = (0..5)
                .map(|_| tokio::spawn(client.gated().into_future()))
                .collect();
            settle().await;
            assert_eq!(both.shared.running.load(Ordering::SeqCst), 2);
            // One that is given up lets another in.
            calls.remove(0).abort();
            settle().await;
            both.gate.add_permits(4);
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap(), 1);
            }
            assert_eq!(both.shared.most.load(Ordering::SeqCst), 2);
            assert_eq!(both.shared.running.load(Ordering::SeqCst), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_stops_the_handler() {
    for linked in [true, false] {
        for on_client in [false, true] {
            let timeout = || TowerLayer::new(TimeoutLayer::new(Duration::from_secs(1)));
            let both = both(linked, |router| {
                if on_client {
                    router
                } else {
                    router.intercept(timeout())
                }
            })
            .await;
            let mut peer = both.client.clone();
            if on_client {
                peer = peer.with_interceptor(timeout());
            }
            let client: WorkClient = peer.client();
            assert_eq!(client.quick().await.unwrap(), 1);
            for spawned in [false, true] {
                let call = if spawned {
                    client.hangs_spawned()
                } else {
                    client.hangs()
                };
                let error = call.no_deadline().await.unwrap_err();
                assert!(
                    matches!(error, CallError::Deadline),
                    "{linked} {on_client}: {error:?}"
                );
                settle().await;
                assert_eq!(both.shared.running.load(Ordering::SeqCst), 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_rate_spreads_calls() {
    for linked in [true, false] {
        let rate = ServiceBuilder::new()
            .layer(BufferLayer::new(16))
            .layer(RateLimitLayer::new(2, Duration::from_secs(1)))
            .into_inner();
        let both = both(linked, |router| router.intercept(TowerLayer::new(rate))).await;
        let client: WorkClient = both.client.client();
        let began = tokio::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(client.quick().no_deadline().await.unwrap(), 1);
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(2), "{took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

#[tokio::test]
async fn what_a_layer_sheds_is_busy_and_may_be_tried_again() {
    for linked in [true, false] {
        let sheds = ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(1))
            .into_inner();
        let both = both(linked, |router| router.intercept(TowerLayer::new(sheds))).await;
        let client: WorkClient = both.client.client();
        let first = client.gated().start();
        settle().await;
        let error = client.gated().await.unwrap_err();
        assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
        assert!(error.is_retryable());
        both.gate.add_permits(1);
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(client.quick().await.unwrap(), 1);
    }
}

/// What a layer saw: a name, and an end if there was one.
type Line = (String, Option<CallOutcome>);

/// A layer of one's own: sees names and ends, and may refuse or call twice.
#[derive(Clone, Default)]
struct Sees {
    seen: Arc<Mutex<Vec<Line>>>,
    refuses: bool,
}

#[derive(Clone)]
struct Seeing<S>(S, Sees);

impl<S> Layer<S> for Sees {
    type Service = Seeing<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Seeing(inner, self.clone())
    }
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<CallResponse, E>> + Send>>;

impl<S> Service<CallRequest> for Seeing<S>
where
    S: Service<CallRequest, Response = CallResponse>,
    S::Future: Send + 'static,
    S::Error: From<RpcError> + Send + 'static,
{
    type Response = CallResponse;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: CallRequest) -> Self::Future {
        let name = request.name().to_string();
        if self.1.refuses {
            let error = RpcError::new(ErrorCode::application(7), "no");
            return Box::pin(std::future::ready(Err(error.into())));
        }
        let answered = self.0.call(request);
        let seen = Arc::clone(&self.1.seen);
        Box::pin(async move {
            let answer = answered.await;
            let outcome = answer.as_ref().ok().map(CallResponse::outcome);
            seen.lock().unwrap().push((name, outcome));
            answer
        })
    }
}

#[tokio::test]
async fn a_layer_of_ones_own_sees_ends_and_refuses() {
    for linked in [true, false] {
        let sees = Sees::default();
        let both = both(linked, |router| {
            router.intercept(TowerLayer::new(sees.clone()))
        })
        .await;
        let client: WorkClient = both.client.client();
        assert_eq!(client.quick().await.unwrap(), 1);
        let hangs = client.hangs().start();
        settle().await;
        drop(hangs);
        settle().await;
        assert_eq!(
            *sees.seen.lock().unwrap(),
            [
                ("work.quick".to_owned(), Some(CallOutcome::Ok)),
                ("work.hangs".to_owned(), Some(CallOutcome::Cancelled))
            ]
        );
        let refuses = Sees {
            refuses: true,
            ..Sees::default()
        };
        let client: WorkClient = both
            .client
            .with_interceptor(TowerLayer::new(refuses))
            .client();
        let error = client.quick().await.unwrap_err();
        assert!(
            matches!(&error, CallError::Remote(error) if error.code() == ErrorCode::application(7)),
            "{error:?}"
        );
    }
}
