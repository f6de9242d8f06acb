//! Interceptors in their order.

use super::observed::Observed;
use super::view::{FinishedCall, InterceptedCall};
use super::{Admission, Before, CallOutcome, Extensions, Interceptor, Stop};
use crate::handler::panicked;
use mynah_protocol::{Evidence, Metadata, RpcError};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Interceptors in the order in which they were added: what a [`Caller`](crate::Caller) has around its calls.
#[derive(Clone, Default)]
pub struct Interceptors {
    list: Vec<Arc<dyn Interceptor>>,
    timed: bool,
}

impl fmt::Debug for Interceptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptors")
            .field("len", &self.list.len())
            .finish()
    }
}

impl Interceptors {
    /// With one more at the end.
    pub(crate) fn with(chain: Option<&Self>, interceptor: impl Interceptor) -> Arc<Self> {
        let mut chain = chain.cloned().unwrap_or_default();
        chain.timed |= interceptor.timed();
        chain.list.push(Arc::new(interceptor));
        Arc::new(chain)
    }

    /// The interceptors of one chain, then those of another.
    pub(super) fn joined(first: &Arc<Self>, then: Option<&Arc<Self>>) -> Arc<Self> {
        let Some(then) = then else {
            return Arc::clone(first);
        };
        Arc::new(Self {
            list: first.list.iter().chain(&then.list).cloned().collect(),
            timed: first.timed || then.timed,
        })
    }

    /// Whether one of them wants the time.
    pub(crate) const fn timed(&self) -> bool {
        self.timed
    }

    /// Tells the first `entered` of them of the end, the last one first.
    pub(crate) fn after(&self, entered: usize, call: &FinishedCall<'_>) {
        for interceptor in self.list.iter().take(entered).rev() {
            let told = catch_unwind(AssertUnwindSafe(|| interceptor.after(call)));
            if let Err(payload) = told {
                panicked(&*payload);
            }
        }
    }

    /// When to try again, if one of them says so.
    pub(crate) fn retry(&self, call: &FinishedCall<'_>) -> Option<Duration> {
        self.list.iter().find_map(|interceptor| {
            catch_unwind(AssertUnwindSafe(|| interceptor.retry(call))).unwrap_or_else(|payload| {
                panicked(&*payload);
                None
            })
        })
    }
}

/// What a call brings along to its interceptors.
pub(crate) struct Entering<'a> {
    pub(crate) metadata: &'a mut Metadata,
    pub(crate) evidence: Option<&'a Evidence>,
    pub(crate) deadline: Option<Instant>,
}

/// Whether a call came through.
pub(crate) enum Passage {
    Open,
    Refused(Box<RpcError>),
    /// An interceptor has it wait.
    Waits,
}

type Waiting = Pin<Box<dyn Future<Output = Result<Admission, RpcError>> + Send>>;

/// The way of one call through its interceptors.
pub(crate) struct Gate {
    observed: Arc<Observed>,
    next: usize,
    waiting: Option<Waiting>,
    extensions: Extensions,
    stops: Vec<Stop>,
}

impl Gate {
    pub(crate) const fn new(observed: Arc<Observed>) -> Self {
        Self {
            observed,
            next: 0,
            waiting: None,
            extensions: Extensions::new(),
            stops: Vec::new(),
        }
    }

    pub(crate) const fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// Goes on as far as possible. Without a task it stops where something must be polled.
    pub(crate) fn pass(
        &mut self,
        mut entering: Entering<'_>,
        mut task: Option<&mut task::Context<'_>>,
    ) -> Passage {
        let observed = Arc::clone(&self.observed);
        let Some(chain) = &observed.chain else {
            return self.open();
        };
        let span = observed.span().clone();
        loop {
            if let Some(waiting) = &mut self.waiting {
                let Some(cx) = &mut task else {
                    return Passage::Waits;
                };
                let polled = catch_unwind(AssertUnwindSafe(|| {
                    span.in_scope(|| waiting.as_mut().poll(cx))
                }));
                let polled =
                    polled.unwrap_or_else(|payload| Poll::Ready(Err(*panicked(&*payload))));
                let Poll::Ready(admitted) = polled else {
                    return Passage::Waits;
                };
                // Dropping it is code of the user.
                let done = self.waiting.take();
                drop(catch_unwind(AssertUnwindSafe(|| drop(done))));
                match admitted {
                    Ok(admission) => self.admit(admission, &mut entering),
                    Err(error) => return self.refuse(error),
                }
            }
            let Some(interceptor) = chain.list.get(self.next) else {
                return self.open();
            };
            let mut call = InterceptedCall {
                observed: &observed,
                metadata: entering.metadata,
                extensions: &mut self.extensions,
                evidence: entering.evidence,
                deadline: entering.deadline,
            };
            let decided = catch_unwind(AssertUnwindSafe(|| {
                span.in_scope(|| interceptor.before(&mut call))
            }));
            match decided {
                Ok(Before::Proceed) => self.advance(),
                Ok(Before::Refuse(error)) => return self.refuse(error),
                Ok(Before::Wait(future)) => self.waiting = Some(future),
                Err(payload) => return self.refuse(*panicked(&*payload)),
            }
        }
    }

    fn advance(&mut self) {
        self.next += 1;
        self.observed.entered(self.next);
    }

    fn admit(&mut self, admission: Admission, entering: &mut Entering<'_>) {
        for (name, value) in admission.metadata.iter() {
            entering.metadata.insert(name, value);
        }
        self.extensions.absorb(admission.extensions);
        self.stops.extend(admission.stop);
        self.advance();
    }

    fn open(&mut self) -> Passage {
        self.leave();
        Passage::Open
    }

    fn refuse(&mut self, error: RpcError) -> Passage {
        self.leave();
        self.observed.ended(CallOutcome::of_code(error.code()));
        Passage::Refused(Box::new(error))
    }

    /// Leaves what was collected with the call.
    fn leave(&mut self) {
        let extensions = std::mem::take(&mut self.extensions);
        self.observed
            .admit(extensions, std::mem::take(&mut self.stops));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            // It was given up.
            drop(catch_unwind(AssertUnwindSafe(|| drop(waiting))));
            self.leave();
        }
    }
}
