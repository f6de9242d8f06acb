//! A peer before it starts.

use super::{DEFAULT_TIMEOUT, Peer};
use crate::blocking::spawn_connection;
use crate::context::Context;
use crate::driver::{ByteStream, drive_bytes, drive_carrier, trace_lines};
use crate::events::{EarlyListeners, Events, LogLine, Logs, Subscription};
use crate::handler::Service;
use crate::intercept::Interceptor;
use crate::link::{Link, LinkConfig, Out};
use crate::observe::SlowThresholds;
use crate::router::{RegisterError, Router};
use futures_core::Stream;
use mynah_codec::{Dialect, Side};
use mynah_protocol::{AllowedMethods, Evidence, Limits, SideLine, SideLines, Transport};
use serde::de::DeserializeOwned;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A peer that is about to start.
#[must_use = "nothing runs before start"]
pub struct PeerBuilder {
    medium: Medium,
    router: Router,
    /// In place of `router`: the same for several connections.
    shared: Option<Arc<Router>>,
    limits: Limits,
    evidence: Evidence,
    side: Side,
    default_timeout: Option<Duration>,
    listeners: EarlyListeners,
    side_lines: Option<SideLines>,
}

enum Medium {
    Bytes { drive: Drive, wire: MakeWire },
    Carrier(Pin<Box<dyn Transport>>),
}

type MakeWire = Box<dyn FnOnce(Side, &Limits) -> Box<dyn mynah_codec::Wire> + Send>;

/// Starts the task of a connection. Made where the type of the stream is known, so that the task reads and writes it
/// without a detour through a pointer.
type Drive = Box<dyn FnOnce(Option<SideLines>, Arc<Link>) + Send>;

impl fmt::Debug for PeerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerBuilder")
            .field("evidence", &self.evidence)
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

impl PeerBuilder {
    pub(crate) fn over(stream: impl ByteStream, dialect: &(impl Dialect + ?Sized)) -> Self {
        let dialect = dialect.clone_box();
        let wire: MakeWire = Box::new(move |side, limits| dialect.wire(side, limits));
        Self::new(Medium::Bytes {
            drive: Box::new(|lines, link| {
                spawn_connection(drive_bytes(stream, lines, link, (), &[]));
            }),
            wire,
        })
    }

    pub(crate) fn over_transport(transport: Pin<Box<dyn Transport>>) -> Self {
        let evidence = transport.evidence().clone();
        Self {
            evidence,
            ..Self::new(Medium::Carrier(transport))
        }
    }

    fn new(medium: Medium) -> Self {
        Self {
            medium,
            router: Router::new(),
            shared: None,
            limits: Limits::default(),
            evidence: Evidence::new(),
            side: Side::Dial,
            default_timeout: Some(DEFAULT_TIMEOUT),
            listeners: EarlyListeners::default(),
            side_lines: None,
        }
    }

    /// Services that the other side may call.
    pub fn register(mut self, service: impl Service) -> Self {
        self.router = self.router.register(service);
        self
    }

    /// All services that the other side may call, in place of those registered before.
    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// The services that it shares with other connections, in place of all others.
    pub(crate) fn shared_router(mut self, router: Arc<Router>) -> Self {
        self.shared = Some(router);
        self
    }

    /// What this side publishes, in place of events of its own.
    pub fn events(mut self, events: Events) -> Self {
        self.router = self.router.with_events(events);
        self
    }

    /// Has an interceptor stand around every call that this side answers. See [`Router::intercept`].
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.router = self.router.intercept(interceptor);
        self
    }

    /// What to warn of, in place of the default thresholds.
    pub fn warn_slow(mut self, thresholds: SlowThresholds) -> Self {
        self.router = self.router.warn_slow(thresholds);
        self
    }

    /// Runs a handler for every event that the other side emits under a topic: [`Router::on_event`].
    pub fn on_event<T, H, F>(mut self, topic: &str, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.router = self.router.on_event(topic, handler);
        self
    }

    /// Runs a handler for every line of the other side's log that belongs to no call: [`Router::on_log`].
    pub fn on_log<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Context, LogLine) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.router = self.router.on_log(handler);
        self
    }

    /// Hears what the other side emits under a topic, from its first word on.
    pub fn listen<T>(&mut self, topic: &str) -> Subscription<T> {
        self.listeners.listen(topic)
    }

    /// Hears the other side's log, as far as it belongs to no call, from its first line on.
    pub fn logs(&mut self) -> Logs {
        self.listeners.logs()
    }

    /// Listeners that were made before there was a connection, in place of those of this builder, which hear the end.
    pub fn listeners(mut self, listeners: EarlyListeners) -> Self {
        self.listeners = listeners;
        self
    }

    /// Lines that arrive beside the bytes: what a process at the other end writes to its stderr. They are heard as lines
    /// of the other side's log, by [`logs`](Self::logs) and [`on_log`](Self::on_log), and [`LogLine::stderr`] tells them
    /// from the rest. When nobody listens they go to `tracing`, target `mynah::stderr`, level info; what comes when the
    /// connection is over goes there too, and so does everything beside a transport that carries messages.
    pub fn side_lines(mut self, lines: impl Stream<Item = SideLine> + Send + 'static) -> Self {
        self.side_lines = Some(Box::pin(lines));
        self
    }

    /// The limits. Listeners that were made before keep the limits of their time.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.listeners.set_limits(limits.clone());
        self.limits = limits;
        self
    }

    /// What is known about the other side.
    pub fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// Whether this side dialled or accepted; it matters to wires whose handshake is not symmetric.
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// The time for calls that name none: 30 s unless set, `None` for no end.
    pub fn default_deadline(mut self, timeout: Option<Duration>) -> Self {
        self.default_timeout = timeout;
        self
    }

    /// Starts the connection's task on the current tokio runtime.
    ///
    /// # Errors
    /// [`RegisterError`] when a service cannot be registered.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Result<Peer, RegisterError> {
        match &self.shared {
            Some(shared) => shared.check()?,
            None => self.router.check()?,
        }
        Ok(self.start_unchecked())
    }

    pub(crate) fn start_unchecked(self) -> Peer {
        let router = self.shared.unwrap_or_else(|| Arc::new(self.router));
        let config = LinkConfig {
            limits: Arc::new(self.limits),
            router,
            evidence: self.evidence,
            default_timeout: self.default_timeout,
            listeners: self.listeners.take(),
            server: None,
            direct: false,
        };
        match self.medium {
            Medium::Bytes { drive, wire } => {
                let wire = wire(self.side, &config.limits);
                let link = start_link(Out::wire(wire), config, self.side);
                drive(self.side_lines, Arc::clone(&link));
                Peer::linked(link)
            }
            Medium::Carrier(transport) => {
                let out = Out::carrier(transport.profile().clone(), &config.limits);
                let link = start_link(out, config, self.side);
                if let Some(lines) = self.side_lines {
                    trace_lines(lines, link.config.evidence.to_string());
                }
                spawn_connection(drive_carrier(transport, Arc::clone(&link), Vec::new()));
                Peer::linked(link)
            }
        }
    }
}

/// Makes a link and says what a wire says of itself at the start.
pub(crate) fn start_link(mut out: Out, config: LinkConfig, side: Side) -> Arc<Link> {
    // A peer that may call some methods only is told of those only, and of no hash of all.
    let restricted = AllowedMethods::of(&config.evidence).is_some();
    if let Some(contracts) = config.router.contracts().hashes().filter(|_| !restricted) {
        out.announce(contracts);
    }
    let link = Link::new(out, config);
    let mut state = link.lock();
    state.out.own_output();
    if side == Side::Dial || state.out.is_ready() {
        link.set_facts(&state.out);
    }
    let capabilities = state.out.profile().capabilities;
    // One that is refused is told so once it has said what it speaks.
    state.drain_untold = link.config.router.refusal().is_some();
    drop(state);
    if capabilities.events && !capabilities.streams {
        link.config.router.events().feed(&link);
    }
    link
}
