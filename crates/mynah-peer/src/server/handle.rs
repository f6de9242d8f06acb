//! A running server.

use super::peers::Peers;
use super::registry::PeerId;
use super::report::DrainReport;
use super::shared::{AttachError, ListenerTask, Shared};
use super::{DEFAULT_GRACE, drain};
use crate::error::CallError;
use crate::events::{Events, Published};
use crate::local::LocalServer;
use crate::peer::Peer;
use crate::router::{Methods, RegisterError, Router};
use mynah_codec::Dialect;
use mynah_protocol::{Evidence, Limits, Transport};
use serde::Serialize;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a listener has to leave in order what it holds outside of the process, after its connections have ended.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// A running server. Dropped, it stops listening and closes its connections without waiting;
/// [`drain`](Self::drain) lets calls finish.
#[must_use = "the server stops when its handle is dropped"]
pub struct ServerHandle {
    shared: Arc<Shared>,
    local: Arc<LocalServer>,
    addresses: Vec<String>,
    urls: Vec<String>,
    listening: Mutex<Listening>,
}

/// What stops with the listening.
#[derive(Default)]
struct Listening {
    names: Vec<String>,
    tasks: Vec<ListenerTask>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl ServerHandle {
    pub(super) fn new(
        shared: Arc<Shared>,
        local: Arc<LocalServer>,
        names: Vec<String>,
        (addresses, urls): (Vec<String>, Vec<String>),
        tasks: Vec<ListenerTask>,
    ) -> Self {
        Self {
            shared,
            local,
            addresses,
            urls,
            listening: Mutex::new(Listening { names, tasks }),
        }
    }

    /// Where it listens, in the order of the listeners: `tcp://127.0.0.1:9000`. Of what is spoken there it says nothing:
    /// see [`Self::urls`].
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The first address, empty when it listens in process only.
    #[must_use]
    pub fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
    }

    /// What a client is to be given, in the order of the listeners: each address with the options that choose the dialect
    /// that is spoken there, `tcp://127.0.0.1:9000?dialect=cbor-rpc`. What was not listened on by a URL may have none that
    /// says everything.
    #[must_use]
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The first of [`Self::urls`], empty when it listens in process only.
    #[must_use]
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// A peer that calls this server in process: typed values, no wire.
    #[must_use]
    pub fn local(&self) -> Peer {
        Peer::local(&self.local, None)
    }

    /// The same, for a caller with services of its own, which the handlers reach through
    /// `cx.peer()`.
    ///
    /// # Errors
    /// [`RegisterError`] when a service of `caller` cannot be registered.
    pub fn local_with(&self, caller: Router) -> Result<Peer, RegisterError> {
        caller.check()?;
        let caller = LocalServer::new(Arc::new(caller), Limits::default());
        Ok(Peer::local(&self.local, Some(caller)))
    }

    /// Serves something that is open already and carries bytes: a socket that another process has accepted, a channel
    /// within a connection, a pipe. It counts as a connection that a listener accepted: the limits hold for it, it is
    /// among [`peers`](Self::peers), and it is drained.
    ///
    /// # Errors
    /// [`AttachError`] when as many connections are open as the limits allow, the server takes none any more, one of its
    /// policies refuses it or would have it wait, or its wire says bare names of methods and several services have one of
    /// them; the stream is closed. From the first connection of such a wire on no method is added that would be ambiguous.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn attach<S>(
        &self,
        stream: S,
        dialect: &impl Dialect,
        evidence: Evidence,
    ) -> Result<Peer, AttachError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let link = self.shared.attach_bytes(stream, dialect, evidence)?;
        Ok(Peer::linked(link))
    }

    /// The same for a carrier of envelopes.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn attach_transport(
        &self,
        transport: impl Transport + 'static,
    ) -> Result<Peer, AttachError> {
        let link = self.shared.attach_carrier(transport)?;
        Ok(Peer::linked(link))
    }

    /// Its router, for calls that no connection carries: [`Router::dispatch`], [`Router::handle_wire`]. They have the
    /// limits of the server; a drain does not know of them.
    #[must_use]
    pub fn router(&self) -> &Arc<Router> {
        self.local.router()
    }

    /// The methods that it answers, to list them, and to add and remove some while it runs.
    #[must_use]
    pub fn methods(&self) -> Methods {
        Methods::of(Arc::clone(self.local.router()))
    }

    /// What the server publishes.
    #[must_use]
    pub fn events(&self) -> &Events {
        self.local.events()
    }

    /// The clients that are connected and were admitted, in the order of their arrival.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.shared.registry().peers()
    }

    /// The client with this id: one that the program has set ([`Session::set_id`](super::Session::set_id)), or a number
    /// of the server's (`#7`). `None` when nobody has it.
    #[must_use]
    pub fn peer(&self, id: impl Into<PeerId>) -> Option<Peer> {
        self.shared.registry().peer(&id.into())
    }

    /// The clients, for whoever is to reach them beside this handle.
    #[must_use]
    pub fn directory(&self) -> Peers {
        Peers::new(Arc::downgrade(&self.shared))
    }

    /// Publishes a message to all clients that are to hear it: those that have subscribed to the topic, in process too,
    /// and every one whose wire has events and no subscriptions (cbor-rpc), whether it listens or not. It waits only for
    /// subscribers of a topic that is declared [`Lag::Block`](crate::Lag::Block); those that are too slow otherwise fall
    /// under the policy of the topic ([`Events::declare`]), and are counted.
    ///
    /// It is [`Events::broadcast`] of [`Self::events`]; handlers reach it with [`Context::peers`](crate::Context::peers).
    ///
    /// Cancel safety: dropped while it waits, some have the message and others do not.
    ///
    /// # Errors
    /// [`CallError::Encode`] when the message cannot be encoded; nobody has it then.
    pub async fn broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        self.events().broadcast(topic, message).await
    }

    /// Stops to accept, tells every client, lets calls finish, and cuts what is left after `grace`
    /// ([`DEFAULT_GRACE`](super::DEFAULT_GRACE) with `None`). Always ends. Connections that wait to be admitted are closed.
    ///
    /// It may run several times at once, and again: each ends no later than its own grace, and the first that reaches
    /// it cuts.
    ///
    /// Cancel safety: dropped before its end, the server goes on draining until its handle is dropped; it may be
    /// called again.
    pub async fn drain(&self, grace: impl Into<Option<Duration>>) -> DrainReport {
        let grace = grace.into().unwrap_or(DEFAULT_GRACE);
        let listeners = self.stop_listening();
        let mut closing: Vec<_> = listeners.into_iter().map(ListenerTask::close).collect();
        let report = drain::run(&self.shared, &self.local, grace).await;
        let closed = async {
            for task in &mut closing {
                // Until its listener is closed, and its socket file is gone.
                drop(task.await);
            }
        };
        if tokio::time::timeout(CLOSE_PATIENCE, closed).await.is_err() {
            tracing::warn!("a listener does not close, and is dropped");
            for task in closing {
                task.abort();
            }
        }
        report
    }

    /// Waits until no connection is open and no listener can bring another: for a server on its own stdin and stdout, until
    /// the other side has gone. It does not end while the server listens on a socket; clients in process do not count.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn finished(&self) {
        loop {
            // Asked for before the look, so that no end is missed.
            let ended = self.shared.ended.notified();
            if self.shared.is_finished() {
                return;
            }
            ended.await;
        }
    }

    /// Stops at once, as dropping the handle does: nothing is accepted any more, every connection is closed without
    /// waiting, and what runs is stopped. Nothing happens the second time.
    pub fn stop(&self) {
        for task in self.stop_listening() {
            task.abort();
        }
        self.shared.close_all();
        self.local.stop();
    }

    /// The tasks that are to end.
    fn stop_listening(&self) -> Vec<ListenerTask> {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Listening { names, tasks } = std::mem::take(&mut *listening);
        drop(listening);
        for name in names {
            self.local.unpublish(&name);
        }
        tasks
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
