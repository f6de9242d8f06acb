//! What servers say in sessions.

use super::core::Core;
use super::sessions::Table;
use crate::keys;
use crate::session::{self, Arrival, Note, kind};
use mynah_protocol::{Envelope, ErrorCode, StreamSide, Undelivered, WireId};

impl Core {
    /// Hears what a server says.
    pub(super) fn hear_note(&self, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        let Ok(from) = str::from_utf8(&note.from) else {
            return;
        };
        if !keys::is_instance(from) {
            return;
        }
        match str::from_utf8(&note.kind) {
            Ok(kind) if kind == self.coding.frame() => match note.number {
                0 => self.hear_beside(note, heard),
                _ => self.hear_frame(from, note, heard),
            },
            Ok(kind) if Some(kind) == self.coding.answer() => self.hear_answer(note, heard),
            Ok(kind::UNSPOKEN) => self.hear_unspoken(from, note.call),
            Ok(kind::BEAT) => self.hear_beat(from, note, heard),
            Ok(kind::GONE) => {
                let mut table = self.sessions.lock();
                for call in session::read_gone(&note.body) {
                    if table.is_of(call, from) {
                        table.fail(call, Undelivered::PeerGone, heard);
                    }
                }
            }
            Ok(kind::BUSY | kind::REFUSED) => {
                let is_of = self.sessions.lock().is_of(note.call, from);
                if is_of {
                    self.try_another(note.call);
                }
            }
            _ => {}
        }
    }

    /// Progress and logs of a plain call. That of one which is over means nothing.
    fn hear_beside(&self, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        let Ok(Some(mut envelope)) = self.sessions.frames.read(&note.body) else {
            return;
        };
        if !matches!(&envelope, Envelope::Progress(_) | Envelope::Log(_)) {
            return;
        }
        if let Some(id) = session::id_of(&mut envelope) {
            self.mix(id);
            heard.push(envelope.into_owned());
        }
    }

    fn hear_frame(&self, from: &str, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        let mut table = self.sessions.lock();
        if !table.is_of(note.call, from) {
            return;
        }
        let Some(session) = table.calls.get_mut(&note.call) else {
            return;
        };
        match session.thread.arrive(note.number) {
            Arrival::Next => {}
            Arrival::Again => return,
            Arrival::Gap => {
                tracing::warn!(from, "frames of a server were lost");
                self.end_both(&mut table, note.call, heard);
                return;
            }
        }
        session.request = None;
        let id = session.id.clone();
        let envelope = match self.sessions.frames.read(&note.body) {
            Ok(Some(envelope)) => envelope,
            // A kind of a newer version.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, from, "a server breaks the protocol");
                self.end_both(&mut table, note.call, heard);
                return;
            }
        };
        self.hear_envelope(&mut table, note.call, id, envelope.into_owned(), heard);
    }

    fn hear_envelope(
        &self,
        table: &mut Table,
        call: u64,
        id: WireId,
        mut envelope: Envelope<'static>,
        heard: &mut Vec<Envelope<'static>>,
    ) {
        let own = session::id_of(&mut envelope).is_some_and(|id| *id == WireId::Uint(call));
        match &mut envelope {
            Envelope::Response(response) if own => {
                let cut =
                    matches!(&response.result, Err(error) if error.code() == ErrorCode::CANCELLED);
                if cut && table.calls.get(&call).is_some_and(|one| one.draining) {
                    // Nobody here has cancelled it: the grace of its server's drain was over.
                    return table.fail(call, Undelivered::Drained, heard);
                }
                table.remove(call, heard);
            }
            Envelope::Progress(_)
            | Envelope::Log(_)
            | Envelope::Accepted(_)
            | Envelope::Stop(_)
                if own => {}
            Envelope::Items(items) if own && items.stream == StreamSide::Result => {}
            Envelope::Credit(credit) if own && credit.stream == StreamSide::Input => {}
            Envelope::Request(request) => {
                table.last_callback += 1;
                let local = table.last_callback;
                table.callbacks.insert(local, (call, request.id.clone()));
                request.id = WireId::Uint(local);
                return heard.push(envelope);
            }
            Envelope::Notification(_) | Envelope::Event(_) => return heard.push(envelope),
            // Of a call of theirs.
            Envelope::Cancel(_)
            | Envelope::InputEnd(_)
            | Envelope::Items(_)
            | Envelope::Credit(_) => {
                if let Some(theirs) = session::id_of(&mut envelope)
                    && let Some(local) = table.local(call, theirs)
                {
                    *theirs = WireId::Uint(local);
                    heard.push(envelope);
                }
                return;
            }
            Envelope::GoingAway(_) => {
                if let Some(session) = table.calls.get_mut(&call) {
                    session.draining = true;
                }
                return;
            }
            Envelope::Ping(number) => {
                let pong = Envelope::Pong(*number);
                if let Some(session) = table.calls.get_mut(&call) {
                    self.say_frame(call, session, pong);
                }
                return;
            }
            other => {
                tracing::debug!(kind = other.kind(), "ignored in a session");
                return;
            }
        }
        if let Some(its) = session::id_of(&mut envelope) {
            *its = id;
        }
        heard.push(envelope);
    }

    /// Which sessions a server knows.
    fn hear_beat(&self, from: &str, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        let mut table = self.sessions.lock();
        let mut unknown = Vec::new();
        for (call, said) in session::read_beat(&note.body) {
            if !table.is_of(call, from) {
                unknown.push(call);
                continue;
            }
            let whole = table.calls.get_mut(&call).map(|one| one.thread.beat(said));
            if whole == Some(false) {
                tracing::warn!(from, "frames of a server were lost");
                self.end_both(&mut table, call, heard);
            }
        }
        drop(table);
        if !unknown.is_empty() {
            let inbox = self.keys.inbox(from).into();
            self.write_note(inbox, kind::GONE, 0, 0, session::gone_body(&unknown));
        }
    }

    /// Ends a session of which something was lost, here and there.
    fn end_both(&self, table: &mut Table, call: u64, heard: &mut Vec<Envelope<'static>>) {
        let server = table.calls.get(&call).and_then(|one| one.server.clone());
        table.fail(call, Undelivered::PeerGone, heard);
        if let Some((_, inbox)) = server {
            self.write_note(inbox, kind::GONE, 0, 0, session::gone_body(&[call]));
        }
    }
}
