//! What is kept for a call that somebody looks at: interceptors, a span, metrics, thresholds. Plain calls have none.

use super::chain::Interceptors;
use super::view::FinishedCall;
use super::{CallKind, CallOutcome, CallSide, Extensions, Stop};
use crate::error::CallError;
use crate::handler::panicked;
use crate::method::{MethodInfo, Target};
use crate::metrics;
use crate::observe::{self, Slow};
use crate::router::Router;
use crate::trace::TraceContext;
use mynah_protocol::{ErrorCode, MethodName, RpcError};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{self, Poll, Wake};
use std::time::{Duration, Instant};
use tracing::Span;

/// What is called, without a copy of its name where that can be had.
pub(crate) enum Name {
    Route(Arc<Router>, usize),
    Method(&'static MethodInfo),
    Named(Box<str>, Box<str>),
    /// What the peer called and nobody has.
    Unknown(Box<str>, Box<str>),
}

/// What metrics say in place of names that the peer makes up.
const UNKNOWN: &str = "$unknown";

impl Name {
    pub(crate) fn of(target: &Target) -> Self {
        match target {
            Target::Method(info) => Self::Method(info),
            Target::Named {
                service, method, ..
            } => Self::Named((&**service).into(), (&**method).into()),
        }
    }

    pub(crate) fn get(&self) -> MethodName<'_> {
        match self {
            Self::Route(router, index) => match router.route(*index) {
                Some(route) => MethodName::new(&route.service, &route.method),
                None => MethodName::new("", ""),
            },
            Self::Method(info) => MethodName::new(info.service(), info.name()),
            Self::Named(service, method) | Self::Unknown(service, method) => {
                MethodName::new(service, method)
            }
        }
    }
}

/// A call that somebody looks at.
///
/// Whoever sees its end notes the [`CallOutcome`] (the first one counts) and then has it told with [`Self::report`], which
/// runs code of the user and is never called under a lock. Where the end is noted under the lock of a connection, it is
/// told as those are told who wait for it: as a waker.
pub(crate) struct Observed {
    pub(crate) side: CallSide,
    pub(crate) kind: CallKind,
    pub(crate) chain: Option<Arc<Interceptors>>,
    pub(crate) trace: Option<TraceContext>,
    name: Name,
    attempt: u32,
    /// Present when somebody wants the time.
    started: Option<Instant>,
    slow: Slow,
    span: Span,
    extensions: OnceLock<Extensions>,
    entered: AtomicUsize,
    items: AtomicU64,
    outcome: OnceLock<CallOutcome>,
    told: AtomicBool,
    stops: Mutex<Vec<Stop>>,
    has_stops: AtomicBool,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// What an observed call begins with.
pub(crate) struct Beginning {
    pub(crate) side: CallSide,
    pub(crate) kind: CallKind,
    pub(crate) name: Name,
    pub(crate) chain: Option<Arc<Interceptors>>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) span: Span,
    pub(crate) slow: Slow,
}

impl Observed {
    pub(crate) fn begin(beginning: Beginning) -> Arc<Self> {
        let Beginning {
            side,
            kind,
            name,
            chain,
            trace,
            span,
            slow,
        } = beginning;
        let timed = metrics::ENABLED
            || slow.handler.is_some()
            || chain.as_ref().is_some_and(|chain| chain.timed());
        let observed = Self::new(
            (side, kind, name),
            (chain, trace, slow, span),
            1,
            timed.then(Instant::now),
        );
        metrics::call_started(side, kind, &observed.label());
        observed
    }

    fn new(
        (side, kind, name): (CallSide, CallKind, Name),
        (chain, trace, slow, span): (Option<Arc<Interceptors>>, Option<TraceContext>, Slow, Span),
        attempt: u32,
        started: Option<Instant>,
    ) -> Arc<Self> {
        Arc::new(Self {
            side,
            kind,
            chain,
            trace,
            name,
            attempt,
            started,
            slow,
            span,
            extensions: OnceLock::new(),
            entered: AtomicUsize::new(0),
            items: AtomicU64::new(0),
            outcome: OnceLock::new(),
            told: AtomicBool::new(false),
            stops: Mutex::default(),
            has_stops: AtomicBool::new(false),
        })
    }

    /// The next attempt of the same call, once this one was told of with [`Self::report_attempt`].
    pub(crate) fn again(&self) -> Arc<Self> {
        let name = self.name();
        let name = Name::Named(name.service.as_ref().into(), name.method.as_ref().into());
        Self::new(
            (self.side, self.kind, name),
            (
                self.chain.clone(),
                self.trace.clone(),
                self.slow,
                self.span.clone(),
            ),
            self.attempt.saturating_add(1),
            self.started,
        )
    }

    pub(crate) fn name(&self) -> MethodName<'_> {
        self.name.get()
    }

    /// Whether somebody has the method.
    pub(crate) const fn is_known(&self) -> bool {
        !matches!(self.name, Name::Unknown(..))
    }

    /// The name for metrics: of a bounded number.
    fn label(&self) -> MethodName<'_> {
        if self.is_known() {
            self.name()
        } else {
            MethodName::new("", UNKNOWN)
        }
    }

    pub(crate) const fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    pub(crate) fn add_items(&self, count: u64) {
        self.items.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn extension<T: 'static>(&self) -> Option<&T> {
        self.extensions.get()?.value()
    }

    /// So many interceptors have let it pass.
    pub(super) fn entered(&self, count: usize) {
        self.entered.store(count, Ordering::Release);
    }

    pub(super) fn admit(&self, extensions: Extensions, mut stops: Vec<Stop>) {
        // Once for each call: it comes through the gate once.
        drop(self.extensions.set(extensions));
        if !stops.is_empty() {
            let mut kept = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
            kept.append(&mut stops);
            self.has_stops.store(true, Ordering::Release);
        }
    }

    /// Whether something asks the call to stop.
    pub(crate) fn poll_stop(&self, cx: &mut task::Context<'_>) -> Poll<Box<RpcError>> {
        if !self.has_stops.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut stops = self.take_stops();
        for stop in &mut stops {
            let polled = catch_unwind(AssertUnwindSafe(|| stop.as_mut().poll(cx)));
            match polled {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(error)) => {
                    drop_all(stops);
                    return Poll::Ready(Box::new(error));
                }
                Err(payload) => {
                    drop_all(stops);
                    return Poll::Ready(panicked(&*payload));
                }
            }
        }
        let mut kept = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        kept.append(&mut stops);
        Poll::Pending
    }

    fn take_stops(&self) -> Vec<Stop> {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *stops)
    }

    /// Notes how it ended. The first one counts.
    pub(crate) fn ended(&self, outcome: CallOutcome) {
        // A later one is about what came of the first.
        let _known = self.outcome.set(outcome);
    }

    /// Notes the end from what is written as its answer.
    pub(crate) fn ended_with(&self, error: Option<&RpcError>) {
        self.ended(match error {
            None => CallOutcome::Ok,
            Some(error) => CallOutcome::of_code(error.code()),
        });
    }

    /// Notes the end of a call within the process, whose domain error is not encoded.
    pub(crate) fn ended_locally<E>(&self, error: Option<&CallError<E>>) {
        self.ended(match error {
            None => CallOutcome::Ok,
            Some(error) => outcome_of(error, |_| ErrorCode::UNCODED),
        });
    }

    /// Runs a piece of the call: in its span, timed if somebody wants to know of slow polls, its panic noted.
    pub(crate) fn run<R>(&self, piece: impl FnOnce() -> R) -> R {
        let entered = self.span.enter();
        let began = self.slow.poll.map(|limit| (limit, Instant::now()));
        let result = catch_unwind(AssertUnwindSafe(piece));
        if let Some((limit, began)) = began {
            let took = began.elapsed();
            if took >= limit {
                observe::warn_slow_poll(&self.name(), took);
                metrics::slow_poll(&self.label());
            }
        }
        match result {
            Ok(result) => result,
            Err(payload) => {
                self.ended(CallOutcome::Panicked);
                // The unwinding must not carry an entered span.
                drop(entered);
                resume_unwind(payload)
            }
        }
    }

    /// Tells the interceptors of an attempt that will be followed by another.
    pub(crate) fn report_attempt(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.tell_interceptors(self.outcome());
        }
    }

    /// When to try again, if an interceptor says so.
    pub(crate) fn retry(&self) -> Option<Duration> {
        let chain = self.chain.as_ref()?;
        self.span
            .in_scope(|| chain.retry(&self.finished(self.outcome())))
    }

    /// Tells everybody of the end, once.
    pub(crate) fn report(&self) {
        if self.told.swap(true, Ordering::AcqRel) {
            return;
        }
        let outcome = self.outcome();
        self.tell_interceptors(outcome);
        let elapsed = self.started.map(|started| started.elapsed());
        if !self.span.is_disabled() {
            observe::record_end(&self.span, outcome, self.items());
        }
        if let (Some(limit), Some(took)) = (self.slow.handler, elapsed)
            && self.side == CallSide::Server
            && took >= limit
            // A stream or subscription is meant to last.
            && !matches!(self.kind, CallKind::Stream | CallKind::Subscription)
        {
            observe::warn_slow_handler(&self.name(), took);
            metrics::slow_handler(&self.label());
        }
        metrics::call_ended(
            self.side,
            self.kind,
            &self.label(),
            outcome,
            elapsed,
            self.items(),
        );
    }

    fn tell_interceptors(&self, outcome: CallOutcome) {
        if let Some(chain) = &self.chain {
            let entered = self.entered.load(Ordering::Acquire);
            let call = self.finished(outcome);
            self.span.in_scope(|| chain.after(entered, &call));
        }
        if self.has_stops.load(Ordering::Acquire) {
            drop_all(self.take_stops());
        }
    }

    fn finished(&self, outcome: CallOutcome) -> FinishedCall<'_> {
        let timed = self.chain.as_ref().is_some_and(|chain| chain.timed());
        FinishedCall {
            observed: self,
            outcome,
            elapsed: self
                .started
                .filter(|_| timed)
                .map(|started| started.elapsed()),
        }
    }

    fn outcome(&self) -> CallOutcome {
        *self.outcome.get_or_init(|| CallOutcome::Cancelled)
    }
}

/// Drops code of the user, whose panic is its own.
fn drop_all(stops: Vec<Stop>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(stops))) {
        panicked(&*payload);
    }
}

impl Wake for Observed {
    fn wake(self: Arc<Self>) {
        self.report();
    }
}

impl Drop for Observed {
    /// Nobody has said how it ended: its connection went with its task.
    fn drop(&mut self) {
        self.report();
    }
}

/// The outcome of a call of this side.
pub(crate) fn outcome_of<E>(
    error: &CallError<E>,
    code: impl FnOnce(&E) -> ErrorCode,
) -> CallOutcome {
    match error {
        CallError::Application(error) => CallOutcome::of_code(code(error)),
        CallError::Remote(error) => CallOutcome::of_code(error.code()),
        CallError::Cancelled(_) => CallOutcome::Cancelled,
        CallError::Deadline => CallOutcome::Deadline,
        CallError::Disconnected(_) => CallOutcome::Disconnected,
        CallError::Indeterminate(_) => CallOutcome::Indeterminate,
        CallError::Busy { .. } => CallOutcome::Error(ErrorCode::BUSY),
        CallError::Unsupported { .. } => CallOutcome::Error(ErrorCode::UNSUPPORTED),
        CallError::Encode(_) => CallOutcome::Error(ErrorCode::UNENCODABLE),
        CallError::Decode(_) => CallOutcome::Error(ErrorCode::PARSE_ERROR),
        CallError::Misuse(_) => CallOutcome::Error(ErrorCode::INVALID_REQUEST),
    }
}
