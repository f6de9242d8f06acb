//! Calls with streams or callbacks: each is between this client and one server, which is chosen when it is written.

use super::core::{Core, Queued, Said};
use crate::coding::Coding;
use crate::keys;
use crate::session::{self, Pulse, Thread, Written, kind};
use mynah_codec::dialect::native::Frames;
use mynah_protocol::{
    Cancel, CancelReason, DeliveryReport, DeliveryStatus, EVENTS_SERVICE, Envelope, ErrorCode,
    Limits, Request, StreamSide, Undelivered, WireId,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a call that no server has room for is offered again, if it has no deadline of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same, if it has one: an hour.
const LONGEST: Duration = Duration::from_secs(3600);

/// The sessions of a client, by the numbers that their calls have on the wire.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    pub(super) frames: Frames,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) calls: HashMap<u64, Session>,
    /// Calls of servers that run here, of callbacks for the most part, by the numbers that they have here: whose they are, and
    /// what they are called there.
    pub(super) callbacks: HashMap<u64, (u64, WireId)>,
    pub(super) last_callback: u64,
    beating: bool,
}

/// One call.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number here.
    pub(super) id: WireId,
    /// Until a server has taken it on.
    pub(super) request: Option<Box<Request<'static>>>,
    service: Box<str>,
    until: Instant,
    /// Who has it, and the key of their inbox.
    pub(super) server: Option<(Arc<str>, Arc<str>)>,
    /// Who had no room for it in this round.
    tried: Vec<Arc<str>>,
    rounds: u32,
    pub(super) thread: Thread,
    /// The server has said that it goes away.
    pub(super) draining: bool,
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

impl Table {
    /// Forgets a call: what its callbacks are to be told.
    pub(super) fn remove(
        &mut self,
        call: u64,
        heard: &mut Vec<Envelope<'static>>,
    ) -> Option<Session> {
        let session = self.calls.remove(&call)?;
        self.callbacks.retain(|local, (of, _)| {
            if *of == call {
                heard.push(Envelope::Cancel(Cancel {
                    id: WireId::Uint(*local),
                    reason: CancelReason::Caller,
                }));
            }
            *of != call
        });
        Some(session)
    }

    /// The number here of a call that a server makes in a session.
    pub(super) fn local(&self, call: u64, theirs: &WireId) -> Option<u64> {
        let mut callbacks = self.callbacks.iter();
        let is_it = |(_, (of, known)): &(&u64, &(u64, WireId))| *of == call && known == theirs;
        callbacks.find(is_it).map(|(local, _)| *local)
    }

    /// Ends a call without an answer.
    pub(super) fn fail(&mut self, call: u64, why: Undelivered, heard: &mut Vec<Envelope<'static>>) {
        let Some(session) = self.remove(call, heard) else {
            return;
        };
        let why = match why {
            Undelivered::PeerGone if session.draining => Undelivered::Drained,
            why => why,
        };
        heard.push(Envelope::Delivery(DeliveryReport {
            id: session.id,
            status: DeliveryStatus::Failed(why),
        }));
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
        let mut on_wire = id.clone();
        self.mix(&mut on_wire);
        let Some(call) = uint(&on_wire).filter(|call| *call > 0) else {
            return;
        };
        let service: Box<str> = (*request.name.service).into();
        if !keys::is_service(&service) {
            let why = Undelivered::Unsupported("streams of what is no service");
            self.report([id], DeliveryStatus::Failed(why));
            return;
        }
        let bytes = request.params.len();
        let until = Instant::now() + request.timeout.unwrap_or(PATIENCE).min(LONGEST);
        let session = Session {
            id: id.clone(),
            request: Some(Box::new(request)),
            service: service.clone(),
            until,
            server: None,
            tried: Vec::new(),
            rounds: 0,
            thread: Thread::new(),
            draining: false,
        };
        let mut table = self.sessions.lock();
        table.calls.insert(call, session);
        let beats = std::mem::replace(&mut table.beating, true);
        drop(table);
        if !beats {
            tokio::spawn(super::beat::keep_sessions(Arc::clone(self)));
        }
        self.write(Queued {
            said: Said::Open(call),
            bytes,
            id: Some(id),
            service: service.into(),
            until: None,
            unserved: false,
            told: false,
        });
    }

    fn cancel_session(&self, cancel: Cancel) -> Option<Envelope<'static>> {
        let mut id = cancel.id.clone();
        self.mix(&mut id);
        let call = uint(&id)?;
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
            self.say_frame(
                call,
                &mut session,
                Envelope::Cancel(Cancel { id, ..cancel }),
            );
        }
        self.hear(heard);
        None
    }

    /// What belongs to a call of this side.
    fn say_of_call(&self, mut envelope: Envelope<'static>) {
        let Some(id) = session::id_of(&mut envelope) else {
            return;
        };
        self.mix(id);
        let Some(call) = uint(id) else { return };
        let mut table = self.sessions.lock();
        if let Some(session) = table.calls.get_mut(&call) {
            self.say_frame(call, session, envelope);
        }
    }

    /// What every server that has a session is to know.
    fn say_to_all(&self, envelope: &Envelope<'static>) {
        let mut table = self.sessions.lock();
        for (call, session) in &mut table.calls {
            self.say_frame(*call, session, envelope.clone());
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
        let Some((call, theirs)) = table.callbacks.get(&local).cloned() else {
            return;
        };
        if is_over {
            table.callbacks.remove(&local);
        }
        *id = theirs;
        if let Some(session) = table.calls.get_mut(&call) {
            self.say_frame(call, session, envelope);
        }
    }

    /// Has a frame written to whoever has the call.
    pub(super) fn say_frame(
        &self,
        call: u64,
        session: &mut Session,
        mut envelope: Envelope<'static>,
    ) {
        let Some((_, inbox)) = &session.server else {
            return;
        };
        let inbox = Arc::clone(inbox);
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

    /// Whether a session has not ended.
    pub(super) fn has_session(&self, call: u64) -> bool {
        self.sessions.lock().calls.contains_key(&call)
    }

    /// How many sessions of this client each server has.
    pub(super) fn session_load(&self, server: &str) -> usize {
        let table = self.sessions.lock();
        let has = |session: &&Session| {
            let of = session.server.as_ref().map(|(instance, _)| &**instance);
            of == Some(server)
        };
        table.calls.values().filter(has).count()
    }

    /// The first frame of a call, for this server; `None` when it cannot be written, and has ended.
    pub(super) fn begin_session(
        &self,
        call: u64,
        server: &Arc<str>,
    ) -> Option<(Arc<str>, Written)> {
        let mut table = self.sessions.lock();
        let session = table.calls.get_mut(&call)?;
        let request = session.request.as_ref()?;
        let mut on_wire = Request::clone(request);
        on_wire.id = WireId::Uint(call);
        if on_wire.timeout.is_some() {
            on_wire.timeout = Some(session.until.saturating_duration_since(Instant::now()));
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
        let inbox: Arc<str> = self.keys.inbox(server).into();
        session.server = Some((Arc::clone(server), Arc::clone(&inbox)));
        session.thread = Thread::new();
        let number = session.thread.next();
        Some((
            inbox,
            Written {
                kind: self.coding.frame(),
                call,
                number,
                body,
            },
        ))
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
        if let Some((server, _)) = session.server.take() {
            session.tried.push(server);
        }
        let (id, service) = (session.id.clone(), String::from(&*session.service));
        drop(table);
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

    /// Nobody has room for a call: all are asked again, after a while.
    pub(super) fn try_later(self: &Arc<Self>, call: u64) {
        let mut table = self.sessions.lock();
        let Some(session) = table.calls.get_mut(&call) else {
            return;
        };
        session.tried.clear();
        session.rounds += 1;
        let pause = Duration::from_millis(20 << session.rounds.min(5));
        drop(table);
        let core = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(crate::random::jittered(pause)).await;
            core.try_another(call);
        });
    }

    /// Ends a session without an answer.
    pub(super) fn fail_session(&self, call: u64, why: Undelivered) {
        let mut heard = Vec::new();
        self.sessions.lock().fail(call, why, &mut heard);
        self.hear(heard);
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
        for (call, session) in &table.calls {
            if let Some((_, inbox)) = &session.server {
                let sessions = beats.entry(Arc::clone(inbox)).or_default();
                sessions.push((*call, session.thread.sent()));
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
        let silent = table
            .calls
            .iter()
            .filter(|(_, session)| session.server.is_some() && session.thread.is_silent(pulse));
        let silent: Vec<u64> = silent.map(|(call, _)| *call).collect();
        for call in silent {
            tracing::info!("a server is not heard any more");
            table.fail(call, Undelivered::PeerGone, &mut heard);
        }
        drop(table);
        self.hear(heard);
    }

    /// A server's inbox is gone: so are its sessions.
    pub(super) fn lost_inbox(&self, inbox: &str) {
        let mut heard = Vec::new();
        let mut table = self.sessions.lock();
        let of = table.calls.iter().filter(|(_, session)| {
            let of = session.server.as_ref().map(|(_, known)| &**known);
            of == Some(inbox)
        });
        let of: Vec<u64> = of.map(|(call, _)| *call).collect();
        for call in of {
            table.fail(call, Undelivered::PeerGone, &mut heard);
        }
        drop(table);
        self.hear(heard);
    }
}

impl Table {
    /// Whether a server has this call: nobody else may say anything of it.
    pub(super) fn is_of(&self, call: u64, from: &str) -> bool {
        let server = self.calls.get(&call).and_then(|one| one.server.as_ref());
        server.is_some_and(|(instance, _)| **instance == *from)
    }
}
