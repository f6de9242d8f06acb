//! What the tests share: ways to connect two sides, a peer that is made of bytes, and waiting without sleeping.
#![allow(dead_code, reason = "not every test uses everything")]

#[path = "support/raw.rs"]
mod raw;

#[allow(
    unused_imports,
    clippy::allow_attributes,
    reason = "not every program of tests that has this file talks to bytes"
)]
pub(crate) use raw::*;

use mynah::codec::{Dialect, Format};
use mynah::dialect::{CborRpc, Native, Side};
use mynah::endpoint::{Dialing, EndpointStream};
use mynah::memory::MemoryOptions;
use mynah::prelude::*;
use mynah::protocol::Dialer as _;
use mynah::{DrainReport, Endpoint, Evidence, Limits, PeerStats, Router, ServerHandle, Service};
use serde_json::{Value as Json, json};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

/// A way from a client to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    TcpCbor,
    TcpJson,
    TcpPack,
    Unix,
    Duplex,
    Memory,
    InProcess,
    CborRpc,
}

impl Way {
    /// Every way.
    pub(crate) const ALL: [Self; 8] = [
        Self::TcpCbor,
        Self::TcpJson,
        Self::TcpPack,
        Self::Unix,
        Self::Duplex,
        Self::Memory,
        Self::InProcess,
        Self::CborRpc,
    ];
    /// Those that carry deadlines, metadata and codes over a connection.
    pub(crate) const NATIVE: [Self; 6] = [
        Self::TcpCbor,
        Self::TcpJson,
        Self::TcpPack,
        Self::Unix,
        Self::Duplex,
        Self::Memory,
    ];
    /// Those with a connection in between.
    pub(crate) const LINKED: [Self; 7] = [
        Self::TcpCbor,
        Self::TcpJson,
        Self::TcpPack,
        Self::Unix,
        Self::Duplex,
        Self::Memory,
        Self::CborRpc,
    ];
    /// Those without sockets, for tests that stop the clock.
    pub(crate) const TIMED: [Self; 3] = [Self::Duplex, Self::Memory, Self::InProcess];
}

/// Both sides before they are connected.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    pub(crate) server: Router,
    pub(crate) client: Router,
    pub(crate) server_limits: Limits,
    pub(crate) client_limits: Limits,
    /// Envelopes in one direction of a memory pair.
    pub(crate) capacity: usize,
}

impl Setup {
    pub(crate) fn new(service: impl Service) -> Self {
        Self::of(Router::new().register(service))
    }

    /// A server with all that is in a router.
    pub(crate) fn of(server: Router) -> Self {
        Self {
            server,
            capacity: 64,
            ..Self::default()
        }
    }

    /// A service of the client.
    pub(crate) fn client(mut self, service: impl Service) -> Self {
        self.client = self.client.register(service);
        self
    }

    pub(crate) fn limits(mut self, limits: &Limits) -> Self {
        self.server_limits = limits.clone();
        self.client_limits = limits.clone();
        self
    }

    pub(crate) fn server_limits(mut self, limits: Limits) -> Self {
        self.server_limits = limits;
        self
    }

    pub(crate) fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    pub(crate) async fn join(self, way: Way) -> Joined {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (client, far) = match way {
            Way::TcpCbor | Way::TcpJson | Way::TcpPack | Way::CborRpc => {
                let query = match way {
                    Way::TcpJson => "?format=json",
                    Way::TcpPack => "?format=messagepack",
                    Way::CborRpc => "?dialect=cbor-rpc",
                    _ => "",
                };
                let url = format!("tcp://127.0.0.1:0{query}");
                let server = Server::new()
                    .router(self.server)
                    .limits(self.server_limits)
                    .listen(&url)
                    .start()
                    .await
                    .unwrap();
                let url = format!("{}{query}", server.address());
                (
                    connect(&url, self.client, self.client_limits).await,
                    Far::Server(server),
                )
            }
            Way::Unix => {
                let [_tcp, unix] = Socket::each();
                let server = Server::new()
                    .router(self.server)
                    .limits(self.server_limits)
                    .listen(&unix.url)
                    .start()
                    .await
                    .unwrap();
                let client = mynah::connector(server.address())
                    .unwrap()
                    .router(self.client)
                    .limits(self.client_limits)
                    .connect()
                    .await
                    .unwrap();
                (client, Far::Server(server))
            }
            Way::Duplex => {
                let (near, far) = tokio::io::duplex(4096);
                let far = over(
                    far,
                    &Native::new(),
                    Side::Accept,
                    self.server,
                    self.server_limits,
                );
                let client = over(
                    near,
                    &Native::new(),
                    Side::Dial,
                    self.client,
                    self.client_limits,
                );
                (client, Far::Peer(far))
            }
            Way::Memory => {
                let options = MemoryOptions::default()
                    .with_capacity(self.capacity)
                    .with_limits(self.client_limits.clone());
                let (near, far) = mynah::memory::pair_with(&options);
                let far = Peer::over_transport(far)
                    .router(self.server)
                    .limits(self.server_limits)
                    .side(Side::Accept);
                let client = Peer::over_transport(near)
                    .router(self.client)
                    .limits(self.client_limits);
                (client.start().unwrap(), Far::Peer(far.start().unwrap()))
            }
            Way::InProcess => {
                let name = format!("it-{}", NEXT.fetch_add(1, Ordering::Relaxed));
                let url = format!("memory:{name}");
                let server = Server::new()
                    .router(self.server)
                    .limits(self.server_limits)
                    .listen(&url)
                    .start()
                    .await
                    .unwrap();
                (
                    Peer::named_with(
                        &name,
                        self.client,
                        &self.client_limits,
                        Some(Duration::from_secs(30)),
                    )
                    .unwrap()
                    .unwrap(),
                    Far::Server(server),
                )
            }
        };
        Joined { way, client, far }
    }
}

async fn connect(url: &str, router: Router, limits: Limits) -> Peer {
    let endpoint: Vec<&str> = url.split('?').collect();
    let address = endpoint[0].strip_prefix("tcp://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    match endpoint.get(1) {
        Some(&"format=json") => over(stream, &Native::json(), Side::Dial, router, limits),
        Some(&"format=messagepack") => {
            over(stream, &Native::messagepack(), Side::Dial, router, limits)
        }
        Some(_) => over(stream, &CborRpc::cbor(), Side::Dial, router, limits),
        None => over(stream, &Native::new(), Side::Dial, router, limits),
    }
}

/// Where a test listens, on each transport that carries bytes.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) url: String,
    /// The one of the socket file.
    _directory: Option<tempfile::TempDir>,
}

impl Socket {
    pub(crate) fn each() -> [Self; 2] {
        let directory = tempfile::tempdir().unwrap();
        [
            Self {
                url: "tcp://127.0.0.1:0".to_owned(),
                _directory: None,
            },
            Self {
                url: format!("unix:{}/socket", directory.path().display()),
                _directory: Some(directory),
            },
        ]
    }
}

/// A peer over a stream.
pub(crate) fn over<S>(
    stream: S,
    dialect: &impl Dialect,
    side: Side,
    router: Router,
    limits: Limits,
) -> Peer
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Peer::over(stream, dialect)
        .side(side)
        .router(router)
        .limits(limits)
        .evidence(Evidence::new())
        .start()
        .unwrap()
}

/// Two connected sides.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) way: Way,
    pub(crate) client: Peer,
    far: Far,
}

#[derive(Debug)]
enum Far {
    Server(ServerHandle),
    Peer(Peer),
}

impl Joined {
    /// The server's handle to the client, `None` in process.
    pub(crate) async fn far(&self) -> Option<Peer> {
        match &self.far {
            Far::Peer(peer) => Some(peer.clone()),
            Far::Server(_) if self.way == Way::InProcess => None,
            Far::Server(server) => {
                until("the server has accepted", || !server.peers().is_empty()).await;
                server.peers().pop()
            }
        }
    }

    /// Drains the server, where there is one.
    pub(crate) async fn drain(&self) -> Option<DrainReport> {
        self.drain_within(Duration::from_secs(5)).await
    }

    /// The same, with the time that calls have.
    pub(crate) async fn drain_within(&self, grace: Duration) -> Option<DrainReport> {
        match &self.far {
            Far::Server(server) => Some(server.drain(grace).await),
            Far::Peer(_) => None,
        }
    }

    /// The other side leaves as a program does that ends.
    pub(crate) fn leave(self) -> Peer {
        drop(self.far);
        self.client
    }

    /// Waits until nothing is in use on either side.
    pub(crate) async fn idle(&self) {
        let far = self.far().await;
        let zero = PeerStats::default();
        until(&format!("{:?}: everything is zero", self.way), || {
            self.client.stats() == zero && far.as_ref().is_none_or(|far| far.stats() == zero)
        })
        .await;
        assert!(!self.client.is_closed(), "{:?}", self.way);
    }
}

/// Lets other tasks run until `done`; fails after ten seconds.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::task::yield_now().await;
    }
}

/// Lets other tasks run for a while: for what must not happen.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Nothing takes so long, on a machine that is busy with other things either.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a test that hangs, by the clock of the machine.
pub(crate) fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    within_time(what, PATIENCE, future)
}

/// The same with a time of its own.
pub(crate) fn within_time<F: Future>(
    what: &str,
    time: Duration,
    future: F,
) -> impl Future<Output = F::Output> {
    let within = Box::pin(mynah_testkit::within(time, future));
    async move {
        let output = within.await;
        output.unwrap_or_else(|hangs| panic!("{what}: {hangs}"))
    }
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}
