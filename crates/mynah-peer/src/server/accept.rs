//! Accepting connections.

use super::shared::{Held, Shared};
use mynah_codec::Dialect;
use mynah_protocol::{
    Accepted, Limits, Listener, Offer, Transport, TransportError, TransportErrorKind,
};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

/// How long a listener rests after it could not accept (no file descriptors left, as a rule).
const REST_AFTER_ERROR: Duration = Duration::from_millis(20);

/// A bound listener of whatever kind.
pub(super) trait Accepting: Send {
    fn address(&self) -> String;
    /// What a client is to be given.
    fn url(&self) -> String;
    /// What its connections have of the limits of the server, where the server has some.
    fn limits(&self, given: Limits) -> Limits;
    fn open<'a>(&'a mut self, offer: &'a Offer) -> Opening<'a>;
    /// Until there is nothing more to accept, or `stop` says so or is gone.
    fn accept_all(
        self: Box<Self>,
        shared: Arc<Shared>,
        stop: oneshot::Receiver<()>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

type Opening<'a> = Pin<Box<dyn Future<Output = Result<(), TransportError>> + Send + 'a>>;

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

    fn url(&self) -> String {
        let (address, options) = (self.listener.address(), self.dialect.options());
        match (options.is_empty(), address.contains('?')) {
            (true, _) => address,
            (false, false) => format!("{address}?{options}"),
            (false, true) => format!("{address}&{options}"),
        }
    }

    fn limits(&self, given: Limits) -> Limits {
        (self.change)(given)
    }

    fn open<'a>(&'a mut self, offer: &'a Offer) -> Opening<'a> {
        self.listener.open(offer)
    }

    fn accept_all(
        mut self: Box<Self>,
        shared: Arc<Shared>,
        mut stop: oneshot::Receiver<()>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let held = Held::default();
            while let Some(accepted) = next(&mut self.listener, &mut stop).await {
                let Accepted {
                    connection,
                    evidence,
                } = accepted;
                let (dialect, change) = (&self.dialect, &self.change);
                shared.accept_bytes(connection, dialect, change, evidence, &held);
            }
            self.listener.close().await;
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

    fn url(&self) -> String {
        self.listener.address()
    }

    fn limits(&self, given: Limits) -> Limits {
        (self.change)(given)
    }

    fn open<'a>(&'a mut self, offer: &'a Offer) -> Opening<'a> {
        self.listener.open(offer)
    }

    fn accept_all(
        mut self: Box<Self>,
        shared: Arc<Shared>,
        mut stop: oneshot::Receiver<()>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let held = Held::default();
            while let Some(accepted) = next(&mut self.listener, &mut stop).await {
                let Accepted {
                    connection,
                    evidence,
                } = accepted;
                shared.accept_carrier(connection, &self.change, evidence, &held);
            }
            self.listener.close().await;
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

/// The next connection, `None` when there is none any more or the server takes none; a failed attempt is about that
/// attempt only.
async fn next<L: Listener>(
    listener: &mut L,
    stop: &mut oneshot::Receiver<()>,
) -> Option<Accepted<L::Connection>> {
    let mut accepted = std::pin::pin!(accept(listener));
    poll_fn(|cx| {
        // Told, or the handle is gone.
        if Pin::new(&mut *stop).poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        accepted.as_mut().poll(cx)
    })
    .await
}

async fn accept<L: Listener>(listener: &mut L) -> Option<Accepted<L::Connection>> {
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
