//! A router that is called from the same process.

use crate::driver::drive_bytes;
use crate::events::{Events, Queue};
use crate::link::{Link, LinkConfig, Out};
use crate::peer::{Peer, PeerBuilder};
use crate::router::Router;
use mynah_codec::dialect::native::Native;
use mynah_codec::{Dialect as _, Side};
use mynah_connection::CloseReason;
use mynah_protocol::{EndReason, Evidence, EvidenceKey, Limits};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};

/// A router that is called from the same process.
pub struct LocalServer {
    pub(crate) router: Arc<Router>,
    pub(super) limits: Limits,
    pub(super) evidence: Evidence,
    pub(super) in_flight: AtomicUsize,
    pub(super) draining: AtomicBool,
    /// Subscriptions of callers in this process.
    subscriptions: Mutex<Vec<Weak<Queue>>>,
    /// Where calls go whose types are not the ones of the handler: over a wire in memory, one for each caller that
    /// handlers may call back.
    encoded: Mutex<Vec<Bridge>>,
}

/// A connection of a server with a caller of the same process.
struct Bridge {
    near: Peer,
    /// Of the side that answers.
    far: Arc<Link>,
    /// Whom handlers call back; `None`: nobody.
    caller: Option<Weak<LocalServer>>,
}

impl Bridge {
    fn is_of(&self, caller: Option<&Arc<LocalServer>>) -> bool {
        match (&self.caller, caller) {
            (Some(known), Some(caller)) => known.as_ptr() == Arc::as_ptr(caller),
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether somebody may go on with it.
    fn is_of_use(&self) -> bool {
        let gone = |caller: &Weak<LocalServer>| caller.strong_count() == 0;
        !self.near.is_closed() && !self.caller.as_ref().is_some_and(gone)
    }
}

impl fmt::Debug for LocalServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalServer")
            .field("router", &self.router)
            .finish_non_exhaustive()
    }
}

static NAMES: LazyLock<Mutex<HashMap<String, Weak<LocalServer>>>> = LazyLock::new(Mutex::default);

impl LocalServer {
    pub(crate) fn new(router: Arc<Router>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            router,
            limits,
            evidence: Evidence::new().with(EvidenceKey::TRANSPORT, "memory"),
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            subscriptions: Mutex::default(),
            encoded: Mutex::default(),
        })
    }

    pub(crate) const fn router(&self) -> &Arc<Router> {
        &self.router
    }

    pub(crate) const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Makes it known under a name. `false` when the name is taken by a living server.
    pub(crate) fn publish(self: &Arc<Self>, name: &str) -> bool {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, server| server.strong_count() > 0);
        if names.contains_key(name) {
            return false;
        }
        names.insert(name.to_owned(), Arc::downgrade(self));
        true
    }

    pub(crate) fn unpublish(self: &Arc<Self>, name: &str) {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if names
            .get(name)
            .is_some_and(|known| known.as_ptr() == Arc::as_ptr(self))
        {
            names.remove(name);
        }
    }

    /// The server of a name.
    pub(crate) fn named(name: &str) -> Option<Arc<Self>> {
        NAMES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)?
            .upgrade()
    }

    /// The events that it publishes.
    pub(crate) fn events(&self) -> &Events {
        self.router.events()
    }

    /// Takes no new calls, and ends what has no end of its own. Returns how many subscriptions that were.
    pub(crate) fn start_drain(&self) -> usize {
        self.draining.store(true, Ordering::SeqCst);
        for far in self.bridges() {
            far.start_drain();
        }
        self.end_subscriptions(&EndReason::Draining)
    }

    /// Takes no new calls; nothing is published to anybody any more.
    pub(crate) fn stop(&self) {
        self.draining.store(true, Ordering::SeqCst);
        for far in self.bridges() {
            far.cut(CloseReason::Local);
        }
        self.end_subscriptions(&EndReason::PeerGone);
    }

    pub(super) fn keep_subscription(&self, queue: &Arc<Queue>) {
        let mut subscriptions = self
            .subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        subscriptions.retain(|known| known.strong_count() > 0);
        subscriptions.push(Arc::downgrade(queue));
        drop(subscriptions);
        // A drain that began meanwhile may not have seen it.
        if self.draining.load(Ordering::SeqCst) {
            self.end_subscriptions(&EndReason::Draining);
        }
    }

    /// Ends the subscriptions of this process. Returns how many there were.
    pub(crate) fn end_subscriptions(&self, reason: &EndReason) -> usize {
        let subscriptions = std::mem::take(
            &mut *self
                .subscriptions
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let mut ended = 0;
        for queue in subscriptions.iter().filter_map(Weak::upgrade) {
            ended += usize::from(!queue.is_closed());
            if let Some(waker) = queue.close(reason.clone()) {
                waker.wake();
            }
        }
        ended
    }

    /// Calls that run and that their callers own.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// The connections of calls that are encoded, on the side that answers. None: there were no such calls.
    pub(crate) fn bridges(&self) -> Vec<Arc<Link>> {
        let encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        encoded
            .iter()
            .map(|bridge| Arc::clone(&bridge.far))
            .collect()
    }

    /// A connection of its own in memory, for calls of this caller that must be encoded.
    pub(super) fn encoded(self: &Arc<Self>, caller: Option<&Arc<Self>>) -> Peer {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        encoded.retain(Bridge::is_of_use);
        if let Some(bridge) = encoded.iter().find(|bridge| bridge.is_of(caller)) {
            return bridge.near.clone();
        }
        let (near, far) = tokio::io::duplex(64 << 10);
        let wire = Native::new().wire(Side::Accept, &self.limits);
        let config = LinkConfig {
            limits: Arc::new(self.limits.clone()),
            router: Arc::clone(&self.router),
            evidence: self.evidence.clone(),
            default_timeout: None,
            listeners: OnceLock::new(),
            server: None,
            direct: false,
        };
        let link = Link::new(Out::wire(wire), config);
        // The server's own handle: one that a handler drops must not be the last.
        link.add_handle();
        tokio::spawn(drive_bytes(far, None, Arc::clone(&link), (), &[]));
        let mut near = PeerBuilder::over(near, &Native::new());
        if let Some(caller) = caller {
            near = near.shared_router(Arc::clone(&caller.router));
        }
        let peer = near.start_unchecked();
        if self.draining.load(Ordering::SeqCst) {
            // A drain that began meanwhile has not seen it.
            link.start_drain();
        }
        encoded.push(Bridge {
            near: peer.clone(),
            far: link,
            caller: caller.map(Arc::downgrade),
        });
        peer
    }
}
