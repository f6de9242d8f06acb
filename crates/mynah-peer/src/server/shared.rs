//! What all listeners of a server share, and how it takes a connection on.

use super::accept::Accepting;
use super::admission::{SessionPolicy, busy};
use super::arrival::Arrival;
use super::registry::{IdTaken, PeerId, Registry};
use super::waiting;
use crate::driver::{ByteStream, drive_bytes, drive_carrier};
use crate::link::{Link, LinkConfig, Out};
use crate::peer::start_link;
use crate::router::{RegisterError, Router};
use mynah_codec::{Dialect, Side};
use mynah_connection::CloseReason;
use mynah_protocol::{Evidence, Inbound, Limits, RpcError, Transport};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// How long a connection that was refused has to say what it speaks, so that it can be told why.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);

/// What all listeners of a server share.
pub(crate) struct Shared {
    pub(super) router: Arc<Router>,
    /// `None`: those of each dialect.
    limits: Option<Limits>,
    default_timeout: Option<Duration>,
    registry: Registry,
    /// Who decides about connections.
    pub(super) policies: Box<[Box<dyn SessionPolicy>]>,
    /// Connections that wait to be admitted.
    waiting: AtomicUsize,
    /// Connections that no listener brought.
    attached: Held,
    /// Listeners that may still bring a connection.
    listening: AtomicUsize,
    /// Rung when a connection or a listener ends.
    pub(super) ended: Notify,
    /// Rung when no connection may come any more.
    pub(super) stopping: Notify,
}

/// How many connections of one listener are open.
pub(super) type Held = Arc<AtomicUsize>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("router", &self.router)
            .field("policies", &self.policies.len())
            .finish_non_exhaustive()
    }
}

/// Why a server does not take a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// As many connections are open as `Limits::connections` allows.
    #[error("too many connections are open")]
    Full,
    /// The server drains or has stopped.
    #[error("the server takes no new connections")]
    Stopped,
    /// A policy of the server refuses it, or would have it wait. The peer is told why.
    #[error("the server does not admit the connection")]
    Refused,
    /// Its wire calls methods by their own names alone, and several services have one of this name.
    #[error("the server cannot be called on this wire")]
    Names(#[source] Box<RegisterError>),
}

/// What is open and not a connection yet.
pub(super) enum Medium<S> {
    Bytes {
        stream: S,
        dialect: Box<dyn Dialect>,
        /// What was read of it.
        early: Vec<u8>,
    },
    Carrier {
        transport: Pin<Box<dyn Transport>>,
        early: Vec<Inbound>,
    },
}

impl Shared {
    pub(super) fn new(
        router: Arc<Router>,
        limits: Option<Limits>,
        default_timeout: Option<Duration>,
        policies: Vec<Box<dyn SessionPolicy>>,
    ) -> Self {
        Self {
            router,
            limits,
            default_timeout,
            registry: Registry::default(),
            policies: policies.into(),
            waiting: AtomicUsize::new(0),
            attached: Held::default(),
            listening: AtomicUsize::new(0),
            ended: Notify::new(),
            stopping: Notify::new(),
        }
    }

    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The name of a connection, if the program has set one.
    pub(crate) fn name_of(&self, number: u64) -> Option<PeerId> {
        self.registry.name_of(number)
    }

    /// Gives a connection this id, in place of the one before.
    pub(crate) fn rename(&self, number: u64, id: PeerId) -> Result<(), IdTaken> {
        self.registry.rename(number, id)
    }

    /// Takes no new connections, and lets go of those that wait.
    pub(super) fn refuse(&self) {
        self.registry.stop();
        self.stopping.notify_waiters();
    }

    pub(super) fn close_all(&self) {
        self.refuse();
        for link in self.registry.links() {
            link.cut(CloseReason::Local);
        }
    }

    /// Takes a connection into the books, unless there are too many, or none may come any more.
    fn arrive(
        self: &Arc<Self>,
        limits: &Limits,
        evidence: &Evidence,
        held: &Held,
    ) -> Result<Arrival, AttachError> {
        let fits = || {
            if held.load(Ordering::Acquire) >= limits.connections {
                return Err(AttachError::Full);
            }
            held.fetch_add(1, Ordering::AcqRel);
            Ok(())
        };
        let number = self.registry.enter(fits).ok_or(AttachError::Stopped)??;
        Ok(Arrival::new(self, number, evidence, held))
    }

    /// Serves what a listener has brought, once it is admitted.
    pub(super) fn accept_bytes(
        self: &Arc<Self>,
        stream: impl ByteStream,
        dialect: &(impl Dialect + ?Sized),
        change: &dyn Fn(Limits) -> Limits,
        evidence: Evidence,
        held: &Held,
    ) {
        let limits = self.limits_of(dialect, change);
        let medium = Medium::Bytes {
            stream,
            dialect: dialect.clone_box(),
            early: Vec::new(),
        };
        self.accept(medium, limits, evidence, held);
    }

    /// The same for a carrier of envelopes.
    pub(super) fn accept_carrier(
        self: &Arc<Self>,
        transport: impl Transport + 'static,
        change: &dyn Fn(Limits) -> Limits,
        evidence: Evidence,
        held: &Held,
    ) {
        let limits = change(self.limits.clone().unwrap_or_default());
        self.accept(Medium::carrier(transport), limits, evidence, held);
    }

    fn accept(
        self: &Arc<Self>,
        medium: Medium<impl ByteStream>,
        limits: Limits,
        evidence: Evidence,
        held: &Held,
    ) {
        let mut arrival = match self.arrive(&limits, &evidence, held) {
            Ok(arrival) => arrival,
            Err(error) => {
                tracing::warn!(%error, peer = %evidence, "connection refused");
                return;
            }
        };
        // Most policies know at once.
        match arrival.poll_admitted(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(admitted) => self.run(medium, limits, evidence, arrival, admitted),
            Poll::Pending => match WaitingPlace::enter(self, limits.waiting_connections) {
                Some(place) => {
                    tokio::spawn(waiting::wait(medium, limits, evidence, arrival, place));
                }
                None => {
                    let full = Err(busy("as many connections wait as may"));
                    self.run(medium, limits, evidence, arrival, full);
                }
            },
        }
    }

    /// Serves something that is open, if it may begin now.
    pub(super) fn attach_bytes(
        self: &Arc<Self>,
        stream: impl ByteStream,
        dialect: &(impl Dialect + ?Sized),
        evidence: Evidence,
    ) -> Result<Arc<Link>, AttachError> {
        let limits = self.limits_of(dialect, &std::convert::identity);
        if let Some(name) = says_bare_names(dialect) {
            let told = self.router.listens_bare(name);
            told.map_err(|error| AttachError::Names(Box::new(error)))?;
        }
        let medium = Medium::Bytes {
            stream,
            dialect: dialect.clone_box(),
            early: Vec::new(),
        };
        self.attach(medium, limits, evidence)
    }

    /// The same for a carrier of envelopes.
    pub(super) fn attach_carrier(
        self: &Arc<Self>,
        transport: impl Transport + 'static,
    ) -> Result<Arc<Link>, AttachError> {
        let limits = self.limits.clone().unwrap_or_default();
        let evidence = transport.evidence().clone();
        self.attach(Medium::carrier(transport), limits, evidence)
    }

    fn attach(
        self: &Arc<Self>,
        medium: Medium<impl ByteStream>,
        limits: Limits,
        evidence: Evidence,
    ) -> Result<Arc<Link>, AttachError> {
        let mut arrival = self.arrive(&limits, &evidence, &self.attached)?;
        let refusal = match arrival.poll_admitted(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {
                let link = self.start(medium, limits, evidence, arrival, None);
                return link.ok_or(AttachError::Stopped);
            }
            Poll::Ready(Err(error)) => error,
            Poll::Pending => busy("no session may begin now"),
        };
        self.run(medium, limits, evidence, arrival, Err(refusal));
        Err(AttachError::Refused)
    }

    fn limits_of(
        &self,
        dialect: &(impl Dialect + ?Sized),
        change: &dyn Fn(Limits) -> Limits,
    ) -> Limits {
        let limits = self.limits.clone();
        change(limits.unwrap_or_else(|| dialect.limits()))
    }

    /// Runs a connection that was admitted, or tells one that was not.
    pub(super) fn run(
        self: &Arc<Self>,
        medium: Medium<impl ByteStream>,
        limits: Limits,
        evidence: Evidence,
        arrival: Arrival,
        admitted: Result<(), RpcError>,
    ) {
        let refusal = admitted.err();
        if let Some(error) = &refusal {
            tracing::info!(%error, peer = %evidence, "connection refused");
        }
        self.start(medium, limits, evidence, arrival, refusal);
    }

    /// Starts the task of a connection. `None`: the server has stopped meanwhile.
    fn start(
        self: &Arc<Self>,
        medium: Medium<impl ByteStream>,
        limits: Limits,
        evidence: Evidence,
        mut arrival: Arrival,
        refusal: Option<RpcError>,
    ) -> Option<Arc<Link>> {
        let out = match &medium {
            Medium::Bytes { dialect, .. } => Out::wire(dialect.wire(Side::Accept, &limits)),
            Medium::Carrier { transport, .. } => Out::carrier(transport.profile().clone(), &limits),
        };
        let refused = refusal.is_some();
        let config = LinkConfig {
            limits: self.registry.share(limits),
            router: match refusal {
                None => Arc::clone(&self.router),
                // Nothing can be called.
                Some(error) => Arc::new(Router::refusing(error)),
            },
            evidence,
            default_timeout: self.default_timeout,
            listeners: OnceLock::new(),
            server: Some((Arc::downgrade(self), arrival.number())),
            direct: false,
        };
        let link = start_link(out, config, Side::Accept);
        if let Some(session) = arrival.session() {
            session.linked(&link);
        }
        // The server's own handle: the connection lives until the peer goes or the server closes it.
        link.add_handle();
        let taken = if refused {
            arrival.refused(&link)
        } else {
            arrival.admitted(&link)
        };
        if !taken {
            return None;
        }
        let running = Arc::clone(&link);
        match medium {
            Medium::Bytes { stream, early, .. } if refused => {
                tokio::spawn(refuse(
                    drive_bytes(stream, None, running, arrival, &early),
                    Arc::clone(&link),
                ));
            }
            Medium::Bytes { stream, early, .. } => {
                tokio::spawn(drive_bytes(stream, None, running, arrival, &early));
            }
            Medium::Carrier { transport, early } => {
                let telling = refused.then(|| Arc::clone(&link));
                tokio::spawn(async move {
                    let _arrival = arrival;
                    let driven = drive_carrier(transport, running, early);
                    match telling {
                        Some(link) => refuse(driven, link).await,
                        None => driven.await,
                    }
                });
            }
        }
        Some(link)
    }

    /// Accepts what a listener brings, in a task, until it brings no more.
    pub(super) fn listen(self: &Arc<Self>, listener: Box<dyn Accepting>) -> ListenerTask {
        self.listening.fetch_add(1, Ordering::AcqRel);
        let listening = Listening(Arc::clone(self));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let Listening(shared) = &listening;
            listener.accept_all(Arc::clone(shared), stopped).await;
        });
        ListenerTask { stop, task }
    }

    /// Whether nothing is open and nothing will be.
    pub(super) fn is_finished(&self) -> bool {
        // The listeners first: what they accepted is in the books by the time they end.
        self.listening.load(Ordering::Acquire) == 0 && self.registry.is_empty()
    }
}

impl Medium<tokio::io::Empty> {
    fn carrier(transport: impl Transport + 'static) -> Self {
        Self::Carrier {
            transport: Box::pin(transport),
            early: Vec::new(),
        }
    }
}

/// Runs a connection that was refused to its end, which comes soon.
async fn refuse<T>(driven: impl Future<Output = T>, link: Arc<Link>) {
    let mut driven = std::pin::pin!(driven);
    let heard = tokio::time::timeout(REFUSAL_PATIENCE, driven.as_mut());
    if heard.await.is_err() {
        link.cut(CloseReason::Local);
        driven.await;
    }
}

/// A task that accepts.
pub(super) struct ListenerTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl ListenerTask {
    /// It accepts nothing any more, and ends once its listener is closed.
    pub(super) fn close(self) -> JoinHandle<()> {
        // It may have ended by itself.
        let _told = self.stop.send(());
        self.task
    }

    /// It ends where it is.
    pub(super) fn abort(self) {
        self.task.abort();
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

/// One of the connections that wait.
pub(super) struct WaitingPlace(Arc<Shared>);

impl WaitingPlace {
    /// `None`: as many wait as may.
    fn enter(shared: &Arc<Shared>, most: usize) -> Option<Self> {
        let free = |now: usize| (now < most).then_some(now + 1);
        let entered = shared
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, free);
        entered.ok().map(|_| Self(Arc::clone(shared)))
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The name of a dialect whose calls name a method and no service.
pub(super) fn says_bare_names(dialect: &(impl Dialect + ?Sized)) -> Option<&'static str> {
    let wire = dialect.wire(Side::Accept, &dialect.limits());
    let profile = wire.profile();
    profile.bare_names.then_some(profile.dialect)
}
