//! What is kept for each call, in the slots of the connection.

use super::Sent;
use crate::call::SideEffects;
use crate::handler::Produce;
use crate::intercept::Observed;
use bytes::Bytes;
use mynah_protocol::{CallId, DeliveryStatus, Moment, RpcError, Undelivered};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use tokio::task::AbortHandle;

/// What is kept for each call of this side.
#[derive(Default)]
pub(crate) struct OutSlot {
    pub(crate) waker: Option<Waker>,
    /// The encoded result; the buffer goes round.
    pub(crate) reply: Vec<u8>,
    /// The encoded result instead, when it is large: a part of its message.
    pub(crate) shared: Option<Bytes>,
    pub(crate) ended: Option<Reply>,
    pub(crate) sent: Option<Sent>,
    /// What the carrier knows of the request; `None`: it was written.
    pub(crate) delivery: Option<DeliveryStatus>,
    /// Present when the caller listens to progress or logs.
    pub(crate) sides: Option<Box<Sides>>,
    /// The id of the call, when it has extras.
    pub(crate) id: Option<CallId>,
    /// Present when the call has streams or callbacks.
    pub(crate) extras: Option<Box<OutExtras>>,
}

impl OutSlot {
    /// Whether the end of the call is held back.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.held)
    }
}

/// What goes with a call of this side that is no plain one.
#[derive(Default)]
pub(crate) struct OutExtras {
    /// Results that wait for the program.
    pub(crate) results: Vec<u8>,
    /// The peer has taken the call on.
    pub(crate) accepted: bool,
    pub(crate) input: OutInput,
    /// The numbers of its callbacks.
    pub(crate) callbacks: Vec<u64>,
    /// The call has ended, and its caller is told so once what was said through its callbacks is heard.
    pub(crate) held: bool,
}

/// The stream that goes with a call of this side.
#[derive(Default)]
pub(crate) enum OutInput {
    #[default]
    None,
    /// Until the peer is ready for items.
    Waiting(Box<dyn Produce>),
    /// On its way into the set of the task.
    Moving,
    /// In the set of the task, at this place.
    Running(usize),
}

/// Who waits for the end of a call of the peer: each takes itself out when it waits no more. As a rule nobody does.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    list: Vec<(u64, Waker)>,
    last: u64,
}

impl Waiters {
    /// Adds a waiter, or notes the new waker of one that is known by its number. Returns the number and a waker to
    /// drop when no lock is held.
    pub(crate) fn wait(&mut self, number: Option<u64>, waker: &Waker) -> (u64, Option<Waker>) {
        let Waiting { list, last } = &mut **self.0.get_or_insert_default();
        if let Some(number) = number
            && let Some((_, known)) = list.iter_mut().find(|(known, _)| *known == number)
        {
            if known.will_wake(waker) {
                return (number, None);
            }
            return (number, Some(std::mem::replace(known, waker.clone())));
        }
        *last += 1;
        list.push((*last, waker.clone()));
        (*last, None)
    }

    /// Takes a waiter out.
    pub(crate) fn forget(&mut self, number: u64) -> Option<Waker> {
        let list = &mut self.0.as_mut()?.list;
        let place = list.iter().position(|(known, _)| *known == number)?;
        Some(list.swap_remove(place).1)
    }

    /// Takes everybody out, to be woken.
    #[inline]
    pub(crate) fn take_into(&mut self, woken: &mut Vec<Waker>) {
        if let Some(waiting) = &mut self.0 {
            // Numbers go on: somebody may still come with an old one.
            woken.extend(waiting.list.drain(..).map(|(_, waker)| waker));
        }
    }
}

/// How a call of this side ended, as the task found it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The result is in the slot's buffer.
    Result,
    Error(Box<RpcError>),
    Deadline,
    Lost {
        sent: bool,
    },
    /// The carrier ended it.
    Undelivered(Undelivered),
}

/// Side messages that wait for the caller.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) queue: VecDeque<Side>,
    /// Bytes of what is in `queue`.
    pub(crate) bytes: usize,
    pub(crate) dropped: u64,
}

impl Sides {
    /// Moves everything to the caller.
    pub(crate) fn hand_over(&mut self, sides: &mut SideEffects) {
        sides.queue.append(&mut self.queue);
        self.bytes = 0;
        sides.dropped += std::mem::take(&mut self.dropped);
    }
}

/// One side message: owned, encoded.
#[derive(Debug)]
pub(crate) enum Side {
    Progress {
        value: Vec<u8>,
        note: Option<Vec<u8>>,
    },
    Log {
        level: i64,
        dropped: u64,
        content: Vec<u8>,
    },
}

impl Side {
    /// Bytes of its content.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Progress { value, note } => value.len() + note.as_ref().map_or(0, Vec::len),
            Self::Log { content, .. } => content.len(),
        }
    }
}

/// What is kept for each call of the peer.
#[derive(Default)]
pub(crate) struct InSlot {
    pub(crate) handler: HandlerRef,
    pub(crate) shields: u32,
    /// Who waits for the cancellation of the call.
    pub(crate) waiters: Waiters,
    /// Present when a stream comes with the call and its handler takes it.
    pub(crate) input: Option<Box<InInput>>,
    /// Present when somebody looks at the call.
    pub(crate) observed: Option<Arc<Observed>>,
    pub(crate) run: Run,
}

/// What runs for the peer, and since when: for the report of a drain.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) kind: RunKind,
    pub(crate) since: Moment,
    /// The index of its route; of no account when it has a name.
    pub(crate) route: usize,
    /// The name of what is no method of the router.
    pub(crate) name: Option<Box<str>>,
}

/// The stream that comes with a call of the peer.
#[derive(Default)]
pub(crate) struct InInput {
    /// Items that wait for the handler.
    pub(crate) items: Vec<u8>,
    /// How it ended, once it has.
    pub(crate) end: Option<Result<(), Box<RpcError>>>,
    pub(crate) waker: Option<Waker>,
}

/// What kind of thing runs for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RunKind {
    /// A call that ends with one answer.
    #[default]
    Call,
    /// A call with a stream of results.
    Stream,
    /// A notification.
    Notification,
    /// A subscription to what this side publishes.
    Subscription,
    /// A callback that was passed to the peer.
    Callback,
    /// The handler of an event that the peer emitted, or of a line of its log.
    Event,
}

/// Where the handler of a call runs.
#[derive(Default, Debug)]
pub(crate) enum HandlerRef {
    /// Not started, or over.
    #[default]
    None,
    /// In the set of the task, at this index.
    Running(usize),
    /// In a task of its own.
    Spawned(AbortHandle),
    /// On a thread; it cannot be stopped.
    Blocking,
}
