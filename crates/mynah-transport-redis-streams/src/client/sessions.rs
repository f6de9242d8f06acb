//! Calls with streams or callbacks: each is between this client and one server, which is chosen when it is written.

use super::core::{Core, Queued, Said};
use super::say::uint;
use super::table::{Session, Table};
use crate::coding::Coding;
use crate::keys;
use crate::session::{self, Pulse, kind};
use mynah_codec::dialect::native::Frames;
use mynah_protocol::{Cancel, DeliveryStatus, Envelope, ErrorCode, Limits, Request, Undelivered};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server that went in order has to say which calls it has left unread.
const GRACE: Duration = Duration::from_secs(2);

/// The sessions of a client.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    pub(super) frames: Frames,
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

impl Core {
    pub(super) fn open_session(self: &Arc<Self>, request: Request<'static>) {
        let id = request.id.clone();
        let Some(call) = uint(&id) else { return };
        let service = request.name.service.to_string();
        if !keys::is_service(&service) {
            let why = Undelivered::Unsupported("streams of what is no service");
            self.report([id], DeliveryStatus::Failed(why));
            return;
        }
        let bytes = request.params.len();
        // One that no clock reaches is none.
        let deadline = request.timeout;
        let deadline = deadline.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut table = self.sessions.lock();
        table.calls.insert(call, Session::new(request, deadline));
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

    pub(super) fn cancel_session(&self, cancel: Cancel) -> Option<Envelope<'static>> {
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
