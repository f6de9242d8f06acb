//! Calls with streams or callbacks: each is between this client and one server, which is chosen when it is written.

use super::core::{Core, Queued, Said};
use super::table::{Session, Table};
use crate::coding::Coding;
use crate::keys;
use crate::random;
use crate::session::{self, Pulse, Written, kind};
use mynah_codec::dialect::native::Frames;
use mynah_protocol::{
    CALLBACK_SERVICE, Cancel, DeliveryStatus, EVENTS_SERVICE, Envelope, ErrorCode, Limits, Request,
    StreamSide, Undelivered, WireId,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a call that no server has room for is offered again, if it has no deadline of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same, if it has one: an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long a server that went in order has to say which calls it has left unread.
const GRACE: Duration = Duration::from_secs(2);

/// The sessions of a client.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    pub(super) frames: Frames,
}

/// What is known of a call that is to be written.
pub(super) struct ToRoute {
    pub(super) service: Box<str>,
    pub(super) tried: Vec<Arc<str>>,
    /// What servers must be able to do for it.
    pub(super) needs: &'static str,
    pub(super) is_late: bool,
}

impl Sessions {
    pub(super) fn new(coding: Coding) -> Self {
        Self {
            table: Mutex::default(),
            frames: Frames::new(coding.id(), &Limits::default()),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn uint(id: &WireId) -> Option<u64> {
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

    fn open_session(self: &Arc<Self>, request: Request<'static>) {
        let id = request.id.clone();
        let Some(call) = uint(&id) else { return };
        let service = request.name.service.to_string();
        if !keys::is_service(&service) {
            let why = Undelivered::Unsupported("streams of what is no service");
            self.report([id], DeliveryStatus::Failed(why));
            return;
        }
        let bytes = request.params.len();
        let now = Instant::now();
        let until = now + request.timeout.unwrap_or(PATIENCE).min(LONGEST);
        let deadline = request.timeout.and_then(|timeout| now.checked_add(timeout));
        let mut table = self.sessions.lock();
        table
            .calls
            .insert(call, Session::new(request, until, deadline));
        let beats = std::mem::replace(&mut table.beating, true);
        drop(table);
        if !beats {
            tokio::spawn(super::beat::keep_sessions(Arc::clone(self)));
        }
        self.write(Queued {
            said: Said::Open(call),
            bytes,
            id: Some(id),
            service,
            until: None,
            unserved: false,
            told: false,
        });
    }

    fn cancel_session(&self, cancel: Cancel) -> Option<Envelope<'static>> {
        let call = uint(&cancel.id)?;
        let mut table = self.sessions.lock();
        if !table.calls.contains_key(&call) {
            return Some(Envelope::Cancel(cancel));
        }
        let mut heard = Vec::new();
        let session = table.remove(call, &mut heard);
        drop(table);
        // One that waits to be written finds itself gone.
        self.give_up(&cancel.id);
        if let Some(mut session) = session {
            self.say_frame(&mut session, Envelope::Cancel(cancel));
        }
        self.hear(heard);
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
    fn say_frame(&self, session: &mut Session, mut envelope: Envelope<'static>) {
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

    /// What is known of a call that is to be written; `None` when it is not wanted any more.
    pub(super) fn to_route(&self, call: u64) -> Option<ToRoute> {
        let table = self.sessions.lock();
        let session = table.calls.get(&call)?;
        let request = session.request.as_ref()?;
        Some(ToRoute {
            service: session.service.clone(),
            tried: session.tried.clone(),
            needs: match (request.streams.is_none(), request.streams.callbacks) {
                (false, _) => "streams",
                (true, true) => "callbacks",
                (true, false) => "calls as sessions",
            },
            is_late: session.until <= Instant::now(),
        })
    }

    /// Whether a session that has this number on the wire has not ended.
    pub(super) fn has_session(&self, number: u64) -> bool {
        self.sessions.lock().own(number).is_some()
    }

    /// Of these servers the one that has the fewest sessions of this client, among those with as many one by chance. One that
    /// has some and says nothing of them is the last to be asked: it may be gone, which Redis does not know yet.
    pub(super) fn least_loaded<'s>(
        &self,
        servers: impl Iterator<Item = &'s Arc<str>>,
    ) -> Option<&'s Arc<str>> {
        let table = self.sessions.lock();
        servers.min_by_key(|server| (table.load(server), random::bits()))
    }

    /// The first frame of a call, for this server; `None` when it cannot be written, and has ended.
    pub(super) fn begin_session(
        &self,
        call: u64,
        server: &Arc<str>,
    ) -> Option<(Arc<str>, Written)> {
        let mut table = self.sessions.lock();
        let inbox: Arc<str> = self.keys.inbox(server).into();
        let number = table.give(call, server, Arc::clone(&inbox))?;
        let session = table.calls.get_mut(&call)?;
        let request = session.request.as_ref()?;
        let mut on_wire = Request::clone(request);
        on_wire.id = WireId::Uint(number);
        if let Some(deadline) = session.deadline {
            on_wire.timeout = Some(deadline.saturating_duration_since(Instant::now()));
        }
        let mut body = Vec::with_capacity(on_wire.params.len() + 160);
        let envelope = Envelope::Request(on_wire);
        if let Err(error) = self.sessions.frames.write(&envelope, &mut body) {
            let mut heard = Vec::new();
            if let Some(session) = table.remove(call, &mut heard) {
                let error =
                    mynah_protocol::RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
                heard.push(Envelope::Response(mynah_protocol::Response {
                    id: session.id,
                    result: Err(Box::new(error)),
                }));
            }
            drop(table);
            self.hear(heard);
            return None;
        }
        let written = Written {
            kind: self.coding.frame(),
            call: number,
            number: session.thread.next(),
            body,
        };
        Some((inbox, written))
    }

    /// Whoever was asked has no room, or is gone, and nothing has begun: somebody else is asked.
    pub(super) fn try_another(&self, call: u64) {
        let mut table = self.sessions.lock();
        let Some(session) = table.calls.get_mut(&call) else {
            return;
        };
        if session.thread.is_answered() {
            return;
        }
        let (id, service) = (session.id.clone(), String::from(&*session.service));
        if let Some(server) = table.take_back(call)
            && let Some(session) = table.calls.get_mut(&call)
        {
            session.tried.push(server);
        }
        drop(table);
        // It waits as one that was never written does, behind those that were there before.
        self.was_not_written(&id);
        self.write(Queued {
            said: Said::Open(call),
            bytes: 0,
            id: Some(id),
            service,
            until: None,
            unserved: false,
            told: false,
        });
    }

    /// The same for a call that has this number on the wire: one of an earlier time means nothing.
    pub(super) fn was_not_taken(&self, number: u64) {
        let call = self.sessions.lock().own(number);
        if let Some(call) = call {
            self.try_another(call);
        }
    }

    /// Nobody has room for a call: all are asked again, after a while.
    pub(super) fn try_later(self: &Arc<Self>, call: u64) {
        let mut table = self.sessions.lock();
        let Some(session) = table.calls.get_mut(&call) else {
            return;
        };
        session.tried.clear();
        session.rounds += 1;
        let pause = Duration::from_millis(20 << session.rounds.min(5));
        let id = session.id.clone();
        drop(table);
        // Should its time be over first: nobody has it.
        self.report([id], DeliveryStatus::Waits);
        let core = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(random::jittered(pause)).await;
            core.try_another(call);
        });
    }

    /// Ends a session without an answer.
    pub(super) fn fail_session(&self, call: u64, why: Undelivered) {
        let mut heard = Vec::new();
        self.sessions.lock().fail(call, why, &mut heard);
        self.hear(heard);
    }

    /// The same for one that has this number on the wire.
    pub(super) fn lose_session(&self, number: u64, why: Undelivered) {
        let call = self.sessions.lock().own(number);
        if let Some(call) = call {
            self.fail_session(call, why);
        }
    }

    /// The same with an error of this side.
    pub(super) fn refuse_session(&self, call: u64, code: ErrorCode, what: String) {
        let mut heard = Vec::new();
        let session = self.sessions.lock().remove(call, &mut heard);
        self.hear(heard);
        if let Some(session) = session {
            self.fail(session.id, code, what);
        }
    }

    /// What each server that has sessions is told: its inbox, and the sessions with how many frames were said in each.
    pub(super) fn session_beats(&self) -> HashMap<Arc<str>, Vec<(u64, u64)>> {
        let table = self.sessions.lock();
        let mut beats: HashMap<Arc<str>, Vec<(u64, u64)>> = HashMap::new();
        for session in table.calls.values() {
            if let Some(given) = &session.server {
                let sessions = beats.entry(Arc::clone(&given.inbox)).or_default();
                sessions.push((given.number, session.thread.sent()));
            }
        }
        beats
    }

    /// Whether there are sessions still; if not, the next one starts the beat again.
    pub(super) fn has_sessions(&self) -> bool {
        let mut table = self.sessions.lock();
        table.beating = !table.calls.is_empty();
        table.beating
    }

    /// Has all sessions say that they are there.
    pub(super) fn beat_sessions(&self) {
        for (inbox, sessions) in self.session_beats() {
            for some in sessions.chunks(session::MOST_IN_BEAT) {
                let body = session::beat_body(some.iter().copied());
                self.write_note(Arc::clone(&inbox), kind::BEAT, 0, 0, body);
            }
        }
    }

    /// Ends the sessions of servers that are not heard any more.
    pub(super) fn end_silent_sessions(&self, pulse: &Pulse) {
        let mut heard = Vec::new();
        let mut table = self.sessions.lock();
        let is_gone = |session: &Session| {
            let left = session.lost.is_some_and(|since| since.elapsed() > GRACE);
            left || session.server.is_some() && session.thread.is_silent(pulse)
        };
        let silent = table.calls.iter().filter(|(_, session)| is_gone(session));
        let silent: Vec<u64> = silent.map(|(call, _)| *call).collect();
        for call in silent {
            tracing::info!("a server is not heard any more");
            table.fail(call, Undelivered::PeerGone, &mut heard);
        }
        drop(table);
        self.hear(heard);
    }

    /// A server's inbox is gone: so are its sessions. One that has not been heard may never have begun: then its server
    /// says so, if it went in order.
    pub(super) fn lost_inbox(&self, inbox: &str) {
        let mut heard = Vec::new();
        let mut table = self.sessions.lock();
        let mut gone = Vec::new();
        for (call, session) in &mut table.calls {
            if session
                .server
                .as_ref()
                .is_none_or(|given| *given.inbox != *inbox)
            {
                continue;
            }
            if session.thread.is_answered() {
                gone.push(*call);
            } else {
                session.lost.get_or_insert_with(Instant::now);
            }
        }
        for call in gone {
            table.fail(call, Undelivered::PeerGone, &mut heard);
        }
        drop(table);
        self.hear(heard);
    }
}
