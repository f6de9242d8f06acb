//! Accepting connections and running them.

use crate::driver::{drive_bytes, drive_carrier};
use crate::link::{Link, LinkConfig, Out};
use crate::peer::start_link;
use crate::router::Router;
use mynah_codec::{Dialect, Side};
use mynah_connection::CloseReason;
use mynah_protocol::{Accepted, Evidence, Limits, Listener, Transport};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

/// How long a listener rests after it could not accept (no file descriptors left, as a rule).
const REST_AFTER_ERROR: Duration = Duration::from_millis(20);

/// What all listeners of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    router: Arc<Router>,
    limits: Limits,
    default_timeout: Option<Duration>,
    open: Mutex<Open>,
    /// Rung when a connection ends.
    pub(super) ended: Notify,
}

#[derive(Debug, Default)]
struct Open {
    links: HashMap<u64, Arc<Link>>,
    next: u64,
    stopped: bool,
}

impl Shared {
    pub(super) fn new(
        router: Arc<Router>,
        limits: Limits,
        default_timeout: Option<Duration>,
    ) -> Self {
        Self {
            router,
            limits,
            default_timeout,
            open: Mutex::default(),
            ended: Notify::new(),
        }
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

    fn config(&self, evidence: Evidence) -> LinkConfig {
        LinkConfig {
            limits: self.limits.clone(),
            router: Arc::clone(&self.router),
            evidence,
            default_timeout: self.default_timeout,
        }
    }

    /// Takes a connection into the books. `None` when there are too many, or none may come any more.
    fn admit(&self, out: Out, evidence: Evidence) -> Option<(u64, Arc<Link>)> {
        let mut open = self.lock();
        if open.stopped || open.links.len() >= self.limits.connections {
            return None;
        }
        let link = start_link(out, self.config(evidence), Side::Accept);
        // The server's own handle: the connection lives until the peer goes or the server closes it.
        link.add_handle();
        let id = open.next;
        open.next += 1;
        open.links.insert(id, Arc::clone(&link));
        Some((id, link))
    }

    fn forget(&self, id: u64) {
        self.lock().links.remove(&id);
        self.ended.notify_waiters();
    }
}

/// Takes a connection out of the books, however its task ends.
struct Forget(Arc<Shared>, u64);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}

/// A bound listener of whatever kind.
pub(super) trait Accepting: Send {
    fn address(&self) -> String;
    fn accept_all(self: Box<Self>, shared: Arc<Shared>)
    -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

pub(super) fn bytes<L>(listener: L, dialect: Box<dyn Dialect>) -> Box<dyn Accepting>
where
    L: Listener,
    L::Connection: AsyncRead + AsyncWrite + Unpin,
{
    Box::new(Bytes { listener, dialect })
}

pub(super) fn carrier<L>(listener: L) -> Box<dyn Accepting>
where
    L: Listener,
    L::Connection: Transport,
{
    Box::new(Carrier { listener })
}

struct Bytes<L> {
    listener: L,
    dialect: Box<dyn Dialect>,
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
            while let Some(Accepted {
                connection,
                evidence,
            }) = next(&mut self.listener).await
            {
                let wire = self.dialect.wire(Side::Accept, &shared.limits);
                let Some((id, link)) = shared.admit(Out::wire(wire), evidence) else {
                    tracing::warn!("connection refused: too many are open");
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _forget = Forget(shared, id);
                    drive_bytes(connection, link).await;
                });
            }
        })
    }
}

struct Carrier<L> {
    listener: L,
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
            while let Some(Accepted {
                connection,
                evidence,
            }) = next(&mut self.listener).await
            {
                let out = Out::carrier(connection.profile().clone(), &shared.limits);
                let Some((id, link)) = shared.admit(out, evidence) else {
                    tracing::warn!("connection refused: too many are open");
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _forget = Forget(shared, id);
                    drive_carrier(Box::pin(connection), link).await;
                });
            }
        })
    }
}

/// The next connection; a failed attempt is about that attempt only.
async fn next<L: Listener>(listener: &mut L) -> Option<Accepted<L::Connection>> {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await? {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::warn!(error = error.chain(), "cannot accept a connection");
                tokio::time::sleep(REST_AFTER_ERROR).await;
            }
        }
    }
}
