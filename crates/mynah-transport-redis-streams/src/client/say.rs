//! What this side says in sessions.

use super::core::{Core, Queued, Said};
use super::table::Session;
use crate::session::{self, Written};
use mynah_protocol::{
    CALLBACK_SERVICE, DeliveryStatus, EVENTS_SERVICE, Envelope, ErrorCode, StreamSide, Undelivered,
    WireId,
};
use std::sync::Arc;

pub(super) const fn uint(id: &WireId) -> Option<u64> {
    match id {
        WireId::Uint(number) => Some(*number),
        _ => None,
    }
}

impl Core {
    /// Says what belongs to a session; gives back what does not.
    pub(super) fn say_in_session(
        self: &Arc<Self>,
        envelope: Envelope<'static>,
    ) -> Option<Envelope<'static>> {
        match envelope {
            Envelope::Request(request)
                if request.name.service == EVENTS_SERVICE && request.streams.window.is_some() =>
            {
                self.subscribe(&request);
            }
            // Whose it is nothing says: a number that a server has given to some call of its own.
            Envelope::Request(request) if request.name.service == CALLBACK_SERVICE => {
                let why = Undelivered::Unsupported("functions of a server");
                self.report([request.id], DeliveryStatus::Failed(why));
            }
            Envelope::Notification(told) if told.name.service == CALLBACK_SERVICE => {
                tracing::debug!("a function of a server is not told");
            }
            Envelope::Request(request)
                if !request.streams.is_none()
                    || request.streams.callbacks
                    || self.options.sessions =>
            {
                self.open_session(request);
            }
            Envelope::Cancel(cancel) if self.subscriptions.cancel(&cancel.id) => {}
            Envelope::Cancel(cancel) => return self.cancel_session(cancel),
            // Of which side's call it is the stream says.
            Envelope::Credit(ref credit) if credit.stream == StreamSide::Input => {
                self.say_of_callback(envelope);
            }
            Envelope::Items(ref items) if items.stream == StreamSide::Result => {
                self.say_of_callback(envelope);
            }
            Envelope::Credit(ref credit) if self.subscriptions.grant(&credit.id, credit.more) => {}
            Envelope::Credit(_) | Envelope::InputEnd(_) | Envelope::Items(_) => {
                self.say_of_call(envelope);
            }
            Envelope::Response(_)
            | Envelope::Progress(_)
            | Envelope::Accepted(_)
            | Envelope::Stop(_) => self.say_of_callback(envelope),
            Envelope::GoingAway(_) => self.say_to_all(&envelope),
            Envelope::Log(ref log) if log.id.is_some() => self.say_of_callback(envelope),
            other => return Some(other),
        }
        None
    }

    /// What belongs to a call of this side.
    fn say_of_call(&self, mut envelope: Envelope<'static>) {
        let Some(call) = session::id_of(&mut envelope).and_then(|id| uint(id)) else {
            return;
        };
        let mut table = self.sessions.lock();
        if let Some(session) = table.calls.get_mut(&call) {
            self.say_frame(session, envelope);
        }
    }

    /// What every server that has a session is to know.
    fn say_to_all(&self, envelope: &Envelope<'static>) {
        let mut table = self.sessions.lock();
        for session in table.calls.values_mut() {
            self.say_as_it_is(session, envelope.clone());
        }
    }

    /// What belongs to a callback that runs here.
    fn say_of_callback(&self, mut envelope: Envelope<'static>) {
        let is_over = matches!(envelope, Envelope::Response(_));
        let Some(id) = session::id_of(&mut envelope) else {
            return;
        };
        let Some(local) = uint(id) else { return };
        let mut table = self.sessions.lock();
        let Some((call, theirs)) = table.callback(local, is_over) else {
            return;
        };
        *id = theirs;
        if let Some(session) = table.calls.get_mut(&call) {
            self.say_as_it_is(session, envelope);
        }
    }

    /// Has what belongs to a call written to whoever has it, under the number that it has there.
    pub(super) fn say_frame(&self, session: &mut Session, mut envelope: Envelope<'static>) {
        if let (Some(given), Some(id)) = (&session.server, session::id_of(&mut envelope)) {
            *id = WireId::Uint(given.number);
            self.say_as_it_is(session, envelope);
        }
    }

    /// Has a frame written to whoever has the call.
    pub(super) fn say_as_it_is(&self, session: &mut Session, mut envelope: Envelope<'static>) {
        let Some(given) = &session.server else {
            return;
        };
        let (inbox, call) = (Arc::clone(&given.inbox), given.number);
        let mut body = Vec::with_capacity(envelope.payload_bytes() + 48);
        if let Err(error) = self.sessions.frames.write(&envelope, &mut body) {
            tracing::warn!(%error, kind = envelope.kind(), "cannot be said in a session");
            // An answer that cannot be said is an error that says so.
            body.clear();
            let Some(id) = session::id_of(&mut envelope).map(|id| id.clone()) else {
                return;
            };
            let error = mynah_protocol::RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
            let result = Err(Box::new(error));
            let refusal = Envelope::Response(mynah_protocol::Response { id, result });
            if !matches!(envelope, Envelope::Response(_))
                || self.sessions.frames.write(&refusal, &mut body).is_err()
            {
                return;
            }
        }
        let number = session.thread.next();
        self.write_note(inbox, self.coding.frame(), call, number, body);
    }

    pub(super) fn write_note(
        &self,
        inbox: Arc<str>,
        kind: &'static str,
        call: u64,
        number: u64,
        body: Vec<u8>,
    ) {
        self.write(Queued {
            bytes: body.len() + 64,
            said: Said::Note(
                inbox,
                Written {
                    kind,
                    call,
                    number,
                    body,
                },
            ),
            id: None,
            service: String::new(),
            until: None,
            unserved: false,
            told: false,
        });
    }
}
