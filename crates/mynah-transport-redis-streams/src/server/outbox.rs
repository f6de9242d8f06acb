//! What waits to be written: answers, acknowledgements, and what is given back.

use crate::entry::EntryId;
use crate::sealed::Digest;
use crate::session::{Note, Written};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// Bytes of answers that wait, above which connections are not asked for more.
const FULL_BYTES: usize = 8 << 20;

/// One thing to be written.
#[derive(Debug)]
pub(super) enum Step {
    /// The outcome of an operation, in front of its answer.
    Seal(Box<Sealing>, Vec<u8>),
    /// An answer, to this stream.
    Reply {
        stream: Arc<str>,
        envelope: Vec<u8>,
        /// Whose stream it is takes several in one entry.
        together: bool,
    },
    /// Something that is said to a client beside answers, to this stream.
    Note(Arc<str>, Written),
    /// A message of a topic: the key of its stream, the number that it has here, and what it says.
    Event(String, u64, Vec<u8>),
    /// An entry is done with.
    Done(Place),
    /// Somebody else may have an entry, at once.
    Release {
        place: Place,
        /// How often it counts as delivered.
        attempts: u32,
    },
    /// An entry is given up.
    Bury(Box<Letter>),
}

/// What is to be sealed, once it is answered.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) desk: usize,
    pub(super) operation: Box<str>,
    pub(super) digest: Digest,
}

/// An entry that was delivered too often.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) place: Place,
    pub(super) deliveries: u32,
    pub(super) envelope: Vec<u8>,
    pub(super) reply_to: Vec<u8>,
    /// What it was and its frame, where it was not in JSON.
    pub(super) frame: Option<Box<Note>>,
}

/// An entry of one of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which service.
    pub(super) desk: usize,
    pub(super) id: EntryId,
}

/// What waits to be written, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// Rung when there is something.
    pub(super) filled: Notify,
    /// Rung when there is nothing more.
    pub(super) emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    steps: VecDeque<Step>,
    bytes: usize,
    /// Steps that are being written.
    writing: usize,
    waiting: Vec<Waker>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, step: Step) {
        let mut state = self.lock();
        state.bytes += step.bytes();
        state.steps.push_back(step);
        drop(state);
        self.filled.notify_one();
    }

    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.bytes < FULL_BYTES {
            return Poll::Ready(());
        }
        if !state
            .waiting
            .iter()
            .any(|known| known.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes what there is, in turns of bounded size, behind `steps`, which are none. It counts as waiting until [`Self::written`].
    pub(super) fn take(&self, steps: &mut Vec<Step>) {
        const MOST: usize = 1024;
        const MOST_BYTES: usize = 1 << 20;
        let mut state = self.lock();
        let mut bytes = 0;
        while steps.len() < MOST && bytes < MOST_BYTES {
            let Some(step) = state.steps.pop_front() else {
                break;
            };
            bytes += step.bytes();
            steps.push(step);
        }
        state.writing = steps.len();
    }

    /// What was taken last is written.
    pub(super) fn written(&self, steps: &[Step]) {
        let bytes: usize = steps.iter().map(Step::bytes).sum();
        let mut state = self.lock();
        state.writing = 0;
        state.bytes = state.bytes.saturating_sub(bytes);
        let empty = state.steps.is_empty();
        let waiting = match state.bytes < FULL_BYTES {
            true => std::mem::take(&mut state.waiting),
            false => Vec::new(),
        };
        drop(state);
        for waker in waiting {
            waker.wake();
        }
        if empty {
            self.emptied.notify_waiters();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.steps.is_empty() && state.writing == 0
    }
}

impl Step {
    fn bytes(&self) -> usize {
        match self {
            Self::Seal(_, envelope) | Self::Reply { envelope, .. } => envelope.len() + 64,
            Self::Event(_, _, message) => message.len() + 64,
            Self::Note(_, written) => written.body.len() + 64,
            Self::Bury(letter) => {
                let frame = letter.frame.as_ref().map_or(0, |note| note.body.len());
                letter.envelope.len() + letter.reply_to.len() + frame + 64
            }
            Self::Done(_) | Self::Release { .. } => 64,
        }
    }
}
