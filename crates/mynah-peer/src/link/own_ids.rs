//! Ids that the program chose for its calls.

use mynah_protocol::{CallId, Envelope, WireId};
use std::collections::{HashMap, VecDeque};

/// So many calls that are over are remembered, for answers that come late.
const REMEMBERED: usize = 1024;

/// Calls under ids of the program's own: those in flight, which are as many as calls may be, and the last that are over.
///
/// The rules of the connection know numbers only. What goes out under a number of a call in here goes out under its
/// text, and what comes in under such a text under its number. Calls with streams are never in here, so few kinds of
/// envelopes matter.
#[derive(Debug, Default)]
pub(crate) struct OwnIds {
    by_text: HashMap<Box<str>, CallId>,
    by_id: HashMap<CallId, Box<str>>,
    over: VecDeque<(Box<str>, CallId)>,
}

impl OwnIds {
    /// Gives a call an id. `false`: another call has it.
    pub(crate) fn insert(&mut self, id: CallId, text: &str) -> bool {
        if self.is_in_flight(text) {
            return false;
        }
        self.by_text.insert(text.into(), id);
        self.by_id.insert(id, text.into());
        true
    }

    fn is_in_flight(&self, text: &str) -> bool {
        let known = self.by_text.get(text);
        known.is_some_and(|id| self.by_id.contains_key(id))
    }

    /// The call is over.
    pub(crate) fn remove(&mut self, id: CallId) {
        let Some(text) = self.by_id.remove(&id) else {
            return;
        };
        if self.over.len() == REMEMBERED
            && let Some((forgotten, was)) = self.over.pop_front()
            // It may have been used again since.
            && self.by_text.get(&forgotten) == Some(&was)
        {
            self.by_text.remove(&forgotten);
        }
        self.over.push_back((text, id));
    }

    /// What goes out of a call in here, as it goes.
    pub(crate) fn outgoing(&self, envelope: &Envelope<'_>) -> Option<Envelope<'static>> {
        let Envelope::Cancel(cancel) = envelope else {
            return None;
        };
        let mut cancel = cancel.clone();
        let text = self.by_id.get(&cancel.id.as_call_id()?)?;
        cancel.id = WireId::Text(text.clone());
        Some(Envelope::Cancel(cancel))
    }

    /// Gives what came in for a call in here its number.
    pub(crate) fn incoming(&self, envelope: &mut Envelope<'_>) {
        let id = match envelope {
            Envelope::Response(response) => &mut response.id,
            Envelope::Progress(progress) => &mut progress.id,
            Envelope::Log(log) => match &mut log.id {
                Some(id) => id,
                None => return,
            },
            _ => return,
        };
        if let WireId::Text(text) = id
            && let Some(call) = self.by_text.get(text)
        {
            *id = (*call).into();
        }
    }
}

#[cfg(test)]
mod tests;
