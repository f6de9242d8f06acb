//! Which handler answers which name.

mod added;
mod fallback;
mod find;
mod names;
mod promises;
mod route;

pub(crate) use added::Added;
pub use added::Methods;
pub(crate) use fallback::{Fallback, FallbackMethod};
pub use fallback::{RawAnswer, RawCall};
pub(crate) use find::Unrouted;
pub use route::MethodEntry;
pub(crate) use route::Route;

use promises::Promises;

use crate::blocking::BlockingPool;
use crate::context::Context;
use crate::direct::DirectCalls;
use crate::events::{Events, Hearers, LogLine};
use crate::handler::{Declaration, Export, Handler, Needs, Routes, Service};
use crate::intercept::{Interceptor, Interceptors};
use crate::method::MethodKind;
use crate::observe::{self, SlowThresholds};
use crate::server::Peers;
use crate::states::States;
use crate::system::{Contracts, Shown};
use mynah_contract::Contract;
use mynah_protocol::{Evidence, Limits, MethodName, Offer, Opaque, RpcError};
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Which handler answers which name.
///
/// Services are registered before the start and stay. Methods made by hand may be added and removed while it serves:
/// [`Methods`].
#[derive(Default)]
pub struct Router {
    routes: Vec<Route>,
    by_name: HashMap<Box<str>, HashMap<Box<str>, usize>>,
    /// Methods by their bare name, for wires without services: as a rule it is that of one.
    by_method: HashMap<Box<str>, Vec<usize>>,
    /// A wire that its server listens on and that says bare names alone.
    bare: OnceLock<&'static str>,
    /// Methods that came after the start.
    added: Added,
    fallback: Option<Arc<dyn Fallback>>,
    /// What handlers share.
    states: States,
    needs: Needs,
    errors: Vec<RegisterError>,
    events: Events,
    chain: Option<Arc<Interceptors>>,
    slow: SlowThresholds,
    declarations: Vec<Declaration>,
    hearers: Hearers,
    contracts: Contracts,
    /// What contracts that were given say of methods made by hand.
    promises: Promises,
    /// The clients of the server that has this router.
    peers: OnceLock<Peers>,
    /// Where `#[blocking]` handlers run.
    blocking: BlockingPool,
    /// Why a connection is refused that was not admitted: nothing else is ever said to it.
    refusal: Option<Box<RpcError>>,
    direct: DirectCalls,
}

/// A registration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is taken.
    #[error("method {0} is registered twice")]
    Duplicate(String),
    /// A name is empty, too long, or has characters that some wire gives a meaning.
    #[error("\"{0}\" cannot be the name of a service or method: {1}")]
    Name(String, &'static str),
    /// Something that a peer says has one handler at most.
    #[error("{0} has two handlers")]
    Handlers(String),
    /// A wire calls methods by their own names alone, and several services have one of this name.
    #[error(
        "{dialect} calls methods by their own names, and `{method}` is that of {services}: rename one, or have \
         the names of services said as well"
    )]
    Ambiguous {
        /// The wire.
        dialect: &'static str,
        /// The name.
        method: String,
        /// Whose methods they are.
        services: String,
    },
    /// A contract promises a method that nobody answers.
    #[error("the contract has a method {0}, and there is no handler for it")]
    Unanswered(String),
    /// A contract cannot be kept: its schemas are too large to be looked at, or a handler gives something else.
    #[error("the contract of {0} cannot be kept: {1}")]
    Contract(String, String),
    /// A contract says of values what is not looked at, so that its method would not be held to it.
    #[error(
        "the contract of {method} says `{keyword}` of {place}, which is not checked: leave it out, or let the handler check \
         it (`describe_only`)"
    )]
    Unchecked {
        /// The method.
        method: String,
        /// What its schema says.
        keyword: String,
        /// Where.
        place: String,
    },
    /// A handler takes server state of a type that the router was not given.
    #[error("a handler takes server state of type {0}, which was not given: `Router::state`")]
    State(&'static str),
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.methods()).finish()
    }
}

impl Router {
    /// A router without methods.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the methods of a service. What is wrong with them is reported by
    /// [`Self::check`], and by whatever starts with this router.
    #[must_use]
    pub fn register(mut self, service: impl Service) -> Self {
        let mut routes = Routes::default();
        service.register(&mut routes);
        self.contracts.extend(routes.take_contracts());
        let (routes, declarations) = routes.into_parts();
        for declaration in declarations {
            declaration.apply(&self.events);
            self.declarations.push(declaration);
        }
        for route in routes {
            if let Err(error) = self.push(route) {
                self.errors.push(error);
            }
        }
        self
    }

    /// Says what is known of methods: what `describe` tells of them. Handlers made by hand get their entries from it; each
    /// method in it must have a handler when something starts with this router.
    ///
    /// Handlers made by hand are held to it, whether they were added before or are added later: where the contract has
    /// schemas, params that do not fit are refused as those that are not valid are (-32602 with `data.errors`), after
    /// they were read and before the handler runs; a result that does not fit is -32603 `Result validation failed`. What
    /// of a schema is looked at, [`Validator`](mynah_contract::Validator) says; where one says more (`pattern`, `if`), its
    /// method is refused with [`RegisterError::Unchecked`], and [`Self::describe_only`] leaves the values to the handler.
    /// Methods of a registered service have types of their own, and are not looked at again.
    #[must_use]
    pub fn describe(mut self, contract: Contract) -> Self {
        let taken = self.promises.take(&contract);
        self.errors.extend(taken.err());
        self.with_contract(contract)
    }

    /// The same for handlers that look at their values themselves: what is known of methods is told, and each must have a
    /// handler of its kind, which is not held to the schemas.
    #[must_use]
    pub fn describe_only(mut self, contract: Contract) -> Self {
        self.promises.take_kinds(&contract);
        self.with_contract(contract)
    }

    fn with_contract(mut self, contract: Contract) -> Self {
        for route in std::mem::take(&mut self.routes) {
            let same = *route.service == *contract.name();
            // What was promised before is kept already.
            let held = same && self.contracts.promises(&route.name());
            let route = if same && !held {
                self.hold(route)
            } else {
                Some(route)
            };
            self.routes.extend(route);
        }
        self.contracts.give(contract);
        self
    }

    /// Has a route keep what is promised of it. One that cannot is an error when something starts.
    fn hold(&mut self, route: Route) -> Option<Route> {
        match self.promises.hold(route) {
            Ok(route) => Some(route),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Decides what a caller is told of: asked for each method and event when a peer wants to know what is offered. Without
    /// it everybody is told everything. It does not decide who may call: that is for an interceptor.
    #[must_use]
    pub fn show<F>(mut self, show: F) -> Self
    where
        F: Fn(&Evidence, Shown<'_>) -> bool + Send + Sync + 'static,
    {
        self.contracts.show(Arc::new(show));
        self
    }

    /// Has the hello of each connection say the hashes of the contracts, on wires whose hello has room for them. A client
    /// that checks its contract then asks only if something is different.
    #[must_use]
    pub fn announce_contracts(mut self) -> Self {
        self.contracts.announce();
        self
    }

    pub(crate) const fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// Adds a method made by hand: a function or closure under a name. See [`Handler`] for what it may take and give.
    ///
    /// The name is `method`, or `service.method` for one of a service; the last dot divides. Methods of a registered
    /// service and methods made by hand may share the name of a service. What is wrong is reported by
    /// [`Self::check`], and by whatever starts with this router.
    #[must_use]
    pub fn method<H, M>(self, name: &str, handler: H) -> Self
    where
        H: Handler<M>,
    {
        self.mount(name, handler, None)
    }

    /// Adds a notification made by hand: as [`Self::method`], of a method that gives nothing back.
    #[must_use]
    pub fn notification<H, M>(self, name: &str, handler: H) -> Self
    where
        H: Handler<M>,
    {
        self.mount(name, handler, Some(MethodKind::Notification))
    }

    /// Adds a function that was marked with `#[mynah::export]`, under the name that it has there.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "nothing is summed here: it adds a function to a router"
    )]
    pub fn add(mut self, function: impl Export) -> Self {
        let mut routes = Routes::default();
        function.export(&mut routes);
        let (routes, _events) = routes.into_parts();
        for route in routes {
            if let Err(error) = self.push(route.removable()) {
                self.errors.push(error);
            }
        }
        self
    }

    fn mount<H, M>(mut self, name: &str, handler: H, kind: Option<MethodKind>) -> Self
    where
        H: Handler<M>,
    {
        H::needs(&mut self.needs);
        let route = names::split(name).map(|(service, method)| {
            let mounted = handler.mount();
            Route::by_hand(service, method, kind, mounted)
        });
        if let Err(error) = route.and_then(|route| self.push(route)) {
            self.errors.push(error);
        }
        self
    }

    /// Answers every call of a method that nobody has. The handler gets the name and the params as they came, and may
    /// answer with bytes as they are, or with any value. Without it such a call is refused with -32601.
    ///
    /// Calls with a stream of results, and names that begin with `$`, do not come here.
    #[must_use]
    pub fn fallback<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Context, RawCall) -> F + Send + Sync + 'static,
        F: Future<Output = Result<RawAnswer, RpcError>> + Send + 'static,
    {
        let fallback = fallback::new(handler);
        if self.fallback.replace(fallback).is_some() {
            let what = "what is called and nobody has";
            self.errors.push(RegisterError::Handlers(what.into()));
        }
        self
    }

    /// Gives handlers a value that they share: [`Context::server_state`], [`ServerState`](crate::ServerState). One of
    /// each type; another of the same type takes its place.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.shared_state(Arc::new(value))
    }

    /// The same with a value that others hold too.
    #[must_use]
    pub fn shared_state<T: Send + Sync + 'static>(self, value: Arc<T>) -> Self {
        drop(self.states.set(value));
        self
    }

    /// The limits of calls that no connection carries: [`Self::dispatch`], [`Self::handle_wire`]. A connection has those
    /// that it is started with.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.direct.limits = Arc::new(limits);
        self
    }

    /// The same router to be shared: for calls that no connection carries.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn share(self) -> Result<Arc<Self>, RegisterError> {
        self.check()?;
        Ok(Arc::new(self))
    }

    pub(crate) const fn direct(&self) -> &DirectCalls {
        &self.direct
    }

    /// Has an interceptor stand around every call of the services that this side offers, of its callbacks and of
    /// subscriptions to its events. Several see a call in the order in which they were added.
    #[must_use]
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.chain = Some(Interceptors::with(self.chain.as_deref(), interceptor));
        self
    }

    /// What to warn of, in place of the default thresholds.
    #[must_use]
    pub const fn warn_slow(mut self, thresholds: SlowThresholds) -> Self {
        self.slow = thresholds;
        self
    }

    /// Runs a handler for every event that the other side emits under a topic, from its first word on.
    ///
    /// The handler is polled where the event was read, like that of a notification: several run side by side, each
    /// holds one of the permits of `Limits::calls_in_flight` while it runs, an event that finds none is dropped and
    /// counted, and what runs stops with the connection. A message of another shape is dropped. Those who listen
    /// ([`Peer::listen`](crate::Peer::listen)) hear the event as well. It is no call: interceptors do not see it.
    #[must_use]
    pub fn on_event<T, H, F>(mut self, topic: &str, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if !self.hearers.on_event(topic, handler) {
            let topic = topic.escape_debug();
            let error = RegisterError::Handlers(format!("event \"{topic}\""));
            self.errors.push(error);
        }
        self
    }

    /// The same for every event that has no handler of its own; it is told the topic.
    #[must_use]
    pub fn on_any_event<T, H, F>(mut self, handler: H) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, String, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if !self.hearers.on_any_event(handler) {
            let what = "every event without a handler of its own";
            self.errors.push(RegisterError::Handlers(what.into()));
        }
        self
    }

    /// Runs a handler for every line of the other side's log that belongs to no call, as for an event.
    #[must_use]
    pub fn on_log<H, F>(mut self, handler: H) -> Self
    where
        H: Fn(Context, LogLine) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        if !self.hearers.on_log(handler) {
            let error = RegisterError::Handlers("the log of the peer".into());
            self.errors.push(error);
        }
        self
    }

    /// Where `#[blocking]` handlers run, in place of the threads that the process shares.
    #[must_use]
    pub fn blocking_pool(mut self, pool: BlockingPool) -> Self {
        self.blocking = pool;
        self
    }

    pub(crate) const fn blocking(&self) -> &BlockingPool {
        &self.blocking
    }

    /// The router of a connection that was not admitted.
    pub(crate) fn refusing(error: RpcError) -> Self {
        Self {
            refusal: Some(Box::new(error)),
            ..Self::default()
        }
    }

    /// Why everything is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<&RpcError> {
        self.refusal.as_deref()
    }

    /// The server that has this router makes its clients known.
    pub(crate) fn serve(&self, peers: Peers) {
        // A router has one server at most.
        let _first = self.peers.set(peers);
    }

    /// The clients of the server that has this router.
    pub(crate) fn peers(&self) -> Peers {
        self.peers.get().cloned().unwrap_or_default()
    }

    pub(crate) const fn hearers(&self) -> &Hearers {
        &self.hearers
    }

    /// What this side publishes, in place of events of its own: several routers may publish together.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.events = events;
        for declaration in &self.declarations {
            declaration.apply(&self.events);
        }
        self
    }

    /// What this side publishes.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Whether every registration can work.
    ///
    /// # Errors
    /// The first one that cannot.
    pub fn check(&self) -> Result<(), RegisterError> {
        if let Some(error) = self.errors.first() {
            return Err(error.clone());
        }
        if let Some(state) = self.lacks(&self.needs) {
            return Err(RegisterError::State(state));
        }
        let mut promised = self.contracts.promised();
        let unanswered = promised.find(|name| self.look_up(name).is_none());
        unanswered.map_or(Ok(()), |name| {
            Err(RegisterError::Unanswered(name.to_string()))
        })
    }

    /// The name of a type of server state that is needed and was not given.
    fn lacks(&self, needs: &Needs) -> Option<&'static str> {
        let absent = |(of, _): &&(TypeId, &'static str)| !self.states.has(*of);
        needs.states.iter().find(absent).map(|(_, name)| *name)
    }

    /// All methods: those that were registered, in their order, then those that were added since.
    #[must_use]
    pub fn methods(&self) -> Vec<MethodEntry> {
        let live = self.routes.iter().filter(|route| route.is_live());
        let mut methods: Vec<_> = live.map(Route::entry).collect();
        self.added.list(&mut methods);
        methods
    }

    /// What a listener is told before it accepts.
    pub(crate) fn offer(&self) -> Offer {
        let names = self.methods().into_iter().map(|method| method.name.service);
        let none = BTreeMap::new();
        let hashes = self.contracts.hashes().unwrap_or(&none);
        names
            .filter(|name| !name.is_empty())
            .fold(Offer::default(), |offer, name| {
                let contract = match hashes.get(&*name) {
                    Some(Opaque::Bytes(hash)) => Some(hash.clone()),
                    _ => None,
                };
                offer.with_service(&*name, contract)
            })
    }

    fn push(&mut self, route: Route) -> Result<(), RegisterError> {
        names::check(&route.service, &route.method)?;
        let route = self.promises.hold(route)?;
        let index = self.routes.len();
        let methods = self.by_name.entry(route.service.clone()).or_default();
        if methods.contains_key(&route.method) {
            let name = MethodName::new(&route.service, &route.method).to_string();
            return Err(RegisterError::Duplicate(name));
        }
        methods.insert(route.method.clone(), index);
        self.by_method
            .entry(route.method.clone())
            .or_default()
            .push(index);
        self.routes.push(route);
        Ok(())
    }

    pub(crate) const fn states(&self) -> &States {
        &self.states
    }

    /// Whether somebody may look at calls.
    #[inline]
    pub(crate) fn observes(&self) -> bool {
        observe::serves(self.chain.as_ref())
    }

    pub(crate) const fn chain(&self) -> Option<&Arc<Interceptors>> {
        self.chain.as_ref()
    }

    pub(crate) const fn slow(&self) -> SlowThresholds {
        self.slow
    }

    pub(crate) fn route(&self, index: usize) -> Option<&Route> {
        self.routes.get(index)
    }
}
