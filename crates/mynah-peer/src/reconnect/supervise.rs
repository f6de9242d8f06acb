//! The task that connects.

use super::connections::Connections;
use super::open::{DialError, Open};
use crate::call::Caller as _;
use crate::peer::{Departure, Peer};
use crate::router::Router;
use mynah_connection::{Backoff, CloseReason};
use mynah_protocol::{Limits, TransportError, TransportErrorKind};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// What every connection is opened with.
pub(super) struct Opener {
    pub(super) open: Open,
    /// Services of this side, in place of those of the connection.
    pub(super) router: Option<Arc<Router>>,
    pub(super) limits: Option<Limits>,
    pub(super) default_timeout: Option<Duration>,
    /// The time for one attempt.
    pub(super) timeout: Duration,
}

impl Opener {
    /// Opens one connection.
    pub(super) async fn attempt(&self, connections: &Connections) -> Result<Peer, DialError> {
        match tokio::time::timeout(self.timeout, self.open(connections)).await {
            Ok(opened) => opened,
            Err(_elapsed) => {
                let what = format!("no connection within {:?}", self.timeout);
                Err(TransportError::new(TransportErrorKind::TimedOut, what).into())
            }
        }
    }

    async fn open(&self, connections: &Connections) -> Result<Peer, DialError> {
        let mut builder = (self.open)().await?.default_deadline(self.default_timeout);
        if let Some(router) = &self.router {
            builder = builder.shared_router(Arc::clone(router));
        }
        if let Some(limits) = &self.limits {
            builder = builder.limits(limits.clone());
        }
        let peer = builder.start()?;
        let wire = poll_fn(|cx| peer.poll_format(cx))
            .await
            .map_err(|error| TransportError::new(TransportErrorKind::Broken, error.to_string()))?;
        if !connections.speaks(wire.format.id()) {
            let what = "the other side speaks another format than it did before";
            return Err(TransportError::new(TransportErrorKind::Other, what).into());
        }
        Ok(peer)
    }
}

/// Keeps a connection open until it is closed for good. `first`: the one that is there already.
pub(super) async fn supervise(
    connections: Arc<Connections>,
    opener: Opener,
    mut backoff: Backoff,
    first: Option<Peer>,
) {
    // Code of the user connects: should it panic, nobody must wait for it.
    let _guard = CloseOnDrop(Arc::clone(&connections));
    let mut installed = first;
    let mut pause = false;
    // A server that drains is left at once. One that does so again and again is given time.
    let mut at_once = true;
    loop {
        let up = match installed.take() {
            Some(peer) => peer,
            None => match connect(&connections, &opener, &mut backoff, pause).await {
                Some(peer) if connections.install(&peer) => peer,
                _ => return,
            },
        };
        let since = Instant::now();
        let Some(departure) = unless_closed(&connections, up.departed()).await else {
            return;
        };
        at_once |= backoff.lived(since.elapsed());
        match departure {
            Departure::GoingAway => {
                tracing::debug!(peer = %up.evidence(), "server goes away");
                connections.retire();
                pause = !std::mem::take(&mut at_once);
                tokio::spawn(sweep_after(Arc::clone(&connections), up));
            }
            Departure::Ended(reason) => {
                tracing::debug!(peer = %up.evidence(), %reason, "connection lost");
                connections.lose(reason);
                pause = true;
            }
        }
    }
}

/// Forgets a connection once its calls are over.
async fn sweep_after(connections: Arc<Connections>, peer: Peer) {
    peer.closed().await;
    drop(peer);
    connections.sweep();
}

/// Tries until there is a connection. `None`: it has closed for good.
async fn connect(
    connections: &Connections,
    opener: &Opener,
    backoff: &mut Backoff,
    mut pause: bool,
) -> Option<Peer> {
    loop {
        if pause {
            let delay = backoff.next_delay();
            connections.pause(backoff.attempt(), delay);
            unless_closed(connections, tokio::time::sleep(delay)).await?;
        }
        connections.connecting();
        let error = match unless_closed(connections, opener.attempt(connections)).await? {
            Ok(peer) => return Some(peer),
            Err(DialError::Transport(error)) => error,
            Err(DialError::Register(error)) => {
                // It will be no other the next time.
                let what = format!("service cannot be registered: {error}");
                connections.close(CloseReason::Transport(
                    TransportErrorKind::Other,
                    what.into(),
                ));
                return None;
            }
        };
        tracing::debug!(error = %error.chain(), "attempt to connect failed");
        connections.fail(CloseReason::Transport(error.kind(), error.chain().into()));
        pause = true;
    }
}

/// The outcome of `future`, `None` when it closes for good before that.
async fn unless_closed<F: Future>(connections: &Connections, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut closed = pin!(connections.until_closed());
    poll_fn(|cx| {
        if closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

struct CloseOnDrop(Arc<Connections>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let gone = "the task that connects is gone";
        self.0.close(CloseReason::Transport(
            TransportErrorKind::Other,
            gone.into(),
        ));
    }
}
