//! A server for programs without a runtime.

use super::caretaker::LAST_WORDS;
use super::peer::Peer;
use super::runner::{Runner, may_block};
use crate::error::CallError;
use crate::events::{Events, Published};
use crate::handler::Service;
use crate::router::{Methods, Router};
use crate::server::{DrainReport, PeerId, Peers, ServerError};
use mynah_protocol::{Limits, TransportError, TransportErrorKind};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A server that is about to start, in a program without a runtime: it brings the threads that drive its connections.
///
/// It is a [`Server`](crate::Server) with another start. Handlers that are to block are `#[blocking]`; the others run where
/// the connections are driven, and must not.
#[must_use = "nothing runs before start"]
#[derive(Debug, Default)]
pub struct Server {
    server: crate::Server,
    threads: Option<usize>,
}

impl From<crate::Server> for Server {
    fn from(server: crate::Server) -> Self {
        Self {
            server,
            threads: None,
        }
    }
}

impl Server {
    /// A server without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service.
    pub fn register(self, service: impl Service) -> Self {
        self.with(|server| server.register(service))
    }

    /// All services, in place of those registered before.
    pub fn router(self, router: Router) -> Self {
        self.with(|server| server.router(router))
    }

    /// The limits of every connection.
    pub fn limits(self, limits: Limits) -> Self {
        self.with(|server| server.limits(limits))
    }

    /// Everything else that can be said of a server: who is admitted, interceptors, listeners of one's own.
    pub fn with(mut self, change: impl FnOnce(crate::Server) -> crate::Server) -> Self {
        self.server = change(self.server);
        self
    }

    /// How many threads drive the connections: as many as the machine has processors unless set, one at least.
    pub const fn io_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Binds every listener and starts to accept.
    ///
    /// # Errors
    /// As [`Server::start`](crate::Server::start); [`ServerError::Listen`] also when there are no threads to be had, and
    /// within async code.
    pub fn start(self) -> Result<ServerHandle, ServerError> {
        let failed = |error: &dyn fmt::Display| {
            ServerError::Listen(TransportError::new(
                TransportErrorKind::Other,
                error.to_string(),
            ))
        };
        let mut builder = Builder::new_multi_thread();
        if let Some(threads) = self.threads {
            builder.worker_threads(threads.max(1));
        }
        let builder = builder.enable_all().thread_name("mynah-server-io");
        let runtime = builder.build().map_err(|error| failed(&error))?;
        let runner = Runner::lent(runtime.handle().clone());
        // From here on the runtime is dropped in a way that is allowed anywhere.
        let threads = Threads(Some(runtime));
        let started = runner.wait(self.server.start());
        Ok(ServerHandle {
            server: started.map_err(|error| failed(&error))??,
            runner,
            _threads: threads,
        })
    }
}

/// A running server in a program without a runtime. Dropped, it stops, and its addresses are free again; [`drain`](Self::drain) lets calls
/// finish.
#[must_use = "the server stops when its handle is dropped"]
pub struct ServerHandle {
    // Before the threads, on which its drop relies.
    server: crate::ServerHandle,
    runner: Arc<Runner>,
    _threads: Threads,
}

/// The threads that drive the connections, until they are dropped.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else {
            return;
        };
        if may_block() {
            // The addresses of the server are free when this is over.
            runtime.shutdown_timeout(LAST_WORDS);
        } else {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::ServerHandle")
            .field(&self.server)
            .finish()
    }
}

impl ServerHandle {
    /// The handle of an async program, for what needs no waiting.
    pub const fn handle(&self) -> &crate::ServerHandle {
        &self.server
    }

    /// Where it listens, in the order of the listeners: `tcp://127.0.0.1:9000`.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        self.server.addresses()
    }

    /// The first address, empty when it listens in process only.
    #[must_use]
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// What a client is to be given: [`ServerHandle::urls`](crate::ServerHandle::urls).
    #[must_use]
    pub fn urls(&self) -> &[String] {
        self.server.urls()
    }

    /// The first of [`Self::urls`], empty when it listens in process only.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// A peer that calls this server in process: [`ServerHandle::local`](crate::ServerHandle::local).
    #[must_use]
    pub fn local(&self) -> Peer {
        self.of(self.server.local())
    }

    /// The methods that it answers, to list them, and to add and remove some while it runs:
    /// [`ServerHandle::methods`](crate::ServerHandle::methods).
    #[must_use]
    pub fn methods(&self) -> Methods {
        self.server.methods()
    }

    /// What the server publishes.
    #[must_use]
    pub fn events(&self) -> &Events {
        self.server.events()
    }

    /// The clients, for whoever is to reach them beside this handle.
    #[must_use]
    pub fn directory(&self) -> Peers {
        self.server.directory()
    }

    /// The clients that are connected and were admitted, in the order of their arrival.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        let peers = self.directory().all().into_iter();
        peers.map(|peer| self.of(peer)).collect()
    }

    /// The client with this id: [`ServerHandle::peer`](crate::ServerHandle::peer).
    #[must_use]
    pub fn peer(&self, id: impl Into<PeerId>) -> Option<Peer> {
        self.directory().find(id).map(|peer| self.of(peer))
    }

    fn of(&self, peer: crate::Peer) -> Peer {
        Peer::with(peer, Arc::clone(&self.runner))
    }

    /// Publishes a message to all clients that are to hear it: [`ServerHandle::broadcast`](crate::ServerHandle::broadcast).
    ///
    /// # Errors
    /// As there, and [`CallError::Misuse`] within async code.
    pub fn broadcast<T: Serialize + Sync + ?Sized>(
        &self,
        topic: &str,
        message: &T,
    ) -> Result<Published, CallError> {
        self.runner
            .wait_within(self.server.broadcast(topic, message))?
    }

    /// Stops to accept, tells every client, lets calls finish, and cuts what is left after `grace`, 5 s with `None`:
    /// [`ServerHandle::drain`](crate::ServerHandle::drain).
    ///
    /// # Errors
    /// [`CallError::Misuse`] within async code; nothing has happened then.
    pub fn drain(&self, grace: impl Into<Option<Duration>>) -> Result<DrainReport, CallError> {
        self.runner.wait_within(self.server.drain(grace))
    }

    /// Waits until no connection is open and no listener can bring another, for ever on a socket: a program that does
    /// nothing but serve ends with this.
    ///
    /// # Errors
    /// [`CallError::Misuse`] within async code.
    pub fn finished(&self) -> Result<(), CallError> {
        self.runner.wait_within(self.server.finished())
    }

    /// Stops at once, without waiting.
    pub fn stop(&self) {
        self.server.stop();
    }
}
