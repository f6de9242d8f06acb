//! A connection from its arrival to its end, as the books and the policies see it.

use super::admission::{SessionPermit, Verdict, Waiting};
use super::registry::{Registry, Standing};
use super::session::Session;
use super::shared::{Held, Shared};
use crate::handler::panicked;
use crate::link::Link;
use mynah_connection::CloseReason;
use mynah_protocol::{Evidence, RpcError, TransportErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll};

/// A connection in the books of its server. Dropped with the task of the connection, however that ends: it is taken out of
/// them then, and whoever was asked to admit it is told of its end.
pub(super) struct Arrival {
    shared: Arc<Shared>,
    number: u64,
    held: Held,
    /// Present where somebody decides about connections.
    asked: Option<Box<Asked>>,
}

/// What stands between a connection and its session.
struct Asked {
    session: Session,
    /// The policy that is asked next.
    next: usize,
    waits: Option<Waiting>,
    /// Of those that have admitted it.
    permits: Vec<SessionPermit>,
    /// Every policy has: each is told of the end, whatever comes between.
    admitted: bool,
    /// Once it runs.
    link: Option<Arc<Link>>,
}

impl Arrival {
    /// The connection is in the books under this number, and is one of those that are held.
    pub(super) fn new(shared: &Arc<Shared>, number: u64, evidence: &Evidence, held: &Held) -> Self {
        let asked = (!shared.policies.is_empty()).then(|| {
            Box::new(Asked {
                session: Session::new(shared, number, evidence.clone()),
                next: 0,
                waits: None,
                permits: Vec::new(),
                admitted: false,
                link: None,
            })
        });
        Self {
            shared: Arc::clone(shared),
            number,
            held: Arc::clone(held),
            asked,
        }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.asked.as_ref().map(|asked| &asked.session)
    }

    /// Whether every policy admits the connection.
    pub(super) fn poll_admitted(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(), RpcError>> {
        let Some(asked) = &mut self.asked else {
            return Poll::Ready(Ok(()));
        };
        asked.poll(&self.shared, cx)
    }

    /// The connection has a session from now on. False: the server has stopped.
    pub(super) fn admitted(&mut self, link: &Arc<Link>) -> bool {
        let standing = Standing::Admitted(Arc::clone(link));
        if !self.registry().advance(self.number, standing) {
            return false;
        }
        if let Some(asked) = &mut self.asked {
            asked.link = Some(Arc::clone(link));
        }
        true
    }

    /// The connection is being told why it has no session. False: the server has stopped.
    pub(super) fn refused(&mut self, link: &Arc<Link>) -> bool {
        // What it was admitted to by others is free again while it hears that.
        if let Some(asked) = &mut self.asked {
            let (waits, permits) = (asked.waits.take(), std::mem::take(&mut asked.permits));
            // Code of the user.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop((waits, permits)))) {
                panicked(&*payload);
            }
        }
        let standing = Standing::Refused(Arc::clone(link));
        self.registry().advance(self.number, standing)
    }

    fn registry(&self) -> &Registry {
        self.shared.registry()
    }
}

impl Asked {
    fn poll(&mut self, shared: &Shared, cx: &mut task::Context<'_>) -> Poll<Result<(), RpcError>> {
        // Code of the user.
        let polled = catch_unwind(AssertUnwindSafe(|| self.poll_policies(shared, cx)));
        let polled = polled.unwrap_or_else(|payload| Poll::Ready(Err(*panicked(&*payload))));
        self.admitted = matches!(polled, Poll::Ready(Ok(())));
        polled
    }

    fn poll_policies(
        &mut self,
        shared: &Shared,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(), RpcError>> {
        loop {
            if let Some(waiting) = &mut self.waits {
                let decided = task::ready!(waiting.as_mut().poll(cx));
                self.waits = None;
                match decided {
                    Ok(permit) => self.permits.push(permit),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            let Some(policy) = shared.policies.get(self.next) else {
                return Poll::Ready(Ok(()));
            };
            self.next += 1;
            match policy.admit(&self.session) {
                Verdict::Admit(permit) => self.permits.push(permit),
                Verdict::Refuse(error) => return Poll::Ready(Err(error)),
                Verdict::Wait(waiting) => self.waits = Some(waiting),
            }
        }
    }

    /// Tells everybody that the session is over, if everybody had admitted it.
    fn end(&self, shared: &Shared) {
        if !self.admitted {
            return;
        }
        let reason = match &self.link {
            Some(link) => link.end_reason().unwrap_or_else(|| {
                let gone = "the task of the connection is gone";
                CloseReason::Transport(TransportErrorKind::Other, gone.into())
            }),
            // The server stopped before it could run.
            None => CloseReason::Local,
        };
        for policy in shared.policies.iter().rev() {
            let told = catch_unwind(AssertUnwindSafe(|| policy.ended(&self.session, &reason)));
            if let Err(payload) = told {
                panicked(&*payload);
            }
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(asked) = &self.asked {
            asked.end(&self.shared);
        }
        self.held.fetch_sub(1, Ordering::AcqRel);
        self.shared.registry().forget(self.number);
        if let Some(asked) = self.asked.take() {
            // Behind its name, which the next one may want. Code of the user.
            let gone = catch_unwind(AssertUnwindSafe(|| drop(asked)));
            if let Err(payload) = gone {
                panicked(&*payload);
            }
        }
        self.shared.ended.notify_waiters();
    }
}
