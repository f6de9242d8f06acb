//! Accepting connections and running them.

use crate::driver::{ByteStream, drive_bytes, drive_carrier};
use crate::link::{Link, LinkConfig, Out};
use crate::peer::start_link;
use crate::router::Router;
use mynah_codec::{Dialect, Side};
use mynah_connection::CloseReason;
use mynah_protocol::{Accepted, Evidence, Limits, Listener, Transport, TransportErrorKind};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How long a listener rests after it could not accept (no file descriptors left, as a rule).
const REST_AFTER_ERROR: Duration = Duration::from_millis(20);

/// What all listeners of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) router: Arc<Router>,
    /// `None`: those of each dialect.
    limits: Option<Limits>,
    default_timeout: Option<Duration>,
    open: Mutex<Open>,
    /// Connections that no listener brought.
    attached: Held,
    /// Listeners that may still bring a connection.
    listening: AtomicUsize,
    /// Rung when a connection or a listener ends.
    pub(super) ended: Notify,
}

/// How many connections of one listener are open.
pub(super) type Held = Arc<AtomicUsize>;

#[derive(Debug, Default)]
struct Open {
    links: HashMap<u64, Arc<Link>>,
    next: u64,
    stopped: bool,
    /// Those of the last connection: as a rule all have the same.
    limits: Arc<Limits>,
}

impl Open {
    fn share(&mut self, limits: Limits) -> Arc<Limits> {
        if *self.limits != limits {
            self.limits = Arc::new(limits);
        }
        Arc::clone(&self.limits)
    }
}

/// Why a server does not take a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// As many connections are open as `Limits::connections` allows.
    #[error("too many connections are open")]
    Full,
    /// The server drains or has stopped.
    #[error("the server takes no new connections")]
    Stopped,
}

impl Shared {
    pub(super) fn new(
        router: Arc<Router>,
        limits: Option<Limits>,
        default_timeout: Option<Duration>,
    ) -> Self {
        Self {
            router,
            limits,
            default_timeout,
            open: Mutex::default(),
            attached: Held::default(),
            listening: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }

    /// What counts connections that no listener brought.
    pub(super) const fn attached(&self) -> &Held {
        &self.attached
    }

    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().links.values().cloned().collect()
    }

    /// Takes no new connections.
    pub(super) fn refuse(&self) {
        self.lock().stopped = true;
    }

    pub(super) fn close_all(&self) {
        self.lock().stopped = true;
        for link in self.links() {
            link.cut(CloseReason::Local);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection into the books, unless there are too many, or none may come any more.
    fn admit(
        self: &Arc<Self>,
        out: Out,
        limits: Limits,
        evidence: Evidence,
        held: &Held,
    ) -> Result<(Forget, Arc<Link>), AttachError> {
        let mut open = self.lock();
        if open.stopped {
            return Err(AttachError::Stopped);
        }
        // Under the lock, so that two at once do not both find room.
        if held.load(Ordering::Acquire) >= limits.connections {
            return Err(AttachError::Full);
        }
        held.fetch_add(1, Ordering::AcqRel);
        let config = LinkConfig {
            limits: open.share(limits),
            router: Arc::clone(&self.router),
            evidence,
            default_timeout: self.default_timeout,
            listeners: OnceLock::new(),
            direct: false,
        };
        let link = start_link(out, config, Side::Accept);
        // The server's own handle: the connection lives until the peer goes or the server closes it.
        link.add_handle();
        let id = open.next;
        open.next += 1;
        open.links.insert(id, Arc::clone(&link));
        Ok((Forget(Arc::clone(self), id, Arc::clone(held)), link))
    }

    /// Runs a connection over a stream of bytes.
    pub(super) fn run_bytes(
        self: &Arc<Self>,
        stream: impl ByteStream,
        dialect: &(impl Dialect + ?Sized),
        change: &dyn Fn(Limits) -> Limits,
        evidence: Evidence,
        held: &Held,
    ) -> Result<Arc<Link>, AttachError> {
        let limits = self.limits.clone();
        let limits = change(limits.unwrap_or_else(|| dialect.limits()));
        let out = Out::wire(dialect.wire(Side::Accept, &limits));
        let (forget, link) = self.admit(out, limits, evidence, held)?;
        let running = Arc::clone(&link);
        tokio::spawn(drive_bytes(stream, None, running, forget));
        Ok(link)
    }

    /// Runs a connection over a carrier of envelopes.
    pub(super) fn run_carrier(
        self: &Arc<Self>,
        transport: impl Transport + 'static,
        change: &dyn Fn(Limits) -> Limits,
        evidence: Evidence,
        held: &Held,
    ) -> Result<Arc<Link>, AttachError> {
        let limits = change(self.limits.clone().unwrap_or_default());
        let out = Out::carrier(transport.profile().clone(), &limits);
        let (forget, link) = self.admit(out, limits, evidence, held)?;
        let running = Arc::clone(&link);
        tokio::spawn(async move {
            let _forget = forget;
            drive_carrier(Box::pin(transport), running).await;
        });
        Ok(link)
    }

    /// Accepts what a listener brings, in a task, until it brings no more.
    pub(super) fn listen(self: &Arc<Self>, listener: Box<dyn Accepting>) -> JoinHandle<()> {
        self.listening.fetch_add(1, Ordering::AcqRel);
        let listening = Listening(Arc::clone(self));
        tokio::spawn(async move {
            let Listening(shared) = &listening;
            listener.accept_all(Arc::clone(shared)).await;
        })
    }

    /// Whether nothing is open and nothing will be.
    pub(super) fn is_finished(&self) -> bool {
        // The listeners first: what they accepted is in the books by the time they end.
        self.listening.load(Ordering::Acquire) == 0 && self.lock().links.is_empty()
    }

    fn forget(&self, id: u64) {
        let gone = self.lock().links.remove(&id);
        // Code of the user may go with it, which may ask who is connected.
        drop(gone);
        self.ended.notify_waiters();
    }
}

/// A listener counts until its task ends, however that is.
struct Listening(Arc<Shared>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listening.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

/// Takes a connection out of the books, however its task ends.
struct Forget(Arc<Shared>, u64, Held);

impl Drop for Forget {
    fn drop(&mut self) {
        self.2.fetch_sub(1, Ordering::AcqRel);
        self.0.forget(self.1);
    }
}

/// A bound listener of whatever kind.
pub(super) trait Accepting: Send {
    fn address(&self) -> String;
    fn accept_all(self: Box<Self>, shared: Arc<Shared>)
    -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What a listener makes of the limits of its server, or of its dialect.
type Change = Box<dyn Fn(Limits) -> Limits + Send>;

pub(super) fn bytes<L>(listener: L, dialect: Box<dyn Dialect>, change: Change) -> Box<dyn Accepting>
where
    L: Listener,
    L::Connection: AsyncRead + AsyncWrite + Unpin,
{
    Box::new(Bytes {
        listener,
        dialect,
        change,
    })
}

pub(super) fn carrier<L>(listener: L, change: Change) -> Box<dyn Accepting>
where
    L: Listener,
    L::Connection: Transport,
{
    Box::new(Carrier { listener, change })
}

struct Bytes<L> {
    listener: L,
    dialect: Box<dyn Dialect>,
    change: Change,
}

impl<L> Accepting for Bytes<L>
where
    L: Listener,
    L::Connection: AsyncRead + AsyncWrite + Unpin,
{
    fn address(&self) -> String {
        self.listener.address()
    }

    fn accept_all(
        mut self: Box<Self>,
        shared: Arc<Shared>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let held = Held::default();
            while let Some(accepted) = next(&mut self.listener).await {
                let Accepted {
                    connection,
                    evidence,
                } = accepted;
                let (dialect, change) = (&self.dialect, &self.change);
                let running = shared.run_bytes(connection, dialect, change, evidence, &held);
                if let Err(error) = running {
                    tracing::warn!(%error, "connection refused");
                }
            }
        })
    }
}

struct Carrier<L> {
    listener: L,
    change: Change,
}

impl<L> Accepting for Carrier<L>
where
    L: Listener,
    L::Connection: Transport,
{
    fn address(&self) -> String {
        self.listener.address()
    }

    fn accept_all(
        mut self: Box<Self>,
        shared: Arc<Shared>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let held = Held::default();
            while let Some(accepted) = next(&mut self.listener).await {
                let Accepted {
                    connection,
                    evidence,
                } = accepted;
                let running = shared.run_carrier(connection, &self.change, evidence, &held);
                if let Err(error) = running {
                    tracing::warn!(%error, "connection refused");
                }
            }
        })
    }
}

/// A peer that was turned away, or has gone, took its attempt with it. What else fails may fail again at once.
const fn may_come_again_at_once(kind: TransportErrorKind) -> bool {
    !matches!(
        kind,
        TransportErrorKind::Denied | TransportErrorKind::Broken
    )
}

/// The next connection; a failed attempt is about that attempt only.
async fn next<L: Listener>(listener: &mut L) -> Option<Accepted<L::Connection>> {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await? {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::warn!(error = error.chain(), "cannot accept a connection");
                if may_come_again_at_once(error.kind()) {
                    tokio::time::sleep(REST_AFTER_ERROR).await;
                }
            }
        }
    }
}
