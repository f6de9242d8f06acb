//! What the peer may call: what there is beside the routes, and what the evidence of its transport allows.

use super::{CalledKind, Link};
use crate::events;
use crate::handler::Method;
use crate::router::{FallbackMethod, Unrouted};
use crate::system;
use mynah_protocol::{AllowedMethods, MethodName};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Link {
    /// What the peer may call that is no route.
    #[cold]
    pub(crate) fn find_other(
        &self,
        name: &MethodName<'_>,
    ) -> Option<(Arc<dyn Method>, CalledKind)> {
        let router = &self.config.router;
        if router.refusal().is_some() {
            return None;
        }
        if system::is_system(name) {
            return Some((system::built_in(name, router)?, CalledKind::BuiltIn));
        }
        if name.service.starts_with('$') {
            let built_in = self
                .callbacks
                .find(name)
                .or_else(|| events::built_in(name, router.events()))?;
            return Some((built_in, CalledKind::BuiltIn));
        }
        Some(match router.find_other(name)? {
            Unrouted::Added(route) => (route, CalledKind::Added),
            Unrouted::Fallback(fallback) => {
                (FallbackMethod::of(name, fallback), CalledKind::Fallback)
            }
        })
    }

    /// Whether the peer may not call this, by the evidence of its transport. `route`: what the router found for the name.
    #[inline]
    pub(crate) fn forbids(&self, name: &MethodName<'_>, route: Option<usize>) -> bool {
        match &self.allowed {
            None => false,
            Some(allowed) => self.is_forbidden(allowed, name, route),
        }
    }

    /// A wire may say a method without its service: what counts is the name of what would run.
    #[cold]
    fn is_forbidden(
        &self,
        allowed: &AllowedMethods,
        name: &MethodName<'_>,
        route: Option<usize>,
    ) -> bool {
        let router = &self.config.router;
        if let Some(route) = route.and_then(|route| router.route(route)) {
            return !allowed.allows(&route.name());
        }
        // What every peer has: ping, a description that is cut to what is allowed, the callbacks that it was given, and
        // subscriptions, which look at their topic.
        if system::is_system(name) || name.service.starts_with('$') {
            return false;
        }
        match router.find_added(name) {
            Some(route) => !allowed.allows(&route.name()),
            None => !allowed.allows(name),
        }
    }

    /// Logs what the peer may not do: the first time as a warning, later for who looks closely. A peer cannot fill the
    /// log of the one it calls.
    #[cold]
    pub(crate) fn log_forbidden(&self, what: &str, name: &str) {
        let (name, peer) = (name.escape_debug(), &self.config.evidence);
        if self.warned.swap(true, Ordering::Relaxed) {
            tracing::debug!(%name, %peer, "{what} that the peer may not make");
        } else {
            tracing::warn!(%name, %peer, "{what} that the peer may not make; more of its kind is logged as debug");
        }
    }

    /// Whether the peer may hear of, and emit, events of a topic.
    pub(crate) fn allows_topic(&self, topic: &str) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.allows_topic(topic))
    }
}
