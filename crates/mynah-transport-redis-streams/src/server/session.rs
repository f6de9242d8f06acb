//! Calls with streams or callbacks: what is known of each, and what its client says.

mod remote;

pub(super) use remote::SessionRemote;

use super::accepted::RedisRemote;
use super::core::Core;
use super::outbox::Step;
use crate::coding::Coding;
use crate::session::{self, Arrival, Note, Pulse, Thread, Written, kind};
use mynah_protocol::{Envelope, Request, StreamSide, WireId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Frames that wait for the connection of a session, above which whoever sends them breaks the rules: the connection takes
/// them as they come, and what it has no credit for ends it.
const MOST_WAITING: usize = 16_384;

/// The same in bytes, beside the first of them.
const MOST_WAITING_BYTES: usize = 32 << 20;

/// By client, and the number that the call has there.
type Table = HashMap<(Box<str>, u64), Arc<Session>>;

/// The sessions of a server.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    pulse: Mutex<Pulse>,
}

/// One call, between what hears of it and its connection.
#[derive(Debug)]
pub(super) struct Session {
    client: Box<str>,
    /// The format of its frames.
    coding: Coding,
    reply_to: Arc<str>,
    call: u64,
    desk: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    inbox: VecDeque<Envelope<'static>>,
    /// Bytes of what is in it.
    bytes: usize,
    reader: Option<Waker>,
    thread: Thread,
    /// Its client is there, as far as is known.
    open: bool,
    /// It was answered.
    answered: bool,
    /// Its connection is run by somebody.
    driven: bool,
    /// Whoever runs it had no room for the call, and it has not begun.
    refused: bool,
}

impl Sessions {
    pub(super) fn new(block: Duration) -> Self {
        Self {
            table: Mutex::default(),
            pulse: Mutex::new(Pulse::new(block)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, client: &str, call: u64) -> Option<Arc<Session>> {
        let table = self.lock();
        table.get(&(Box::from(client), call)).map(Arc::clone)
    }

    /// The inbox was read, or could not be.
    pub(super) fn set_pulse(&self, reads: bool) {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        match reads {
            true => pulse.beat(),
            false => pulse.stop(),
        }
    }
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more comes.
    fn end(&self) {
        let mut state = self.lock();
        state.open = false;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn deliver(&self, envelope: Envelope<'static>) {
        let mut state = self.lock();
        let bytes = envelope.payload_bytes();
        let much = !state.inbox.is_empty() && state.bytes + bytes > MOST_WAITING_BYTES;
        if much || state.inbox.len() >= MOST_WAITING {
            tracing::warn!(client = %self.client.escape_debug(), "a client says too much at once");
            state.open = false;
        } else {
            state.bytes += bytes;
            state.inbox.push_back(envelope);
        }
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Core {
    /// Says something to a client, beside answers.
    pub(super) fn say_note(
        &self,
        reply_to: Arc<str>,
        kind: &'static str,
        call: u64,
        number: u64,
        body: Vec<u8>,
    ) {
        let written = Written {
            kind,
            call,
            number,
            body,
        };
        self.outbox.push(Step::Note(reply_to, written));
    }

    /// Begins a call, or says why not: then nothing has begun. `entry`: where it stood in the inbox.
    pub(super) fn open_session(
        self: &Arc<Self>,
        client: &str,
        coding: Coding,
        reply_to: &Arc<str>,
        call: u64,
        request: Request<'static>,
        entry: &str,
    ) {
        let service = &*request.name.service;
        let desk = self
            .desks()
            .iter()
            .position(|desk| *desk.service == *service);
        let refusal = match desk.and_then(|index| Some((index, self.desks().get(index)?))) {
            Some((index, desk)) if !self.is_stopping() => match desk.begin_session() {
                true => Ok(index),
                false => Err(kind::BUSY),
            },
            _ => Err(kind::REFUSED),
        };
        let desk = match refusal {
            Ok(desk) => desk,
            Err(why) => return self.say_note(Arc::clone(reply_to), why, call, 0, Vec::new()),
        };
        let mut thread = Thread::new();
        thread.arrive(1);
        let session = Arc::new(Session {
            client: client.into(),
            coding,
            reply_to: Arc::clone(reply_to),
            call,
            desk,
            state: Mutex::new(State {
                bytes: request.params.len(),
                inbox: VecDeque::from([Envelope::Request(request)]),
                reader: None,
                thread,
                open: true,
                answered: false,
                driven: false,
                refused: false,
            }),
        });
        let key = (Box::from(client), call);
        self.sessions.lock().insert(key, Arc::clone(&session));
        let remote = SessionRemote::new(Arc::clone(self), session, entry);
        self.accept(RedisRemote::session(remote));
        if self.is_stopping() {
            // Nobody may be left who accepts it: then its client is told to ask somebody else.
            drop(self.take_arrived());
        }
    }

    /// A frame of a session that is known; `false`: it is not.
    pub(super) fn hear_frame(&self, client: &str, coding: Coding, note: &Note) -> bool {
        let Some(session) = self.sessions.find(client, note.call) else {
            return false;
        };
        if coding != session.coding {
            tracing::warn!("a client changes its format");
            self.lose_session(&session);
            return true;
        }
        let arrival = session.lock().thread.arrive(note.number);
        match arrival {
            Arrival::Next => {}
            Arrival::Again => return true,
            Arrival::Gap => {
                tracing::warn!("frames of a client were lost");
                self.lose_session(&session);
                return true;
            }
        }
        match self.frames.of(coding).read(&note.body) {
            Ok(Some(envelope)) => self.hear_envelope(&session, envelope.into_owned()),
            // A kind of a newer version.
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a client breaks the protocol");
                self.lose_session(&session);
            }
        }
        true
    }

    fn hear_envelope(&self, session: &Session, mut envelope: Envelope<'static>) {
        let id = WireId::Uint(session.call);
        let own = session::id_of(&mut envelope).is_some_and(|its| *its == id);
        let is_part = match &envelope {
            Envelope::InputEnd(_) | Envelope::Cancel(_) => own,
            Envelope::Items(items) => own == (items.stream == StreamSide::Input),
            Envelope::Credit(credit) => own == (credit.stream == StreamSide::Result),
            // Of callbacks and other calls of this side, which have its numbers.
            Envelope::Response(_)
            | Envelope::Stop(_)
            | Envelope::Event(_)
            | Envelope::GoingAway(_)
            | Envelope::Accepted(_)
            | Envelope::Progress(_)
            | Envelope::Pong(_) => true,
            Envelope::Log(log) => log.id.is_some(),
            _ => false,
        };
        if is_part {
            session.deliver(envelope);
        } else {
            tracing::debug!(kind = envelope.kind(), "ignored in a session");
        }
    }

    /// Ends a session of which something is missing, here and there.
    fn lose_session(&self, session: &Session) {
        session.end();
    }

    /// Whether a session is not open any more.
    #[cfg(test)]
    pub(super) fn has_ended_session(&self, client: &str, call: u64) -> bool {
        let session = self.sessions.find(client, call);
        session.is_none_or(|session| !session.lock().open)
    }

    /// Ends a session that its client does not know any more.
    pub(super) fn end_session(&self, client: &str, call: u64) {
        if let Some(session) = self.sessions.find(client, call) {
            session.end();
        }
    }

    /// A client says which sessions it knows; returns those that are not known here.
    pub(super) fn hear_beat(
        &self,
        client: &str,
        sessions: impl Iterator<Item = (u64, u64)>,
    ) -> Vec<u64> {
        let mut unknown = Vec::new();
        for (call, said) in sessions {
            match self.sessions.find(client, call) {
                None => unknown.push(call),
                Some(session) if !session.lock().thread.beat(said) => {
                    tracing::warn!("frames of a client were lost");
                    self.lose_session(&session);
                }
                Some(_) => {}
            }
        }
        unknown
    }

    /// Tells clients which of their sessions are known here.
    pub(super) fn beat_sessions(&self) {
        let mut beats: HashMap<Arc<str>, Vec<(u64, u64)>> = HashMap::new();
        for session in self.sessions.lock().values() {
            let sent = session.lock().thread.sent();
            let sessions = beats.entry(Arc::clone(&session.reply_to)).or_default();
            sessions.push((session.call, sent));
        }
        for (reply_to, sessions) in beats {
            for some in sessions.chunks(session::MOST_IN_BEAT) {
                let body = session::beat_body(some.iter().copied());
                self.say_note(Arc::clone(&reply_to), kind::BEAT, 0, 0, body);
            }
        }
    }

    /// Ends the sessions of clients that are not heard any more.
    pub(super) fn end_silent_sessions(&self) {
        let pulse = *(self.sessions.pulse.lock()).unwrap_or_else(PoisonError::into_inner);
        let table = self.sessions.lock();
        let silent = table
            .values()
            .filter(|one| one.lock().thread.is_silent(&pulse));
        let silent: Vec<Arc<Session>> = silent.map(Arc::clone).collect();
        drop(table);
        for session in silent {
            tracing::info!(client = %session.client.escape_debug(), "a client is not heard any more");
            session.end();
        }
    }
}
