//! The sessions of a client: what is known of each.

use crate::entry::EntryId;
use crate::presence::SUSPICION;
use crate::random;
use crate::session::Thread;
use mynah_protocol::{
    CallId, Cancel, CancelReason, DeliveryReport, DeliveryStatus, Envelope, Request, Undelivered,
    WireId, Within,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// The sessions of a client, by the numbers that their calls have here.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) calls: HashMap<u64, Session>,
    /// The same by the numbers that they have on the wire, of those that a server was given.
    given: HashMap<u64, u64>,
    /// What each server has.
    loads: HashMap<Arc<str>, Load>,
    /// Servers that have left a call unread, and until when they counted as alive then: once they say again that they are,
    /// they are asked again.
    missed: HashMap<Arc<str>, u64>,
    /// Callbacks and other calls of servers that run here, by the numbers that they have here: whose they are.
    callbacks: HashMap<u64, u64>,
    last_callback: u64,
    pub(super) beating: bool,
}

/// The most calls of servers that run here at once, of all together: as many as a peer runs unless it is told otherwise
/// (`Limits::calls_in_flight`).
const MOST_CALLBACKS: usize = 1024;

/// What one server has of a client.
#[derive(Clone, Copy, Debug)]
struct Load {
    sessions: usize,
    /// When it was last heard, or was given the first of them.
    heard: Instant,
    /// Callbacks and other calls of it that run here.
    callbacks: usize,
}

/// One call.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number here.
    pub(super) id: WireId,
    /// Until a server has taken it on.
    pub(super) request: Option<Box<Request<'static>>>,
    pub(super) service: Box<str>,
    /// When its caller does not wait any more, as its server is told.
    pub(super) deadline: Option<Instant>,
    /// Who was given it.
    pub(super) server: Option<Given>,
    /// Who had no room for it in this round.
    pub(super) tried: Vec<Arc<str>>,
    pub(super) rounds: u32,
    /// Who does not know the format of its frames.
    pub(super) deaf: Vec<Arc<str>>,
    /// How often it was taken back unread.
    pub(super) unread: u32,
    pub(super) thread: Thread,
    /// The server has said that it goes away.
    pub(super) draining: bool,
    /// Since when the inbox of its server is gone, though nothing is known of the call: the server may have left it unread,
    /// and says so.
    pub(super) lost: Option<Instant>,
    callbacks: Vec<Running>,
}

/// A call in the hands of a server.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) server: Arc<str>,
    /// The key of its inbox.
    pub(super) inbox: Arc<str>,
    /// What the call is called there: another number each time that it is given to somebody, so that nothing that is said of
    /// an earlier time is taken for something of this one.
    pub(super) number: u64,
    /// Until when its server counted as alive by then.
    pub(super) until_ms: u64,
    /// Its server takes the entry of a call out before it begins it.
    pub(super) claims: bool,
    /// The entry of the call, and since when it stands in the inbox, while nothing is heard of it.
    pub(super) unheard: Option<(EntryId, Instant)>,
}

/// A server that may be given a call.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) server: Arc<str>,
    /// Until when it counts as alive.
    pub(super) until_ms: u64,
    /// It takes the entry of a call out before it begins it.
    pub(super) claims: bool,
}

/// A call of a server that runs here, of a callback for the most part.
#[derive(Debug)]
struct Running {
    local: u64,
    /// What it is called at the server.
    theirs: WireId,
    cancelled: bool,
}

impl Session {
    pub(super) fn new(request: Request<'static>, deadline: Option<Instant>) -> Self {
        Self {
            id: request.id.clone(),
            service: (*request.name.service).into(),
            request: Some(Box::new(request)),
            deadline,
            server: None,
            tried: Vec::new(),
            rounds: 0,
            deaf: Vec::new(),
            unread: 0,
            thread: Thread::new(),
            draining: false,
            lost: None,
            callbacks: Vec::new(),
        }
    }

    /// What its server says of it.
    pub(super) fn within(&self, envelope: Envelope<'static>) -> Envelope<'static> {
        let call = self.id.clone();
        Envelope::Within(Box::new(Within { call, envelope }))
    }

    pub(super) const fn callbacks(&self) -> usize {
        self.callbacks.len()
    }

    /// The number that a callback has here.
    pub(super) fn callback(&self, theirs: &WireId) -> Option<u64> {
        let running = self.callbacks.iter().find(|one| one.theirs == *theirs)?;
        Some(running.local)
    }

    /// The number that a callback has here, the first time that it is cancelled.
    pub(super) fn cancel_callback(&mut self, theirs: &WireId) -> Option<u64> {
        let is_it = |running: &&mut Running| running.theirs == *theirs && !running.cancelled;
        let running = self.callbacks.iter_mut().find(is_it)?;
        running.cancelled = true;
        Some(running.local)
    }
}

impl Table {
    /// The number here of a call that has this one on the wire.
    pub(super) fn own(&self, number: u64) -> Option<u64> {
        self.given.get(&number).copied()
    }

    /// The call that has this number on the wire.
    pub(super) fn given_as(&mut self, number: u64) -> Option<&mut Session> {
        let call = self.own(number)?;
        self.calls.get_mut(&call)
    }

    /// The call that this server has under a number: nobody else may say anything of it.
    pub(super) fn of(&mut self, number: u64, server: &str) -> Option<(u64, &mut Session)> {
        let call = self.own(number)?;
        let session = self.calls.get_mut(&call)?;
        let given = session.server.as_mut()?;
        (*given.server == *server).then_some(())?;
        given.unheard = None;
        if !self.missed.is_empty() {
            self.missed.remove(server);
        }
        if let Some(load) = self.loads.get_mut(server) {
            load.heard = Instant::now();
        }
        Some((call, session))
    }

    /// Whether a server seems to be gone, and how many sessions of this client it has.
    pub(super) fn load(&self, server: &str) -> (bool, usize) {
        let load = self.loads.get(server);
        load.map_or((false, 0), |load| {
            (load.heard.elapsed() > SUSPICION, load.sessions)
        })
    }

    /// Whether a server seems to be gone, of which Redis says that it is alive until then.
    pub(super) fn has_missed(&self, server: &str, until_ms: u64) -> bool {
        (self.missed.get(server)).is_some_and(|missed| until_ms <= *missed)
    }

    /// A server has left a call unread.
    pub(super) fn miss(&mut self, given: &Given) {
        const MOST: usize = 4096;
        if self.missed.len() >= MOST {
            self.missed.clear();
        }
        self.missed
            .insert(Arc::clone(&given.server), given.until_ms);
    }

    /// Gives a call to a server, under a number that it has not had before.
    pub(super) fn give(&mut self, call: u64, to: Candidate, inbox: Arc<str>) -> Option<u64> {
        self.take_back(call);
        let session = self.calls.get_mut(&call)?;
        let mut number = 0;
        while number == 0 || self.given.contains_key(&number) {
            number = random::bits() & CallId::MAX;
        }
        let load = self.loads.entry(Arc::clone(&to.server));
        session.server = Some(Given {
            server: to.server,
            inbox,
            number,
            until_ms: to.until_ms,
            claims: to.claims,
            unheard: None,
        });
        session.thread = Thread::new();
        self.given.insert(number, call);
        let load = load.or_insert_with(|| Load {
            sessions: 0,
            heard: Instant::now(),
            callbacks: 0,
        });
        load.sessions += 1;
        Some(number)
    }

    /// Takes a call back from whoever has it.
    pub(super) fn take_back(&mut self, call: u64) -> Option<Arc<str>> {
        let session = self.calls.get_mut(&call)?;
        session.lost = None;
        let given = session.server.take()?;
        self.let_go(&given);
        Some(given.server)
    }

    fn let_go(&mut self, given: &Given) {
        self.given.remove(&given.number);
        if let Some(load) = self.loads.get_mut(&given.server) {
            load.sessions -= 1;
            if load.sessions == 0 {
                self.loads.remove(&given.server);
            }
        }
    }

    /// Whether the server of a call may have one more callback run here: as many as are left for others, of all that may run.
    /// So each of them has a share, and there is one left for whoever comes next.
    pub(super) fn may_call_back(&self, call: u64) -> bool {
        let session = self.calls.get(&call);
        let given = session.and_then(|session| session.server.as_ref());
        let load = given.and_then(|given| self.loads.get(&given.server));
        let runs = load.map_or(0, |load| load.callbacks);
        runs < MOST_CALLBACKS.saturating_sub(self.callbacks.len())
    }

    /// A callback begins: the number that it has here.
    pub(super) fn begin_callback(&mut self, call: u64, theirs: WireId) -> Option<u64> {
        let session = self.calls.get_mut(&call)?;
        self.last_callback += 1;
        let local = self.last_callback;
        session.callbacks.push(Running {
            local,
            theirs,
            cancelled: false,
        });
        if let Some(given) = &session.server
            && let Some(load) = self.loads.get_mut(&given.server)
        {
            load.callbacks += 1;
        }
        self.callbacks.insert(local, call);
        Some(local)
    }

    /// The call of a callback that runs here, and what it is called at the server. `is_over`: it ends.
    pub(super) fn callback(&mut self, local: u64, is_over: bool) -> Option<(u64, WireId)> {
        let call = match is_over {
            true => self.callbacks.remove(&local)?,
            false => *self.callbacks.get(&local)?,
        };
        let session = self.calls.get_mut(&call)?;
        let callbacks = &mut session.callbacks;
        let at = callbacks.iter().position(|one| one.local == local)?;
        if !is_over {
            return Some((call, callbacks.get(at)?.theirs.clone()));
        }
        let theirs = callbacks.swap_remove(at).theirs;
        if let Some(given) = &session.server
            && let Some(load) = self.loads.get_mut(&given.server)
        {
            load.callbacks = load.callbacks.saturating_sub(1);
        }
        Some((call, theirs))
    }

    /// Forgets a call: what its callbacks are to be told.
    pub(super) fn remove(
        &mut self,
        call: u64,
        heard: &mut Vec<Envelope<'static>>,
    ) -> Option<Session> {
        let session = self.calls.remove(&call)?;
        if let Some(given) = &session.server {
            if let Some(load) = self.loads.get_mut(&given.server) {
                load.callbacks = load.callbacks.saturating_sub(session.callbacks.len());
            }
            self.let_go(given);
        }
        for running in &session.callbacks {
            self.callbacks.remove(&running.local);
            if !running.cancelled {
                heard.push(Envelope::Cancel(Cancel {
                    id: WireId::Uint(running.local),
                    reason: CancelReason::Caller,
                }));
            }
        }
        Some(session)
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

    /// What is kept beside the sessions themselves, in entries: of none when there are no sessions.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.given.len() + self.loads.len() + self.callbacks.len()
    }
}
