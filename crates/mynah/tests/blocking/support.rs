//! A service that both kinds of programs serve and call, and waiting without sleeping.

use futures::{StreamExt as _, stream};
use mynah::blocking;
use mynah::prelude::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[mynah::service]
pub(crate) trait Desk {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError>;
    fn count(&self, up_to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
    async fn sum(&self, values: Incoming<u64>) -> u64;
    /// Tells every number below.
    async fn tell(&self, below: u64, told: Callback<u64>) -> u64;
    /// How many numbers were told.
    async fn told(&self) -> u64;
    /// Asks for every number below, and adds the answers up.
    async fn ask(&self, below: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError>;
    /// Never comes back by itself.
    async fn hang(&self);
    /// How many calls of `hang` run.
    async fn hanging(&self) -> usize;
    /// Adds through the caller.
    async fn back(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
    #[notification]
    async fn note(&self, text: String);
    async fn noted(&self) -> Vec<String>;
    #[event]
    fn news(text: String);
}

#[derive(Clone, Default)]
pub(crate) struct MyDesk {
    hanging: Arc<AtomicUsize>,
    notes: Arc<Mutex<Vec<String>>>,
    told: Arc<AtomicU64>,
}

struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Desk for MyDesk {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError> {
        a.checked_add(b)
            .ok_or_else(|| RpcError::new(ErrorCode::application(1), "too large"))
    }

    fn count(&self, up_to: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter(0..up_to).map(Ok)
    }

    async fn sum(&self, values: Incoming<u64>) -> u64 {
        values
            .fold(0, async |sum, value| sum + value.unwrap())
            .await
    }

    async fn tell(&self, below: u64, told: Callback<u64>) -> u64 {
        for value in 0..below {
            if told.send(value).await.is_err() {
                return value;
            }
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        below
    }

    async fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    async fn ask(&self, below: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError> {
        let mut sum = 0;
        for value in 0..below {
            sum += asked.call(value).await?;
        }
        Ok(sum)
    }

    async fn hang(&self) {
        self.hanging.fetch_add(1, Ordering::SeqCst);
        let _hanging = Hanging(Arc::clone(&self.hanging));
        std::future::pending::<()>().await;
    }

    async fn hanging(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }

    async fn back(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
        Ok(cx.peer().client::<DeskClient>().add(a, b).await?)
    }

    async fn note(&self, text: String) {
        self.notes.lock().unwrap().push(text);
    }

    async fn noted(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) type Client = DeskClient<blocking::Peer>;

pub(crate) fn serve(url: &str) -> blocking::ServerHandle {
    blocking::Server::new()
        .register(DeskService::new(MyDesk::default()))
        .listen(url)
        .io_threads(1)
        .start()
        .unwrap()
}

pub(crate) fn connect(server: &blocking::ServerHandle) -> blocking::Peer {
    blocking::connect(server.address()).unwrap()
}

/// Waits for something that other threads bring about.
pub(crate) fn until(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < LONG, "{what}: too late");
        std::thread::yield_now();
    }
}
