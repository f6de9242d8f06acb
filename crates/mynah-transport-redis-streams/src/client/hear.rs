//! What servers say in sessions.

use super::core::Core;
use super::table::{Given, Session, Table};
use crate::keys;
use crate::session::{self, Arrival, Note, kind};
use mynah_protocol::{
    Envelope, ErrorCode, Response, RpcError, StreamSide, Undelivered, WireId, Within,
};

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
            Ok(kind::UNSPOKEN) => self.hear_unspoken(from, note.call),
            Ok(kind::BEAT) => self.hear_beat(from, note, heard),
            Ok(kind::GONE) => {
                let mut table = self.sessions.lock();
                for number in session::read_gone(&note.body) {
                    if let Some((call, _)) = table.of(number, from) {
                        table.fail(call, Undelivered::PeerGone, heard);
                    }
                }
            }
            Ok(kind::BUSY | kind::REFUSED) => {
                let mut table = self.sessions.lock();
                let call = table.of(note.call, from).map(|(call, _)| call);
                drop(table);
                if let Some(call) = call {
                    self.try_another(call);
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
            let call = id.clone();
            let envelope = envelope.into_owned();
            heard.push(Envelope::Within(Box::new(Within { call, envelope })));
        }
    }

    fn hear_frame(&self, from: &str, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        let mut table = self.sessions.lock();
        let Some((call, session)) = table.of(note.call, from) else {
            return;
        };
        match session.thread.arrive(note.number) {
            Arrival::Next => {}
            Arrival::Again => return,
            Arrival::Gap => {
                tracing::warn!(from, "frames of a server were lost");
                self.end_both(&mut table, call, Undelivered::PeerGone, heard);
                return;
            }
        }
        session.request = None;
        let envelope = match self.sessions.frames.read(&note.body) {
            Ok(Some(envelope)) => envelope,
            // A kind of a newer version.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, from, "a server breaks the protocol");
                let why = Undelivered::Violation("what it says is no frame");
                self.end_both(&mut table, call, why, heard);
                return;
            }
        };
        self.hear_envelope(&mut table, call, note.call, envelope.into_owned(), heard);
    }

    /// `call`: its number here; `number`: on the wire.
    fn hear_envelope(
        &self,
        table: &mut Table,
        call: u64,
        number: u64,
        mut envelope: Envelope<'static>,
        heard: &mut Vec<Envelope<'static>>,
    ) {
        let own = session::id_of(&mut envelope).is_some_and(|id| *id == WireId::Uint(number));
        let Some(session) = table.calls.get_mut(&call) else {
            return;
        };
        match &mut envelope {
            Envelope::Response(response) if own => {
                let cut =
                    matches!(&response.result, Err(error) if error.code() == ErrorCode::CANCELLED);
                if cut && session.draining {
                    // Nobody here has cancelled it: the grace of its server's drain was over.
                    return table.fail(call, Undelivered::Drained, heard);
                }
                response.id = session.id.clone();
                table.remove(call, heard);
                return heard.push(envelope);
            }
            Envelope::Progress(_)
            | Envelope::Log(_)
            | Envelope::Accepted(_)
            | Envelope::Stop(_)
                if own => {}
            Envelope::Items(items) if own && items.stream == StreamSide::Result => {}
            Envelope::Credit(credit) if own && credit.stream == StreamSide::Input => {}
            Envelope::Request(_) => return self.begin_callback(table, call, envelope, heard),
            Envelope::Notification(_) | Envelope::Event(_) => {
                return heard.push(session.within(envelope));
            }
            Envelope::Cancel(cancel) => {
                if let Some(local) = session.cancel_callback(&cancel.id) {
                    cancel.id = WireId::Uint(local);
                    heard.push(session.within(envelope));
                }
                return;
            }
            // Of a call of theirs.
            Envelope::InputEnd(_) | Envelope::Items(_) | Envelope::Credit(_) => {
                if let Some(theirs) = session::id_of(&mut envelope)
                    && let Some(local) = session.callback(theirs)
                {
                    *theirs = WireId::Uint(local);
                    heard.push(session.within(envelope));
                }
                return;
            }
            Envelope::GoingAway(_) => {
                session.draining = true;
                return;
            }
            Envelope::Ping(number) => {
                // A server that asks while nothing can be written is not answered, or it would pile up.
                if !self.is_full() {
                    let pong = Envelope::Pong(*number);
                    self.say_as_it_is(session, pong);
                }
                return;
            }
            other => {
                tracing::debug!(kind = other.kind(), "ignored in a session");
                return;
            }
        }
        if let Some(its) = session::id_of(&mut envelope) {
            *its = session.id.clone();
        }
        heard.push(session.within(envelope));
    }

    /// A server calls this side: a function that came with its call, for the most part.
    fn begin_callback(
        &self,
        table: &mut Table,
        call: u64,
        mut envelope: Envelope<'static>,
        heard: &mut Vec<Envelope<'static>>,
    ) {
        let Envelope::Request(request) = &mut envelope else {
            return;
        };
        let running = table.calls.get(&call).map_or(0, Session::callbacks);
        if running >= MOST_CALLBACKS || !table.may_call_back(call) {
            // The permits of this side are for the callbacks of all servers.
            let error = RpcError::from_code(ErrorCode::BUSY);
            return self.refuse(table, call, request.id.clone(), error, heard);
        }
        let Some(local) = table.begin_callback(call, request.id.clone()) else {
            return;
        };
        request.id = WireId::Uint(local);
        if let Some(session) = table.calls.get(&call) {
            heard.push(session.within(envelope));
        }
    }

    /// Answers a request of a server with an error. One that asks on while nothing can be written is not heard any more.
    fn refuse(
        &self,
        table: &mut Table,
        call: u64,
        id: WireId,
        error: RpcError,
        heard: &mut Vec<Envelope<'static>>,
    ) {
        if self.is_full() {
            let why = Undelivered::Violation("it asks for more than is taken");
            return self.end_both(table, call, why, heard);
        }
        let result = Err(Box::new(error));
        if let Some(session) = table.calls.get_mut(&call) {
            self.say_as_it_is(session, Envelope::Response(Response { id, result }));
        }
    }

    /// Which sessions a server knows.
    fn hear_beat(&self, from: &str, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        let mut table = self.sessions.lock();
        let mut unknown = Vec::new();
        for (number, said) in session::read_beat(&note.body) {
            let Some((call, session)) = table.of(number, from) else {
                unknown.push(number);
                continue;
            };
            if !session.thread.beat(said) {
                tracing::warn!(from, "frames of a server were lost");
                self.end_both(&mut table, call, Undelivered::PeerGone, heard);
            }
        }
        drop(table);
        if !unknown.is_empty() {
            let inbox = self.keys.inbox(from).into();
            self.write_note(inbox, kind::GONE, 0, 0, session::gone_body(&unknown));
        }
    }

    /// Ends a session of which something was lost, or that its server does not keep the rules in, here and there.
    fn end_both(
        &self,
        table: &mut Table,
        call: u64,
        why: Undelivered,
        heard: &mut Vec<Envelope<'static>>,
    ) {
        let session = table.calls.get(&call);
        let given = session.and_then(|session| session.server.clone());
        table.fail(call, why, heard);
        if let Some(Given { inbox, number, .. }) = given {
            self.write_note(inbox, kind::GONE, 0, 0, session::gone_body(&[number]));
        }
    }
}

/// The most callbacks of one call that run at once: a part of what all calls together may have
/// (`Limits::calls_in_flight`).
const MOST_CALLBACKS: usize = 256;
