//! One call with streams or callbacks, as a connection of its own: what comes for it can reach no other.

use super::accepted::RedisRemote;
use super::core::Core;
use super::evidence;
use super::outbox::Step;
use crate::client::session_profile;
use crate::coding::Coding;
use crate::session::{self, Arrival, Note, Pulse, Thread, Written, kind};
use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{
    Envelope, ErrorCode, Evidence, EvidenceKey, Inbound, Outbound, Profile, Receipt, Request,
    Response, RpcError, Settled, StreamSide, Transport, TransportError, WireId,
};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
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

/// What comes back of the request of a session.
struct Call;

/// The connection of one call.
#[derive(Debug)]
pub(super) struct SessionRemote {
    core: Arc<Core>,
    session: Arc<Session>,
    profile: Profile,
    evidence: Evidence,
}

impl SessionRemote {
    fn new(core: Arc<Core>, session: Arc<Session>, entry: &str) -> Self {
        let evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "redis")
            .with(EvidenceKey::LOCAL_ADDRESS, core.connector.address())
            .with(EvidenceKey::REMOTE_ADDRESS, &*session.client)
            .with(evidence::PREFIX, &*core.options.prefix)
            .with(evidence::OWN_INSTANCE, &*core.instance)
            .with(evidence::INSTANCE, &*session.client)
            .with(evidence::STREAM, core.keys.inbox(&core.instance))
            .with(evidence::ENTRY, entry);
        let one = mynah_protocol::Remote::One;
        let mut profile = session_profile(session.coding, &core.messages, one);
        profile.capabilities.ping = true;
        Self {
            core,
            session,
            profile,
            evidence,
        }
    }

    fn say(&self, mut envelope: Envelope<'static>) {
        let own = session::id_of(&mut envelope).map(|id| id.clone());
        let own = own == Some(WireId::Uint(self.session.call));
        let answers = own && matches!(envelope, Envelope::Response(_));
        let mut body = Vec::with_capacity(envelope.payload_bytes() + 48);
        let frames = self.core.frames.of(self.session.coding);
        if let Err(error) = frames.write(&envelope, &mut body) {
            tracing::warn!(%error, kind = envelope.kind(), "cannot be said in a session");
            body.clear();
            let refusal = RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
            let refusal = Envelope::Response(Response {
                id: WireId::Uint(self.session.call),
                result: Err(Box::new(refusal)),
            });
            if !answers || frames.write(&refusal, &mut body).is_err() {
                return;
            }
        }
        let mut state = self.session.lock();
        if !state.open || state.answered {
            return;
        }
        let number = state.thread.next();
        state.answered = answers;
        let reader = match answers {
            true => state.reader.take(),
            false => None,
        };
        // Under the lock, so that numbers are written in order.
        let (reply_to, call) = (Arc::clone(&self.session.reply_to), self.session.call);
        let kind = self.session.coding.frame();
        self.core.say_note(reply_to, kind, call, number, body);
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Transport for SessionRemote {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for SessionRemote {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.session.lock();
        state.driven = true;
        if !state.open || state.answered {
            return Poll::Ready(None);
        }
        match state.inbox.pop_front() {
            Some(envelope) => {
                state.bytes = state.bytes.saturating_sub(envelope.payload_bytes());
                // It comes back at once when the call cannot begin.
                let receipt =
                    matches!(envelope, Envelope::Request(_)).then(|| Receipt::new(Call, 1));
                Poll::Ready(Some(Ok(Inbound { envelope, receipt })))
            }
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Sink<Outbound> for SessionRemote {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.core.outbox.poll_room(cx).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        match outbound {
            Outbound::Send(envelope) => self.say(envelope),
            Outbound::Settle(_, Settled::Done) => {}
            Outbound::Settle(receipt, _) => {
                if receipt.into_token::<Call>().is_ok() {
                    self.session.lock().refused = true;
                    self.session.end();
                }
            }
        }
        Ok(())
    }

    /// What was handed over is written by the server's own task, whatever becomes of this connection.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for SessionRemote {
    fn drop(&mut self) {
        let Session {
            client,
            reply_to,
            call,
            desk,
            ..
        } = &*self.session;
        self.core.sessions.lock().remove(&(client.clone(), *call));
        let state = self.session.lock();
        if !state.answered {
            // Nobody took the connection or the call: somebody else may have it. Else its client learns that it has ended.
            let (kind, call, body) = match state.driven && !state.refused {
                false => (kind::BUSY, *call, Vec::new()),
                true => (kind::GONE, 0, session::gone_body(&[*call])),
            };
            self.core
                .say_note(Arc::clone(reply_to), kind, call, 0, body);
        }
        drop(state);
        if let Some(desk) = self.core.desks().get(*desk) {
            desk.end_session();
        }
        self.core.outbox.emptied.notify_waiters();
    }
}
