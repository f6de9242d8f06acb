//! The sessions of a client: what is known of each.

use crate::random;
use crate::session::Thread;
use mynah_protocol::{
    CallId, Cancel, CancelReason, DeliveryReport, DeliveryStatus, Envelope, Request, Undelivered,
    WireId, Within,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The sessions of a client, by the numbers that their calls have here.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) calls: HashMap<u64, Session>,
    /// The same by the numbers that they have on the wire, of those that a server was given.
    given: HashMap<u64, u64>,
    /// What each server has.
    loads: HashMap<Arc<str>, Load>,
    /// Callbacks and other calls of servers that run here, by the numbers that they have here: whose they are.
    callbacks: HashMap<u64, u64>,
    last_callback: u64,
    pub(super) beating: bool,
}

/// What one server has of a client.
#[derive(Clone, Copy, Debug)]
struct Load {
    sessions: usize,
    /// When it was last heard, or was given the first of them.
    heard: Instant,
}

/// A server that has sessions says so every few seconds. Two times that it did not: others are asked rather than it.
const SUSPICION: Duration = Duration::from_secs(7);

/// One call.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number here.
    pub(super) id: WireId,
    /// Until a server has taken it on.
    pub(super) request: Option<Box<Request<'static>>>,
    pub(super) service: Box<str>,
    pub(super) until: Instant,
    /// When its caller does not wait any more, as its server is told.
    pub(super) deadline: Option<Instant>,
    /// Who was given it.
    pub(super) server: Option<Given>,
    /// Who had no room for it in this round.
    pub(super) tried: Vec<Arc<str>>,
    pub(super) rounds: u32,
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
    pub(super) fn new(
        request: Request<'static>,
        until: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            id: request.id.clone(),
            service: (*request.name.service).into(),
            request: Some(Box::new(request)),
            until,
            deadline,
            server: None,
            tried: Vec::new(),
            rounds: 0,
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

    /// The call that this server has under a number: nobody else may say anything of it.
    pub(super) fn of(&mut self, number: u64, server: &str) -> Option<(u64, &mut Session)> {
        let call = self.own(number)?;
        let session = self.calls.get_mut(&call)?;
        let given = session.server.as_ref()?;
        (*given.server == *server).then_some(())?;
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

    /// Gives a call to a server, under a number that it has not had before.
    pub(super) fn give(&mut self, call: u64, server: &Arc<str>, inbox: Arc<str>) -> Option<u64> {
        self.take_back(call);
        let session = self.calls.get_mut(&call)?;
        let mut number = 0;
        while number == 0 || self.given.contains_key(&number) {
            number = random::bits() & CallId::MAX;
        }
        session.server = Some(Given {
            server: Arc::clone(server),
            inbox,
            number,
        });
        session.thread = Thread::new();
        self.given.insert(number, call);
        let load = self
            .loads
            .entry(Arc::clone(server))
            .or_insert_with(|| Load {
                sessions: 0,
                heard: Instant::now(),
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
        self.callbacks.insert(local, call);
        Some(local)
    }

    /// The call of a callback that runs here, and what it is called at the server. `is_over`: it ends.
    pub(super) fn callback(&mut self, local: u64, is_over: bool) -> Option<(u64, WireId)> {
        let call = match is_over {
            true => self.callbacks.remove(&local)?,
            false => *self.callbacks.get(&local)?,
        };
        let callbacks = &mut self.calls.get_mut(&call)?.callbacks;
        let at = callbacks.iter().position(|one| one.local == local)?;
        let theirs = match is_over {
            true => callbacks.swap_remove(at).theirs,
            false => callbacks.get(at)?.theirs.clone(),
        };
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
