//! Who stands at the door: connections that are not authenticated yet, and how many are in.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Counts both kinds of connections.
#[derive(Debug)]
pub(super) struct Door {
    max_waiting: usize,
    max_inside: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order of arrival.
    waiting: Vec<Waiting>,
    inside: usize,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    source: IpAddr,
    evicted: Arc<Notify>,
}

/// A connection that the door counts, at it or inside.
#[derive(Debug)]
pub(super) struct Place {
    door: Arc<Door>,
    number: u64,
    evicted: Arc<Notify>,
    inside: bool,
}

/// What one who has many addresses has many of: the network of a whole site in IPv6.
pub(super) fn source(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Door {
    pub(super) fn new(max_waiting: usize, max_inside: usize) -> Arc<Self> {
        Arc::new(Self {
            max_waiting: max_waiting.max(1),
            max_inside,
            inner: Mutex::default(),
        })
    }

    /// A place for a connection from there. When there is none, the oldest of whichever source holds most goes: one that
    /// holds them all can keep out nobody but itself.
    pub(super) fn enter(self: &Arc<Self>, remote: IpAddr) -> Place {
        let mut inner = self.lock();
        if inner.waiting.len() >= self.max_waiting {
            inner.evict();
        }
        let number = inner.next;
        inner.next += 1;
        let evicted = Arc::new(Notify::new());
        inner.waiting.push(Waiting {
            number,
            source: source(remote),
            evicted: Arc::clone(&evicted),
        });
        drop(inner);
        Place {
            door: Arc::clone(self),
            number,
            evicted,
            inside: false,
        }
    }

    /// How many stand at the door, and how many are inside.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.waiting.len(), inner.inside)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn evict(&mut self) {
        let held = |source: IpAddr| {
            let same = self.waiting.iter().filter(|one| one.source == source);
            same.count()
        };
        // The first of those that are equal: the oldest.
        let mut most = (0, None);
        for (at, one) in self.waiting.iter().enumerate() {
            let count = held(one.source);
            if count > most.0 {
                most = (count, Some(at));
            }
        }
        if let (_, Some(at)) = most {
            self.waiting.remove(at).evicted.notify_one();
        }
    }

    fn leave(&mut self, number: u64) -> bool {
        let at = self.waiting.iter().position(|one| one.number == number);
        at.map(|at| self.waiting.remove(at)).is_some()
    }
}

impl Place {
    /// The peer is authenticated. `false`: it had to go meanwhile, or as many are inside as may.
    pub(super) fn go_in(&mut self) -> bool {
        if self.inside {
            return true;
        }
        let mut inner = self.door.lock();
        if inner.inside >= self.door.max_inside || !inner.leave(self.number) {
            return false;
        }
        inner.inside += 1;
        drop(inner);
        self.inside = true;
        true
    }

    /// Rung when somebody else got the place.
    pub(super) fn evicted(&self) -> Arc<Notify> {
        Arc::clone(&self.evicted)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.door.lock();
        if self.inside {
            inner.inside = inner.inside.saturating_sub(1);
        } else {
            inner.leave(self.number);
        }
    }
}

#[cfg(test)]
mod tests;
