//! How a call is given to a server, and taken back.

use super::core::{Core, Queued, Said};
use super::table::Candidate;
use crate::entry::{self, EntryId};
use crate::presence::Living;
use crate::random;
use crate::session::Written;
use mynah_protocol::{DeliveryStatus, Envelope, ErrorCode, Request, WireId};
use redis::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a call may stand in an inbox of which nothing is heard, before it is taken back if it can be; then twice as long
/// each time. A server reads its inbox at once, unless it has much to do or is gone.
const UNREAD: Duration = Duration::from_secs(1);
const MOST_DOUBLED: u32 = 3;

/// What is known of a call that is to be written.
pub(super) struct ToRoute {
    pub(super) service: Box<str>,
    pub(super) tried: Vec<Arc<str>>,
    /// Who does not know the format of its frames.
    pub(super) deaf: Vec<Arc<str>>,
    /// What servers must be able to do for it.
    pub(super) needs: &'static str,
    pub(super) is_late: bool,
}

impl Core {
    /// What is known of a call that is to be written; `None` when it is not wanted any more.
    pub(super) fn to_route(&self, call: u64) -> Option<ToRoute> {
        let table = self.sessions.lock();
        let session = table.calls.get(&call)?;
        let request = session.request.as_ref()?;
        Some(ToRoute {
            service: session.service.clone(),
            tried: session.tried.clone(),
            deaf: session.deaf.clone(),
            needs: match (request.streams.is_none(), request.streams.callbacks) {
                (false, _) => "streams",
                (true, true) => "callbacks",
                (true, false) => "calls as sessions",
            },
            is_late: (session.deadline).is_some_and(|deadline| deadline <= Instant::now()),
        })
    }

    /// Whether a session that has this number on the wire has not ended.
    pub(super) fn has_session(&self, number: u64) -> bool {
        self.sessions.lock().own(number).is_some()
    }

    /// Of these servers the one that has the fewest sessions of this client, among those with as many one by chance. One that
    /// may be gone, which Redis does not know yet, is the last to be asked: it has not said for a while that it is alive, or
    /// nothing of the sessions that it has, or has left a call unread.
    pub(super) fn least_loaded<'s>(
        &self,
        servers: impl Iterator<Item = &'s Living>,
    ) -> Option<&'s Living> {
        let table = self.sessions.lock();
        servers.min_by_key(|server| {
            let (silent, sessions) = table.load(&server.instance);
            let missed = table.has_missed(&server.instance, server.until_ms);
            (silent || missed || server.late, sessions, random::bits())
        })
    }

    /// The first frame of a call, for this server; `None` when it cannot be written, and has ended.
    pub(super) fn begin_session(&self, call: u64, to: Candidate) -> Option<(Arc<str>, Written)> {
        let mut table = self.sessions.lock();
        let inbox: Arc<str> = self.keys.inbox(&to.server).into();
        let number = table.give(call, to, Arc::clone(&inbox))?;
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
        // It waits as one that was never written does, behind those that were there before. Should its time be over: nobody
        // has it.
        self.was_not_written(&id);
        self.report([id.clone()], DeliveryStatus::Waits);
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

    /// A call stands in the inbox of its server, as this entry.
    pub(super) fn was_put(&self, number: u64, entry: &Value) {
        let Some(id) = entry::text(entry.clone()).and_then(|id| EntryId::parse(&id)) else {
            return;
        };
        let mut table = self.sessions.lock();
        let session = table.given_as(number);
        // What its server says may have been heard before Redis says this.
        if let Some(session) = session
            && !session.thread.is_answered()
            && let Some(given) = &mut session.server
            && given.claims
        {
            given.unheard = Some((id, Instant::now()));
        }
    }

    /// Redis is back, and may be another one, that does not know what was taken out of inboxes there. Nothing is taken back
    /// until servers have had time to say what they have.
    pub(super) fn wait_for_servers(&self, until: Instant) {
        let mut table = self.sessions.lock();
        for session in table.calls.values_mut() {
            if let Some(given) = &mut session.server
                && let Some((_, since)) = &mut given.unheard
            {
                *since = until;
            }
        }
    }

    /// Whether an entry was taken out of its inbox nobody knows: that is asked again.
    pub(super) fn was_not_asked(&self, number: u64, entry: EntryId) {
        let mut table = self.sessions.lock();
        if let Some(session) = table.given_as(number)
            && !session.thread.is_answered()
            && let Some(given) = &mut session.server
        {
            given.unheard.get_or_insert_with(|| (entry, Instant::now()));
        }
    }

    /// Takes calls back of which nothing was heard for a while, if nobody has taken them out of their inboxes: their servers
    /// may be gone, which Redis does not know yet.
    pub(super) fn take_back_unread(&self) {
        let mut table = self.sessions.lock();
        let mut unread = Vec::new();
        for session in table.calls.values_mut() {
            let patience = UNREAD * (1 << session.unread.min(MOST_DOUBLED));
            if let Some(given) = &mut session.server
                && (given.unheard.as_ref()).is_some_and(|(_, since)| since.elapsed() >= patience)
                && let Some((entry, _)) = given.unheard.take()
            {
                unread.push((Arc::clone(&given.inbox), given.number, entry));
            }
        }
        drop(table);
        for (inbox, number, entry) in unread {
            self.write(Queued::aside(Said::TakeBack(inbox, number, entry)));
        }
    }

    /// The entry of a call was taken out of its inbox by this side: nobody begins it, and somebody else is asked.
    pub(super) fn was_taken_back(&self, number: u64) {
        let mut table = self.sessions.lock();
        let Some(call) = table.own(number) else {
            return;
        };
        let Some(session) = table.calls.get_mut(&call) else {
            return;
        };
        session.unread += 1;
        if let Some(given) = session.server.clone() {
            tracing::info!(server = %given.server.escape_debug(), "a server does not read its inbox");
            table.miss(&given);
        }
        drop(table);
        self.try_another(call);
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
}
