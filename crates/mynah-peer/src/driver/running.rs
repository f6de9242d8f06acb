//! The handlers of one connection that were not ready at their first poll.

use super::observed::Gated;
use crate::handler::{Produce, Running};
use mynah_connection::InboundKey;
use mynah_protocol::CallId;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Handlers in places that are used again, each with a waker of its own.
///
/// A waker puts its place in the ready list and wakes the task; a wake that comes late finds another
/// handler in the place, or none, and costs one poll.
#[derive(Default)]
pub(super) struct RunningSet {
    places: Vec<Place>,
    free: Vec<usize>,
    ready: Arc<Ready>,
    len: usize,
    /// The task has been noted down to be woken.
    registered: bool,
}

struct Place {
    handler: Option<Handler>,
    waker: Waker,
    flag: Arc<PlaceWaker>,
}

/// One running handler, or one stream that is being sent.
pub(super) struct Handler {
    pub(super) owner: Owner,
    pub(super) route: usize,
    pub(super) work: Work,
}

/// Which call something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A call of the peer: its answer, or its stream of results.
    Theirs(InboundKey),
    /// A call of ours: the stream that goes with it.
    Ours(CallId),
}

/// What is polled.
pub(super) enum Work {
    Future(Box<dyn Running>),
    Stream(Box<dyn Produce>),
    /// A call that waits for an interceptor.
    Gate(Box<Gated>),
}

/// Which places are to be polled.
#[derive(Default)]
struct Ready {
    list: Mutex<ReadyList>,
}

#[derive(Default)]
struct ReadyList {
    places: VecDeque<usize>,
    task: Option<Waker>,
}

struct PlaceWaker {
    place: usize,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut list = self.ready.lock();
        list.places.push_back(self.place);
        let task = list.task.take();
        drop(list);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, ReadyList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningSet {
    /// The place that the next handler will have, and its waker: for the first poll, before it is
    /// known whether the handler needs the place.
    pub(super) fn next_place(&mut self) -> (usize, Waker) {
        let index = match self.free.last() {
            Some(index) => *index,
            None => {
                let index = self.places.len();
                let flag = Arc::new(PlaceWaker {
                    place: index,
                    queued: AtomicBool::new(false),
                    ready: Arc::clone(&self.ready),
                });
                let waker = Waker::from(Arc::clone(&flag));
                self.places.push(Place {
                    handler: None,
                    waker,
                    flag,
                });
                self.free.push(index);
                index
            }
        };
        let waker = self
            .places
            .get(index)
            .map_or(Waker::noop(), |place| &place.waker);
        (index, waker.clone())
    }

    /// Puts a handler in the place that [`Self::next_place`] named.
    pub(super) fn occupy(&mut self, index: usize, handler: Handler) {
        if self.free.last() == Some(&index) {
            self.free.pop();
        }
        if let Some(place) = self.places.get_mut(index) {
            place.handler = Some(handler);
            self.len += 1;
        }
    }

    /// Takes a handler out.
    fn remove(&mut self, index: usize) -> Option<Handler> {
        let handler = self.places.get_mut(index)?.handler.take()?;
        self.free.push(index);
        self.len -= 1;
        Some(handler)
    }

    /// Takes a handler out to poll it; put it back with [`Self::put_back`] or free the place with [`Self::free`].
    pub(super) fn lift(&mut self, index: usize) -> Option<(Handler, Waker)> {
        let place = self.places.get_mut(index)?;
        let handler = place.handler.take()?;
        Some((handler, place.waker.clone()))
    }

    pub(super) fn put_back(&mut self, index: usize, handler: Handler) {
        if let Some(place) = self.places.get_mut(index) {
            place.handler = Some(handler);
        }
    }

    pub(super) fn free(&mut self, index: usize) {
        self.free.push(index);
        self.len -= 1;
    }

    /// The next place to poll; registers the task to be woken when there is none.
    pub(super) fn next_ready(&mut self, task: &Waker) -> Option<usize> {
        let mut list = self.ready.lock();
        let next = list.places.pop_front();
        if next.is_none()
            && !list
                .task
                .as_ref()
                .is_some_and(|known| known.will_wake(task))
        {
            list.task = Some(task.clone());
            self.registered = true;
        }
        drop(list);
        let index = next?;
        if let Some(place) = self.places.get(index) {
            // Takes part in the order of wakes: one that comes now is seen by the poll that follows, or queues again.
            place.flag.queued.swap(false, Ordering::AcqRel);
        }
        Some(index)
    }

    /// Has the handler at a place polled, when there is one.
    pub(super) fn resume(&self, index: usize) {
        if let Some(place) = self.places.get(index)
            && place.handler.is_some()
        {
            place.waker.wake_by_ref();
        }
    }

    /// Takes a handler out if it belongs to `owner`.
    pub(super) fn remove_of(&mut self, index: usize, owner: Owner) -> Option<Handler> {
        let handler = self.places.get(index)?.handler.as_ref()?;
        if handler.owner != owner {
            return None;
        }
        self.remove(index)
    }

    /// The streams that are being sent, with their places.
    pub(super) fn streams(&mut self) -> impl Iterator<Item = (usize, &mut Box<dyn Produce>)> {
        let places = self.places.iter_mut().enumerate();
        places.filter_map(|(index, place)| match &mut place.handler.as_mut()?.work {
            Work::Stream(producer) => Some((index, producer)),
            Work::Future(_) | Work::Gate(_) => None,
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether another connection may have it: nothing runs, and nobody holds a waker of a place, which would wake the
    /// wrong task.
    pub(super) fn is_spent(&mut self) -> bool {
        /// What more handlers than that at once have needed is let go.
        const MOST: usize = 64;
        if self.len > 0 {
            return false;
        }
        if self.places.len() > MOST {
            *self = Self::default();
            return true;
        }
        // The place itself has the flag, and a waker that has it.
        let is_apart = |place: &Place| Arc::strong_count(&place.flag) == 2;
        if !self.places.iter().all(is_apart) {
            return false;
        }
        // What the last holder of a waker did comes before what follows.
        fence(Ordering::Acquire);
        let is_queued = |place: &Place| place.flag.queued.load(Ordering::Relaxed);
        if self.registered || self.places.iter().any(is_queued) {
            self.forget_wakes();
        }
        true
    }

    fn forget_wakes(&mut self) {
        let mut list = self.ready.lock();
        for index in list.places.drain(..) {
            if let Some(place) = self.places.get(index) {
                place.flag.queued.store(false, Ordering::Relaxed);
            }
        }
        let task = list.task.take();
        drop(list);
        drop(task);
        self.registered = false;
    }

    /// Takes every handler out.
    pub(super) fn drain(&mut self) -> Vec<Handler> {
        let handlers: Vec<_> = self
            .places
            .iter_mut()
            .filter_map(|place| place.handler.take())
            .collect();
        self.len = 0;
        self.free = (0..self.places.len()).collect();
        handlers
    }
}
