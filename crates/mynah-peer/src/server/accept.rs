//! Accepting connections.

use super::shared::{Held, Shared};
use mynah_codec::Dialect;
use mynah_protocol::{Accepted, Limits, Listener, Transport, TransportErrorKind};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a listener rests after it could not accept (no file descriptors left, as a rule).
const REST_AFTER_ERROR: Duration = Duration::from_millis(20);

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
                shared.accept_bytes(connection, dialect, change, evidence, &held);
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
                shared.accept_carrier(connection, &self.change, evidence, &held);
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
