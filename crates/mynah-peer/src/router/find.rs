//! How a name is found among what was registered before the start and what was added since.

use super::fallback::Fallback;
use super::{RegisterError, Route, Router};
use mynah_protocol::MethodName;
use std::sync::Arc;

/// What answers a call that no route does.
pub(crate) enum Unrouted {
    Added(Arc<Route>),
    Fallback(Arc<dyn Fallback>),
}

impl Router {
    /// Finds a route. `hint` is the one that was found last.
    #[inline]
    pub(crate) fn find(&self, name: &MethodName<'_>, hint: usize) -> Option<usize> {
        if let Some(route) = self.routes.get(hint)
            && *route.method == *name.method
            && *route.service == *name.service
            && route.is_live()
        {
            return Some(hint);
        }
        self.look_up(name)
    }

    pub(super) fn look_up(&self, name: &MethodName<'_>) -> Option<usize> {
        if let Some(index) = self.place(&name.service, &name.method) {
            return Some(index);
        }
        if !name.service.is_empty() {
            return None;
        }
        // A wire without services: `service.method`, or the bare name if only one service has it.
        if let Some((service, method)) = name.method.rsplit_once('.') {
            return self.place(service, method);
        }
        let mut bare = self.bare(&name.method);
        let only = bare.next().filter(|_| bare.next().is_none())?;
        (!self.added.knows(&name.method)).then_some(only)
    }

    /// Where a method of this very name is, if it is still there.
    fn place(&self, service: &str, method: &str) -> Option<usize> {
        let index = *self.by_name.get(service)?.get(method)?;
        self.routes.get(index)?.is_live().then_some(index)
    }

    /// Those of this bare name that are still there, in the order of registration.
    fn bare(&self, method: &str) -> impl Iterator<Item = usize> {
        let places = self.by_method.get(method).into_iter().flatten().copied();
        places.filter(|place| self.routes.get(*place).is_some_and(Route::is_live))
    }

    /// Finds what is no route: a method that was added since, or the fallback.
    #[cold]
    pub(crate) fn find_other(&self, name: &MethodName<'_>) -> Option<Unrouted> {
        if let Some(route) = self.find_added(name) {
            return Some(Unrouted::Added(route));
        }
        let fallback = self.fallback.as_ref()?;
        // On a wire without services the names of what every peer has are methods.
        let reserved = name.service.starts_with('$')
            || name.service.is_empty() && name.method.starts_with('$');
        (!reserved).then(|| Unrouted::Fallback(Arc::clone(fallback)))
    }

    /// A method that was added since the start.
    pub(crate) fn find_added(&self, name: &MethodName<'_>) -> Option<Arc<Route>> {
        let registered = || self.bare(&name.method).next().is_some();
        self.added.find(name, registered)
    }

    /// Whether a method of this very name was registered before the start and is still there.
    pub(super) fn has_route(&self, service: &str, method: &str) -> bool {
        self.place(service, method).is_some()
    }

    pub(super) fn remove_route(&self, service: &str, method: &str) -> bool {
        let place = self.place(service, method);
        place
            .and_then(|place| self.routes.get(place))
            .is_some_and(Route::remove)
    }

    /// A server listens on this wire, which says bare names alone, or serves a connection of it: each method has to be
    /// told by its own name, now and whatever is added later.
    pub(crate) fn listens_bare(&self, dialect: &'static str) -> Result<(), RegisterError> {
        // In the order of registration, so that it is the same method each time.
        let several = self.methods().into_iter().find_map(|entry| {
            let services = self.services_of(&MethodName::new("", &entry.name.method))?;
            Some((entry.name.method.to_string(), services))
        });
        if let Some((method, services)) = several {
            return Err(RegisterError::Ambiguous {
                dialect,
                method,
                services,
            });
        }
        // The first wire that says them is the one that is told of.
        let _another = self.bare.set(dialect);
        Ok(())
    }

    /// Why a method cannot be added beside what is there, on a wire that says bare names alone. `added`: the services of
    /// those of its bare name that were added before.
    pub(super) fn clash(&self, route: &Route, mut added: Vec<Box<str>>) -> Option<RegisterError> {
        let dialect = *self.bare.get()?;
        let mut services = self.services(&route.method);
        added.sort_unstable();
        services.append(&mut added);
        // The method of a service without a name is meant before those of others.
        let named = services
            .iter()
            .chain([&route.service])
            .any(|one| one.is_empty());
        // Its own again: a duplicate, which is another error.
        let own = services.contains(&route.service);
        if named || own || services.is_empty() {
            return None;
        }
        services.push(route.service.clone());
        Some(RegisterError::Ambiguous {
            dialect,
            method: route.method.to_string(),
            services: listed(&services),
        })
    }

    /// The services that have a method of this bare name, when there are several and none is meant before others.
    pub(crate) fn services_of(&self, name: &MethodName<'_>) -> Option<String> {
        if !name.service.is_empty() || self.has_route("", &name.method) || self.added.has(name) {
            return None;
        }
        let mut services = self.services(&name.method);
        services.append(&mut self.added.services_with(&name.method));
        (services.len() > 1).then(|| listed(&services))
    }

    /// The services of what was registered under this bare name, in the order of registration.
    fn services(&self, method: &str) -> Vec<Box<str>> {
        let routes = self.bare(method).filter_map(|place| self.routes.get(place));
        routes.map(|route| route.service.clone()).collect()
    }
}

fn listed(services: &[Box<str>]) -> String {
    let names: Vec<_> = services
        .iter()
        .map(|service| format!("`{service}`"))
        .collect();
    names.join(" and ")
}
