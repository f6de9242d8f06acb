//! A running server.

use super::accept::{AttachError, Shared};
use super::drain;
use super::report::DrainReport;
use crate::encoded::Encoded;
use crate::error::CallError;
use crate::events::{Events, PerFormat, Published};
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
use tokio::task::JoinHandle;

/// A running server. Dropped, it stops listening and closes its connections without waiting;
/// [`drain`](Self::drain) lets calls finish.
#[must_use = "the server stops when its handle is dropped"]
pub struct ServerHandle {
    shared: Arc<Shared>,
    local: Arc<LocalServer>,
    addresses: Vec<String>,
    listening: Mutex<Listening>,
}

/// What stops with the listening.
#[derive(Default)]
struct Listening {
    names: Vec<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl ServerHandle {
    pub(super) const fn new(
        shared: Arc<Shared>,
        local: Arc<LocalServer>,
        names: Vec<String>,
        addresses: Vec<String>,
        tasks: Vec<JoinHandle<()>>,
    ) -> Self {
        Self {
            shared,
            local,
            addresses,
            listening: Mutex::new(Listening { names, tasks }),
        }
    }

    /// Where it listens, in the order of the listeners: `tcp://127.0.0.1:9000`.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The first address, empty when it listens in process only.
    #[must_use]
    pub fn address(&self) -> &str {
        self.addresses.first().map_or("", String::as_str)
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
    /// [`AttachError`] when as many connections are open as the limits allow, or the server takes none any more; the
    /// stream is closed.
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
        let shared = &self.shared;
        let same = &std::convert::identity;
        let link = shared.run_bytes(stream, dialect, same, evidence, shared.attached())?;
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
        let evidence = transport.evidence().clone();
        let shared = &self.shared;
        let same = &std::convert::identity;
        let link = shared.run_carrier(transport, same, evidence, shared.attached())?;
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

    /// The clients that are connected.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.shared.links().into_iter().map(Peer::linked).collect()
    }

    /// Emits an event under a topic to every client that is connected over a wire with events, whether it listens or
    /// not; [`Peer::emit`] is the same for one. Waits for nobody: a client whose output is full misses it. Clients whose
    /// connections are at their beginning or at their end are left out.
    ///
    /// # Errors
    /// [`CallError::Encode`] when the message cannot be encoded; nobody has it then.
    pub fn emit_to_all<T: Serialize + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        let links = self.shared.links();
        let mut encoded = PerFormat::default();
        let with_events = |link: &crate::link::Link| {
            let facts = link.facts().copied();
            facts.filter(|facts| facts.capabilities.events)
        };
        for link in &links {
            if let Some(facts) = with_events(link) {
                encoded.add(facts.format, message)?;
            }
        }
        let mut published = Published::default();
        for link in &links {
            let Some(facts) = with_events(link) else {
                continue;
            };
            // One that became ready meanwhile has been told nothing before either.
            let Some(bytes) = encoded.find(facts.format) else {
                continue;
            };
            match link.emit(topic, Encoded::new(bytes, &[]), &facts) {
                Ok(()) => published.subscribers += 1,
                Err(CallError::Disconnected(_)) => {}
                Err(_busy) => published.dropped += 1,
            }
        }
        Ok(published)
    }

    /// Stops to accept, tells every client, lets calls finish, and cuts what is left after `grace`. Always ends.
    ///
    /// It may run several times at once, and again: each ends no later than its own grace, and the first that reaches
    /// it cuts.
    ///
    /// Cancel safety: dropped before its end, the server goes on draining until its handle is dropped; it may be
    /// called again.
    pub async fn drain(&self, grace: Duration) -> DrainReport {
        let listening = self.stop_listening();
        let report = drain::run(&self.shared, &self.local, grace).await;
        for task in listening {
            // Until its listener is closed, and its socket file is gone. It was told to end, so it ends.
            drop(task.await);
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
        drop(self.stop_listening());
        self.shared.close_all();
        self.local.stop();
    }

    /// The tasks that are about to end.
    fn stop_listening(&self) -> Vec<JoinHandle<()>> {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Listening { names, tasks } = std::mem::take(&mut *listening);
        drop(listening);
        for task in &tasks {
            task.abort();
        }
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
