//! What is kept for a call of this side that somebody looks at: interceptors, a span, metrics.

use super::{CallOptions, Caller};
use crate::error::{CallError, DomainError};
use crate::intercept::{CallKind, CallSide, Entering, Gate, Name, Observed, Passage, outcome_of};
use crate::method::Target;
use crate::observe::{self, SlowThresholds, Start};
use crate::peer::Peer;
use mynah_protocol::{Metadata, RpcError};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::time::{Instant, Sleep};

/// A call of this side that somebody looks at.
pub(crate) struct Watch {
    observed: Arc<Observed>,
    /// Until this attempt has come through its interceptors.
    gate: Option<Gate>,
    /// As the program set it, for another attempt.
    metadata: Metadata,
    /// Between two attempts.
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether nothing went with the call that can go once only.
    repeatable: bool,
}

impl Watch {
    /// Whether somebody may look at a call that begins now, or it goes on with a trace.
    #[inline]
    pub(crate) fn may_begin<C: Caller>(caller: &C, options: &CallOptions) -> bool {
        observe::calls(caller.interceptors()) || options.trace.is_some() || caller.trace().is_some()
    }

    /// Begins to look at a call; `None` when nobody does after all. What the trace says goes into the metadata.
    #[cold]
    pub(crate) fn begin<C: Caller>(
        caller: &C,
        target: &Target,
        kind: CallKind,
        options: &mut CallOptions,
        repeatable: bool,
    ) -> Option<Self> {
        let own = options.trace.as_deref().or_else(|| caller.trace());
        let above = own.cloned();
        let unknown = "a caller";
        let peer = caller.peer();
        let observed = observe::start(Start {
            side: CallSide::Client,
            kind,
            name: || Name::of(target),
            peer: match &peer {
                Some(peer) => peer.evidence(),
                None => &unknown,
            },
            chain: caller.interceptors(),
            above: above.clone(),
            slow: SlowThresholds::off(),
        });
        let trace = match &observed {
            Some(observed) => observed.trace.as_ref(),
            None => above.as_ref(),
        };
        if let Some(trace) = trace
            && caller.carries_metadata()
        {
            trace.write(&mut options.metadata);
        }
        let observed = observed?;
        if observed.chain.is_some() {
            // It covers what interceptors wait for, and every attempt.
            let timeout = options.timeout(caller.default_timeout(), caller.deadline());
            options.deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        }
        Some(Self {
            gate: Some(Gate::new(Arc::clone(&observed))),
            observed,
            metadata: options.metadata.clone(),
            pause: None,
            repeatable,
        })
    }

    pub(crate) const fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// Goes through the interceptors, after the pause between two attempts. The error: one of them refused the call.
    pub(crate) fn poll_gate<C: Caller>(
        &mut self,
        caller: &C,
        options: &mut CallOptions,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(), Box<RpcError>>> {
        if let Some(pause) = &mut self.pause {
            task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let Some(gate) = &mut self.gate else {
            return Poll::Ready(Ok(()));
        };
        let peer = caller.peer();
        let entering = Entering {
            metadata: &mut options.metadata,
            evidence: peer.as_ref().map(Peer::evidence),
            deadline: options.deadline,
        };
        let passed = match gate.pass(entering, Some(cx)) {
            Passage::Waits => return Poll::Pending,
            Passage::Open => Ok(()),
            Passage::Refused(error) => Err(error),
        };
        self.gate = None;
        Poll::Ready(passed)
    }

    /// Notes how the attempt ended, while the error still has its code.
    pub(crate) fn ended(&self, error: &CallError<RpcError>) {
        self.observed.ended(outcome_of(error, RpcError::code));
    }

    /// Tells everybody of the end, unless it was told already.
    pub(crate) fn report<E>(&self, error: Option<&CallError<E>>) {
        self.observed.ended_locally(error);
        self.observed.report();
    }

    /// The attempt is over: tells the interceptors. Whether there will be another, with `options` as they were.
    pub(crate) fn tries_again<E: DomainError>(
        &mut self,
        error: Option<&CallError<E>>,
        can: bool,
        options: &mut CallOptions,
    ) -> bool {
        self.observed.ended_locally(error);
        let retryable = error.is_some_and(CallError::is_retryable) && can && self.repeatable;
        let delay = if retryable {
            self.observed.retry()
        } else {
            None
        };
        let Some(delay) = delay else {
            self.observed.report();
            return false;
        };
        let until = Instant::now().checked_add(delay);
        let in_time = match (until, options.deadline) {
            (Some(until), Some(deadline)) => until < deadline,
            (until, None) => until.is_some(),
            (None, Some(_)) => false,
        };
        if !in_time {
            self.observed.report();
            return false;
        }
        self.observed.report_attempt();
        self.observed = self.observed.again();
        self.gate = Some(Gate::new(Arc::clone(&self.observed)));
        self.pause = (!delay.is_zero()).then(|| Box::pin(tokio::time::sleep(delay)));
        options.metadata = self.metadata.clone();
        true
    }
}
