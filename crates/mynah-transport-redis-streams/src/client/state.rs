//! What waits in a client: what was heard, and what is to be written.

use super::asked::Asked;
use super::core::{FULL_BYTES, Queued, Said};
use super::publish::Emitted;
use crate::entry::EntryId;
use mynah_protocol::{DeliveryReport, DeliveryStatus, Envelope};
use std::collections::{HashMap, VecDeque};
use std::task::Waker;

/// Bytes that wait to be written, above which the oldest events are let go of.
const MOST_EVENT_BYTES: usize = FULL_BYTES / 2;

/// Entries of answers that were read and are not deleted yet, and their bytes, above which they are.
const MOST_READ: usize = 64;
const MOST_READ_BYTES: usize = 64 << 10;

/// What waits in a client.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What was heard.
    pub(super) inbox: VecDeque<Envelope<'static>>,
    pub(super) reader: Option<Waker>,
    /// Calls to be written.
    pub(super) outbox: VecDeque<Queued>,
    /// What is said in sessions that have a server: it waits for no room for answers, or streams could not end and make some.
    pub(super) notes: VecDeque<Queued>,
    pub(super) bytes: usize,
    /// Calls that were taken to be written.
    pub(super) asked: Asked,
    pub(super) writer: Option<Waker>,
    /// Events that were let go of, by the keys of their topics: the next one of the topic tells its readers how many.
    lost: HashMap<String, u64>,
    /// There is no connection to write on.
    pub(super) cut_off: bool,
    /// Answers up to this one were read, and are to be deleted.
    pub(super) read: Option<EntryId>,
    /// How many they are, and their bytes.
    pub(super) read_entries: usize,
    pub(super) read_bytes: usize,
    /// They are not kept until there are more of them.
    pub(super) delete_now: bool,
    pub(super) closing: bool,
    /// The last of the tasks has ended.
    pub(super) closed: bool,
    pub(super) closer: Option<Waker>,
}

impl State {
    /// Lets go of the oldest events, if Redis takes none and much waits: events have no end of their own, and calls are not to
    /// wait for them.
    pub(super) fn make_room_for_event(&mut self, bytes: usize) {
        let mut lost = 0;
        while self.bytes + bytes > MOST_EVENT_BYTES {
            let is_event = |queued: &Queued| matches!(queued.said, Said::Event(..));
            let Some(oldest) = self.outbox.iter().position(is_event) else {
                break;
            };
            if let Some(oldest) = self.outbox.remove(oldest) {
                self.bytes = self.bytes.saturating_sub(oldest.bytes);
                lost += 1;
                if let Said::Event(event) = oldest.said {
                    self.has_lost(event);
                }
            }
        }
        if lost > 0 {
            tracing::warn!(
                lost,
                "what was emitted waits for Redis, and the oldest is let go of"
            );
        }
    }

    fn has_lost(&mut self, event: Emitted) {
        const MOST_TOPICS: usize = 1024;
        if self.lost.len() >= MOST_TOPICS {
            self.lost.clear();
        }
        *self.lost.entry(event.topic).or_default() += event.lost + 1;
    }

    pub(super) const fn is_much_read(&self) -> bool {
        self.read_entries >= MOST_READ || self.read_bytes >= MOST_READ_BYTES || self.delete_now
    }

    /// Up to where answers are deleted now, if any.
    pub(super) fn take_read(&mut self) -> Option<EntryId> {
        if !self.is_much_read() {
            return None;
        }
        (self.read_entries, self.read_bytes, self.delete_now) = (0, 0, false);
        self.read.take()
    }

    /// Something is about to be written.
    pub(super) fn ask(&mut self, mut queued: Queued) -> Queued {
        if let Said::Event(event) = &mut queued.said {
            event.lost += self.lost.remove(&event.topic).unwrap_or(0);
        }
        if let Some(id) = &queued.id {
            self.asked.ask(id.clone());
        }
        queued
    }

    /// Where something waits.
    pub(super) const fn queue_of(&mut self, said: &Said) -> &mut VecDeque<Queued> {
        match said {
            Said::Note(..) | Said::TakeBack(..) => &mut self.notes,
            Said::Call(_) | Said::Cancel(_) | Said::Open(_) | Said::Event(..) => &mut self.outbox,
        }
    }

    /// Has the peer know that all calls that wait do: those in front know it already.
    pub(super) fn tell_all_waiting(&mut self) -> Option<Waker> {
        let mut outbox = std::mem::take(&mut self.outbox);
        let is_new = |queued: &&mut Queued| !(queued.told && queued.id.is_some());
        let mut reader = None;
        for queued in outbox.iter_mut().rev().take_while(is_new) {
            reader = self.tell_waiting(queued).or(reader);
        }
        self.outbox = outbox;
        reader
    }

    /// Has the peer know that a call waits to be written: who is to be woken for it.
    pub(super) fn tell_waiting(&mut self, queued: &mut Queued) -> Option<Waker> {
        let id = queued.id.as_ref().filter(|_| !queued.told)?;
        self.inbox.push_back(Envelope::Delivery(DeliveryReport {
            id: id.clone(),
            status: DeliveryStatus::Waits,
        }));
        queued.told = true;
        self.reader.take()
    }
}
