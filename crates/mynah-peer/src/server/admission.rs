//! Who may have a session with a server, and when.

use super::session::Session;
use mynah_connection::CloseReason;
use mynah_protocol::{ErrorCode, RpcError};
use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Decides who may have a session with a server, and when: [`Server::admit`](super::Server::admit).
///
/// It is asked once for every connection, when it arrives and before anything of it is handled. Several are asked in the
/// order in which they were added, each once the one before has admitted. It must not block.
pub trait SessionPolicy: Send + Sync + 'static {
    /// Whether this connection may have a session now, later or not at all.
    fn admit(&self, session: &Session) -> Verdict;

    /// The session is over. Called exactly once for each that every policy has admitted, however it ended, before its
    /// permits are given back.
    fn ended(&self, session: &Session, reason: &CloseReason) {
        let _ = (session, reason);
    }
}

/// What a [`SessionPolicy`] decides.
#[must_use]
pub enum Verdict {
    /// It may begin, and holds this until its end.
    Admit(SessionPermit),
    /// It may not. The peer is told the error where its wire can say it: as the reason why the connection ends, and as
    /// the answer to what it asked for already.
    Refuse(RpcError),
    /// It waits for this. It is dropped when the peer goes, when the server stops, and when
    /// `Limits::admission_timeout` is over, which refuses the connection as busy; `Limits::waiting_connections` bounds
    /// how many wait.
    Wait(Waiting),
}

/// What a connection waits for.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Result<SessionPermit, RpcError>> + Send>>;

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admit(permit) => f.debug_tuple("Admit").field(permit).finish(),
            Self::Refuse(error) => f.debug_tuple("Refuse").field(error).finish(),
            Self::Wait(_) => f.write_str("Wait"),
        }
    }
}

impl Verdict {
    /// It may begin; nothing is to be given back at its end.
    pub fn admit() -> Self {
        Self::Admit(SessionPermit::none())
    }

    /// It waits for a future.
    pub fn wait(
        future: impl Future<Output = Result<SessionPermit, RpcError>> + Send + 'static,
    ) -> Self {
        Self::Wait(Box::pin(future))
    }
}

/// What a session holds until its end: dropped then, and when the connection goes before it was admitted.
#[derive(Default)]
pub struct SessionPermit(Option<Box<dyn Any + Send + Sync>>);

impl fmt::Debug for SessionPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionPermit")
            .field(&self.0.is_some())
            .finish()
    }
}

impl SessionPermit {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// A value whose drop gives something back.
    #[must_use]
    pub fn new(held: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(held)))
    }
}

/// At most so many sessions at once; one more is refused, or waits for its turn in a fair queue.
///
/// ```text
///   arrives ──▶ a place is free and nobody waits ──▶ admitted ──▶ ended: the place goes to the first who waits
///      │                                                ▲
///      ├──▶ waits, in the order of arrival ─────────────┘
///      └──▶ the queue is full, or there is none ──▶ refused as busy
/// ```
///
/// A connection that goes while it waits leaves the queue at once; those behind it move up.
#[derive(Clone, Debug)]
pub struct SessionLimit {
    places: Arc<Semaphore>,
    most: usize,
    waiting: Arc<AtomicUsize>,
    queue: usize,
    patience: Option<Duration>,
}

impl SessionLimit {
    /// At most so many sessions; one more is refused.
    #[must_use]
    pub fn new(most: usize) -> Self {
        // The semaphore has a bound of its own, beyond what a machine can hold.
        let most = most.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            waiting: Arc::default(),
            queue: 0,
            patience: None,
        }
    }

    /// One session at a time; one more is refused unless it may [`queue`](Self::queue).
    #[must_use]
    pub fn exclusive() -> Self {
        Self::new(1)
    }

    /// So many connections may wait for a place, first come, first served.
    #[must_use]
    pub const fn queue(mut self, waiting: usize) -> Self {
        self.queue = waiting;
        self
    }

    /// How long each may wait, below `Limits::admission_timeout`.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// How many sessions hold a place.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// How many connections wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

/// Counts one who waits.
struct Queued(Arc<AtomicUsize>);

impl Queued {
    /// `None`: as many wait as may.
    fn enter(waiting: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let free = |now: usize| (now < most).then_some(now + 1);
        let entered = waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, free);
        entered.ok().map(|_| Self(Arc::clone(waiting)))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(super) fn busy(text: &'static str) -> RpcError {
    RpcError::new(ErrorCode::BUSY, text)
}

impl SessionPolicy for SessionLimit {
    fn admit(&self, _session: &Session) -> Verdict {
        // Fair: what is given back goes to the first who waits, and is not free meanwhile.
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Verdict::Admit(SessionPermit::new(place));
        }
        let Some(queued) = Queued::enter(&self.waiting, self.queue) else {
            return Verdict::Refuse(busy("as many sessions are open as may be"));
        };
        let place = Arc::clone(&self.places).acquire_owned();
        let mut place = Box::pin(tokio::task::unconstrained(place));
        // In the queue from now on, in the order of arrival, and not from whenever its task is polled first.
        let noop = &mut task::Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(place)) = place.as_mut().poll(noop) {
            return Verdict::Admit(SessionPermit::new(place));
        }
        let patience = self.patience;
        Verdict::wait(async move {
            let place = match patience {
                None => place.await,
                Some(patience) => match tokio::time::timeout(patience, place).await {
                    Ok(place) => place,
                    Err(_late) => return Err(busy("no session has ended in time")),
                },
            };
            drop(queued);
            let closed = |_| busy("no session may begin any more");
            let place: OwnedSemaphorePermit = place.map_err(closed)?;
            Ok(SessionPermit::new(place))
        })
    }
}

type Connected = Box<
    dyn Fn(Session) -> Pin<Box<dyn Future<Output = Result<(), RpcError>> + Send>> + Send + Sync,
>;

/// `on_connect`: a function of the program.
pub(super) struct OnConnect(Connected);

impl OnConnect {
    pub(super) fn new<F, U>(function: F) -> Self
    where
        F: Fn(Session) -> U + Send + Sync + 'static,
        U: Future<Output = Result<(), RpcError>> + Send + 'static,
    {
        Self(Box::new(move |session| Box::pin(function(session))))
    }
}

impl SessionPolicy for OnConnect {
    fn admit(&self, session: &Session) -> Verdict {
        let decided = (self.0)(session.clone());
        Verdict::wait(async move { decided.await.map(|()| SessionPermit::none()) })
    }
}

/// `on_disconnect`: a function of the program.
pub(super) struct OnDisconnect<F>(pub(super) F);

impl<F: Fn(&Session, &CloseReason) + Send + Sync + 'static> SessionPolicy for OnDisconnect<F> {
    fn admit(&self, _session: &Session) -> Verdict {
        Verdict::admit()
    }

    fn ended(&self, session: &Session, reason: &CloseReason) {
        (self.0)(session, reason);
    }
}
