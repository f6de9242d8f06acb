//! What handlers say to the peer: answers from outside the task, progress and logs.

use super::Link;
use super::state::wake;
use crate::encoded::Encoded;
use crate::metrics::{self, Dropped};
use mynah_connection::InboundKey;
use mynah_protocol::{Envelope, Lane, Log, Payload, Progress, RpcError, WireId};

impl Link {
    /// Answers a call of the peer from outside the task.
    pub(crate) fn answer(&self, key: InboundKey, result: Result<Encoded<'_>, Box<RpcError>>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut woken = Vec::new();
        state.answer(key, result, &mut woken);
        let task = state.kick();
        drop(guard);
        wake(task);
        woken.into_iter().for_each(std::task::Waker::wake);
    }

    /// Writes progress of a call of the peer; dropped when the call is over or the peer is slow.
    pub(crate) fn progress(&self, key: InboundKey, value: &[u8], note: Option<&[u8]>) {
        let Some(facts) = self.facts() else { return };
        if !facts.capabilities.side_messages {
            return;
        }
        let format = facts.format.id();
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.ended {
            // A handler may outlive the connection; nobody takes what it says.
            return;
        }
        let Some(id) = state.connection.wire_id(key).cloned() else {
            return;
        };
        if self.is_full(state, value.len() + note.map_or(0, <[u8]>::len)) {
            state.dropped_logs += 1;
            drop(guard);
            return metrics::dropped(Dropped::SideMessage, 1);
        }
        let envelope = Envelope::Progress(Progress {
            id,
            value: Payload::lent(format, value),
            note: note.map(|note| Payload::lent(format, note)),
        });
        // What the wire cannot say is not worth failing the call for.
        let written = state.out.put(&envelope, Lane::Data).is_ok();
        let task = if written { state.kick() } else { None };
        drop(guard);
        wake(task);
    }

    /// Writes a line of log, of a call of the peer or of the connection.
    pub(crate) fn log(&self, key: Option<InboundKey>, level: i64, content: &[u8]) {
        let Some(facts) = self.facts() else { return };
        if !facts.capabilities.side_messages {
            return;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.ended {
            return;
        }
        let id: Option<WireId> = match key {
            Some(key) => match state.connection.wire_id(key) {
                Some(id) => Some(id.clone()),
                None => return,
            },
            None => None,
        };
        if self.is_full(state, content.len()) {
            state.dropped_logs += 1;
            drop(guard);
            return metrics::dropped(Dropped::SideMessage, 1);
        }
        let dropped = std::mem::take(&mut state.dropped_logs);
        let content = Payload::lent(facts.format.id(), content);
        let envelope = Envelope::Log(Log {
            id,
            level,
            dropped,
            content,
        });
        let written = state.out.put(&envelope, Lane::Data).is_ok();
        let task = if written { state.kick() } else { None };
        drop(guard);
        wake(task);
    }
}
