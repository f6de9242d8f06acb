//! Methods that come and go while a router serves.

use super::{MethodEntry, RegisterError, Route, Router, names};
use crate::handler::{Export, Handler, Needs, Routes};
use crate::method::MethodKind;
use mynah_protocol::MethodName;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Methods of a router that were added after it had started: found by name, after what was registered before.
#[derive(Default)]
pub(crate) struct Added {
    table: RwLock<Table>,
    /// So that a name that nobody has costs no lock where nothing was ever added.
    len: AtomicUsize,
}

#[derive(Default)]
struct Table {
    services: HashMap<Box<str>, HashMap<Box<str>, Arc<Route>>>,
}

impl Added {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// Whether there is one of this very name.
    pub(super) fn has(&self, name: &MethodName<'_>) -> bool {
        !self.is_empty() && self.read().exact(&name.service, &name.method).is_some()
    }

    /// Whether any service has one of this bare name.
    pub(super) fn knows(&self, method: &str) -> bool {
        !self.is_empty() && self.read().bare(method).next().is_some()
    }

    /// The services that have one of this bare name, in their order.
    pub(super) fn services_with(&self, method: &str) -> Vec<Box<str>> {
        let table = self.read();
        let mut services: Vec<_> = table.bare(method).map(|one| one.service.clone()).collect();
        drop(table);
        services.sort_unstable();
        services
    }

    /// As the router finds its own: by its name; on a wire without services by its bare name if only one service has
    /// it, or as `service.method`. `others`: whether what was registered before has a method of this bare name.
    pub(super) fn find(
        &self,
        name: &MethodName<'_>,
        others: impl FnOnce() -> bool,
    ) -> Option<Arc<Route>> {
        if self.is_empty() {
            return None;
        }
        let table = self.read();
        if let Some(route) = table.exact(&name.service, &name.method) {
            return Some(Arc::clone(route));
        }
        if !name.service.is_empty() {
            return None;
        }
        if let Some((service, method)) = name.method.rsplit_once('.') {
            return table.exact(service, method).cloned();
        }
        let mut found = table.bare(&name.method);
        let only = found.next().filter(|_| found.next().is_none()).cloned();
        drop(found);
        drop(table);
        only.filter(|_| !others())
    }

    pub(super) fn list(&self, methods: &mut Vec<MethodEntry>) {
        let from = methods.len();
        let table = self.read();
        let routes = table.services.values().flat_map(HashMap::values);
        methods.extend(routes.map(|route| route.entry()));
        drop(table);
        if let Some(added) = methods.get_mut(from..) {
            added.sort_by(|one, other| {
                (&one.name.service, &one.name.method)
                    .cmp(&(&other.name.service, &other.name.method))
            });
        }
    }

    /// Adds one, unless `clashes` finds fault with it. It is asked under the lock, with the services that have a method
    /// of this bare name, so that two at once do not both pass.
    fn insert(
        &self,
        route: Route,
        clashes: impl FnOnce(&Route, Vec<Box<str>>) -> Option<RegisterError>,
    ) -> Result<(), RegisterError> {
        let mut table = self.write();
        let same = table.bare(&route.method).map(|one| one.service.clone());
        if let Some(error) = clashes(&route, same.collect()) {
            drop(table);
            return Err(error);
        }
        let methods = table.services.entry(route.service.clone()).or_default();
        if methods.contains_key(&route.method) {
            let name = route.name().to_string();
            drop(table);
            return Err(RegisterError::Duplicate(name));
        }
        methods.insert(route.method.clone(), Arc::new(route));
        self.len.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn remove(&self, service: &str, method: &str) -> bool {
        let mut table = self.write();
        let removed = table
            .services
            .get_mut(service)
            .and_then(|methods| methods.remove(method));
        if table.services.get(service).is_some_and(HashMap::is_empty) {
            table.services.remove(service);
        }
        if removed.is_some() {
            self.len.fetch_sub(1, Ordering::AcqRel);
        }
        drop(table);
        // Dropped here, where no lock is held: it holds what its closure holds.
        removed.is_some()
    }
}

impl Table {
    fn exact(&self, service: &str, method: &str) -> Option<&Arc<Route>> {
        self.services.get(service)?.get(method)
    }

    /// Those of this bare name, one for each service that has it.
    fn bare(&self, method: &str) -> impl Iterator<Item = &Arc<Route>> {
        let services = self.services.values();
        services.filter_map(move |methods| methods.get(method))
    }
}

/// The methods of a router that serves: lists them, adds some, and removes what was made by hand.
///
/// A cheap clone. Calls that run finish, whatever is done to their method; a call that comes later finds what is there
/// then. A service of a contract is registered before the start and stays: it is not added here, nor are its methods
/// removed.
#[derive(Clone)]
pub struct Methods {
    router: Arc<Router>,
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Methods").field(&self.router).finish()
    }
}

impl Methods {
    pub(crate) const fn of(router: Arc<Router>) -> Self {
        Self { router }
    }

    /// All methods: those that were registered, in their order, then those that were added since, by name.
    #[must_use]
    pub fn list(&self) -> Vec<MethodEntry> {
        self.router.methods()
    }

    /// Adds a method: [`Router::method`].
    ///
    /// # Errors
    /// - [`RegisterError::Duplicate`] when the name is taken.
    /// - [`RegisterError::Name`] when it cannot be one.
    /// - [`RegisterError::State`] when the handler takes server state that the router was not given.
    /// - [`RegisterError::Contract`] when a contract that the router was given says something else of it.
    /// - [`RegisterError::Ambiguous`] when the server listens on a wire that says bare names alone, and a service has a
    ///   method of this one already.
    pub fn method<H, M>(&self, name: &str, handler: H) -> Result<(), RegisterError>
    where
        H: Handler<M>,
    {
        self.mount(name, handler, None)
    }

    /// Adds a notification: [`Router::notification`].
    ///
    /// # Errors
    /// As [`method`](Self::method).
    pub fn notification<H, M>(&self, name: &str, handler: H) -> Result<(), RegisterError>
    where
        H: Handler<M>,
    {
        self.mount(name, handler, Some(MethodKind::Notification))
    }

    /// Adds a function that was marked with `#[mynah::export]`: [`Router::add`].
    ///
    /// # Errors
    /// [`RegisterError::Duplicate`] when its name is taken; [`RegisterError::Ambiguous`] as for
    /// [`method`](Self::method).
    pub fn add(&self, function: impl Export) -> Result<(), RegisterError> {
        let mut routes = Routes::default();
        function.export(&mut routes);
        let (routes, _events) = routes.into_parts();
        routes
            .into_iter()
            .try_for_each(|route| self.insert(route.removable()))
    }

    fn mount<H, M>(
        &self,
        name: &str,
        handler: H,
        kind: Option<MethodKind>,
    ) -> Result<(), RegisterError>
    where
        H: Handler<M>,
    {
        let (service, method) = names::split(name)?;
        names::check(service, method)?;
        let mut needs = Needs::default();
        H::needs(&mut needs);
        if let Some(state) = self.router.lacks(&needs) {
            return Err(RegisterError::State(state));
        }
        self.insert(Route::by_hand(service, method, kind, handler.mount()))
    }

    fn insert(&self, route: Route) -> Result<(), RegisterError> {
        names::check(&route.service, &route.method)?;
        if self.router.has_route(&route.service, &route.method) {
            return Err(RegisterError::Duplicate(route.name().to_string()));
        }
        let route = self.router.promises.hold(route)?;
        self.router
            .added
            .insert(route, |route, added| self.router.clash(route, added))
    }

    /// Removes a method that was made by hand, whether it was added or registered before the start. Returns whether
    /// there was one; methods of a service stay.
    ///
    /// What its closure holds is dropped with the last call that runs; of a method that was registered before the
    /// start, with the router.
    #[must_use = "whether there was one"]
    pub fn remove(&self, name: &str) -> bool {
        let Ok((service, method)) = names::split(name) else {
            return false;
        };
        self.router.remove_route(service, method) || self.router.added.remove(service, method)
    }
}
