//! A client that reconnects, before it starts.

use super::Reconnecting;
use super::connections::{Connections, Manners};
use super::open::{DialError, Open};
use super::supervise::{Opener, supervise};
use crate::events::Events;
use crate::handler::Service;
use crate::intercept::Interceptor;
use crate::peer::DEFAULT_TIMEOUT;
use crate::router::{RegisterError, Router};
use mynah_connection::Backoff;
use mynah_protocol::Limits;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// A client that reconnects, before it starts: [`connect`](Self::connect) waits for the first connection,
/// [`start`](Self::start) does not.
#[must_use = "nothing is opened before connect or start"]
pub struct Reconnect {
    open: Open,
    router: Option<Router>,
    events: Option<Events>,
    limits: Option<Limits>,
    backoff: Backoff,
    attempt_timeout: Duration,
    default_timeout: Option<Duration>,
    fail_fast: bool,
    retry_busy: bool,
}

/// The time for one attempt, unless said otherwise.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("backoff", &self.backoff)
            .field("fail_fast", &self.fail_fast)
            .field("retry_busy", &self.retry_busy)
            .finish_non_exhaustive()
    }
}

impl Reconnect {
    pub(super) fn new(open: Open) -> Self {
        Self {
            open,
            router: None,
            events: None,
            limits: None,
            backoff: Backoff::new(),
            attempt_timeout: ATTEMPT_TIMEOUT,
            default_timeout: Some(DEFAULT_TIMEOUT),
            fail_fast: false,
            retry_busy: false,
        }
    }

    /// How long the pauses between attempts are. Without a seed it gets one by chance.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// A service that the other side may call, on every connection.
    pub fn register(mut self, service: impl Service) -> Self {
        let router = self.router.take().unwrap_or_default();
        self.router = Some(router.register(service));
        self
    }

    /// All services that the other side may call, in place of those registered before.
    pub fn router(mut self, router: Router) -> Self {
        self.router = Some(router);
        self
    }

    /// Has an interceptor stand around every call that this side answers. See [`Router::intercept`]; around calls that
    /// are made stands [`Intercepted`](crate::Intercepted).
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        let router = self.router.take().unwrap_or_default();
        self.router = Some(router.intercept(interceptor));
        self
    }

    /// What this side publishes, on every connection. Those who subscribed subscribe again.
    pub fn events(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }

    /// The limits of every connection.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The time for calls that name none, with the time that they wait for a connection: 30 s unless set, `None` for no
    /// end.
    pub const fn default_deadline(mut self, timeout: Option<Duration>) -> Self {
        self.default_timeout = timeout;
        self
    }

    /// The time for one attempt to connect: 20 s unless set.
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Calls do not wait while there is no connection, because one was lost or could not be made: they end as
    /// `Disconnected`. They still wait for the first attempt, and while a server that drains is left.
    pub const fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// Calls that are refused as `Busy`, which did not run, are sent again after a pause, within their deadline.
    pub const fn retry_busy(mut self) -> Self {
        self.retry_busy = true;
        self
    }

    /// Opens the first connection, and keeps one open from then on.
    ///
    /// Cancel safety: dropped before its end, nothing stays open.
    ///
    /// # Errors
    /// [`DialError`] when the first attempt fails: a wrong address is told at once. To begin with pauses and attempts
    /// instead, take [`start`](Self::start) and [`Reconnecting::connected`].
    pub async fn connect(self) -> Result<Reconnecting, DialError> {
        let (connections, opener, backoff) = self.into_parts()?;
        let first = opener.attempt(&connections).await?;
        let client = Reconnecting::over(Arc::clone(&connections));
        connections.install(&first);
        tokio::spawn(supervise(connections, opener, backoff, Some(first)));
        Ok(client)
    }

    /// Begins to connect in the background, and returns at once: calls wait.
    ///
    /// # Errors
    /// [`RegisterError`] when a service cannot be registered.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Reconnecting, RegisterError> {
        let (connections, opener, backoff) = self.into_parts()?;
        let client = Reconnecting::over(Arc::clone(&connections));
        tokio::spawn(supervise(connections, opener, backoff, None));
        Ok(client)
    }

    fn into_parts(self) -> Result<(Arc<Connections>, Opener, Backoff), RegisterError> {
        let router = match (self.router, self.events) {
            (router, Some(events)) => Some(router.unwrap_or_default().with_events(events)),
            (router, None) => router,
        };
        if let Some(router) = &router {
            router.check()?;
        }
        let backoff = match self.backoff.seed() {
            Some(_) => self.backoff,
            None => self.backoff.with_seed(RandomState::new().hash_one(())),
        };
        let connections = Connections::new(Manners {
            fail_fast: self.fail_fast,
            retry_busy: self.retry_busy,
            default_timeout: self.default_timeout,
            backoff: backoff.clone(),
        });
        let opener = Opener {
            open: self.open,
            router: router.map(Arc::new),
            limits: self.limits,
            default_timeout: self.default_timeout,
            timeout: self.attempt_timeout,
        };
        Ok((connections, opener, backoff))
    }
}
