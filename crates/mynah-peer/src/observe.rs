//! Who looks at calls: subscribers of `tracing`, and thresholds for what is slow.
//!
//! A call that nobody looks at costs a look at a list of interceptors that is empty and at the level that subscribers
//! want, and nothing else.

use crate::intercept::{Beginning, CallKind, CallOutcome, CallSide, Interceptors, Name, Observed};
use crate::metrics;
use crate::trace::{Hex, TraceContext};
use mynah_protocol::MethodName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tracing::Span;
use tracing::level_filters::LevelFilter;

/// What a side warns of, in its log and in metrics: only while a subscriber wants warnings, or metrics are compiled in.
///
/// `None` switches a warning off, and its looks at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowThresholds {
    /// One poll of a handler where its connection runs, which holds up every other call of the connection: 10 ms. A handler
    /// that takes longer belongs in a task (`#[spawn]`) or on a thread (`#[blocking]`) of its own.
    pub poll: Option<Duration>,
    /// A call from its arrival to its end, streams left out: 1 s.
    pub handler: Option<Duration>,
}

impl Default for SlowThresholds {
    fn default() -> Self {
        Self {
            poll: Some(Duration::from_millis(10)),
            handler: Some(Duration::from_secs(1)),
        }
    }
}

impl SlowThresholds {
    /// No warnings.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            poll: None,
            handler: None,
        }
    }

    /// The threshold of one poll.
    #[must_use]
    pub const fn poll(mut self, threshold: Option<Duration>) -> Self {
        self.poll = threshold;
        self
    }

    /// The threshold of a whole call.
    #[must_use]
    pub const fn handler(mut self, threshold: Option<Duration>) -> Self {
        self.handler = threshold;
        self
    }
}

/// The thresholds that hold for one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    pub(crate) poll: Option<Duration>,
    pub(crate) handler: Option<Duration>,
}

impl Slow {
    const OFF: Self = Self {
        poll: None,
        handler: None,
    };
}

/// Whether somebody may look at calls on the side that answers.
#[inline]
pub(crate) fn serves(chain: Option<&Arc<Interceptors>>) -> bool {
    metrics::ENABLED || chain.is_some() || LevelFilter::current() >= LevelFilter::WARN
}

/// Whether somebody may look at calls on the side that calls.
#[inline]
pub(crate) fn calls(chain: Option<&Arc<Interceptors>>) -> bool {
    metrics::ENABLED || chain.is_some() || LevelFilter::current() >= LevelFilter::INFO
}

/// A call as it begins.
pub(crate) struct Start<'a, N> {
    pub(crate) side: CallSide,
    pub(crate) kind: CallKind,
    pub(crate) name: N,
    pub(crate) peer: &'a dyn fmt::Display,
    pub(crate) chain: Option<&'a Arc<Interceptors>>,
    /// The span of the caller, or of the call that this one is made within.
    pub(crate) above: Option<TraceContext>,
    pub(crate) slow: SlowThresholds,
}

/// What is kept for a call that somebody looks at, `None` when nobody does after all.
pub(crate) fn start<N: FnOnce() -> Name>(start: Start<'_, N>) -> Option<Arc<Observed>> {
    let Start {
        side,
        kind,
        name,
        peer,
        chain,
        above,
        slow,
    } = start;
    let traced = tracing::enabled!(target: "mynah::call", tracing::Level::INFO);
    let warns = side == CallSide::Server
        && (metrics::ENABLED || tracing::enabled!(target: "mynah::slow", tracing::Level::WARN));
    let slow = if warns {
        Slow {
            poll: slow.poll,
            handler: slow.handler,
        }
    } else {
        Slow::OFF
    };
    let watched = slow.poll.is_some() || slow.handler.is_some();
    if !traced && !watched && !metrics::ENABLED && chain.is_none() {
        return None;
    }
    let name = name();
    let trace = match above {
        Some(above) if traced => Some(above.child()),
        None if traced => Some(TraceContext::root()),
        above => above,
    };
    let span = match &trace {
        Some(trace) if traced => span(side, kind, &name.get(), peer, trace),
        _ => Span::none(),
    };
    Some(Observed::begin(Beginning {
        side,
        kind,
        name,
        chain: chain.cloned(),
        trace,
        span,
        slow,
    }))
}

/// The span of a call, with the names of the OpenTelemetry conventions.
fn span(
    side: CallSide,
    kind: CallKind,
    name: &MethodName<'_>,
    peer: &dyn fmt::Display,
    trace: &TraceContext,
) -> Span {
    macro_rules! rpc_span {
        ($($parent:tt)*) => {
            tracing::info_span!(
                target: "mynah::call",
                $($parent)*
                "rpc",
                otel.kind = side.as_str(),
                otel.name = %name,
                otel.status_code = tracing::field::Empty,
                rpc.system = "mynah",
                rpc.service = &*name.service,
                rpc.method = &*name.method,
                rpc.kind = kind.as_str(),
                peer = %peer,
                trace_id = %Hex(&trace.trace_id()),
                span_id = %Hex(&trace.span_id()),
                parent_id = tracing::field::Empty,
                outcome = tracing::field::Empty,
                code = tracing::field::Empty,
                items = tracing::field::Empty,
            )
        };
    }
    // A handler belongs to its caller, not to whatever the connection's task does.
    let span = match side {
        CallSide::Server => rpc_span!(parent: None,),
        CallSide::Client => rpc_span!(),
    };
    if let Some(parent) = trace.parent_id() {
        span.record("parent_id", tracing::field::display(Hex(&parent)));
    }
    span
}

/// Notes in its span how a call ended.
pub(crate) fn record_end(span: &Span, outcome: CallOutcome, items: u64) {
    span.record("outcome", outcome.as_str());
    if let Some(code) = outcome.code() {
        span.record("code", code.value());
    }
    if items > 0 {
        span.record("items", items);
    }
    let status = if outcome == CallOutcome::Ok {
        "OK"
    } else {
        "ERROR"
    };
    span.record("otel.status_code", status);
}

#[cold]
pub(crate) fn warn_slow_poll(name: &MethodName<'_>, took: Duration) {
    tracing::warn!(
        target: "mynah::slow",
        method = %name,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "handler held up its connection: give it #[spawn] or #[blocking]"
    );
}

#[cold]
pub(crate) fn warn_slow_handler(name: &MethodName<'_>, took: Duration) {
    tracing::warn!(
        target: "mynah::slow",
        method = %name,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "call took long"
    );
}
