//! Every metric: its name, kind, unit, labels and meaning. With the feature `metrics` they go to the recorder of the
//! `metrics` facade that the program installs; without it nothing here does anything.
//!
//! | name | kind, unit | labels | meaning |
//! |---|---|---|---|
//! | `mynah_calls_started_total` | counter | side, kind, method | calls that somebody began |
//! | `mynah_calls_ended_total` | counter | side, kind, method, outcome | calls that ended, and how |
//! | `mynah_calls_in_flight` | gauge | side | calls begun and not ended |
//! | `mynah_call_duration_seconds` | histogram, seconds | side, kind, method | from begin to end, all attempts |
//! | `mynah_stream_items_total` | counter | side, method | items of streams of results |
//! | `mynah_slow_polls_total` | counter | method | polls of handlers above their threshold |
//! | `mynah_slow_handlers_total` | counter | method | calls above their threshold |
//! | `mynah_connections_open` | gauge | - | connections with a task |
//! | `mynah_bytes_total` | counter, bytes | direction (`in`, `out`) | bytes of byte streams |
//! | `mynah_failed_frames_total` | counter | code | messages for which this side ended a connection |
//! | `mynah_ignored_messages_total` | counter | reason | messages that mean nothing on their wire, or are too long for it, and were skipped |
//! | `mynah_busy_total` | counter | - | requests that this side refused for want of a permit |
//! | `mynah_dropped_total` | counter | what (`event`, `side_message`, `notification`) | events, and progress and logs, that were lost by policy because somebody is slow; notifications of methods that nobody has, or with params that no handler takes |
//!
//! `side` is `client` or `server`; `method` is `service.method`, of callbacks `$callback` alone, of methods that nobody
//! has `$unknown`: a peer cannot make new ones.

#[cfg(feature = "metrics")]
pub(crate) use on::*;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::*;

/// What was dropped because somebody was too slow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dropped {
    Event,
    /// Progress, or a line of log.
    SideMessage,
    /// A notification that nobody has, or whose params are wrong.
    Notification,
}

#[cfg(feature = "metrics")]
mod on {
    use super::Dropped;
    use crate::intercept::{CallKind, CallOutcome, CallSide};
    use metrics::{counter, gauge, histogram};
    use mynah_protocol::{CALLBACK_SERVICE, ErrorCode, MethodName};
    use std::time::Duration;

    /// Whether there is anything to count.
    pub(crate) const ENABLED: bool = true;

    fn label(name: &MethodName<'_>) -> String {
        if name.service == CALLBACK_SERVICE {
            return CALLBACK_SERVICE.to_owned();
        }
        name.to_string()
    }

    pub(crate) fn call_started(side: CallSide, kind: CallKind, name: &MethodName<'_>) {
        let (side, kind) = (side.as_str(), kind.as_str());
        counter!("mynah_calls_started_total", "side" => side, "kind" => kind, "method" => label(name))
            .increment(1);
        gauge!("mynah_calls_in_flight", "side" => side).increment(1.0);
    }

    pub(crate) fn call_ended(
        side: CallSide,
        kind: CallKind,
        name: &MethodName<'_>,
        outcome: CallOutcome,
        elapsed: Option<Duration>,
        items: u64,
    ) {
        let (side, kind, outcome) = (side.as_str(), kind.as_str(), outcome.as_str());
        let method = label(name);
        gauge!("mynah_calls_in_flight", "side" => side).decrement(1.0);
        counter!(
            "mynah_calls_ended_total",
            "side" => side, "kind" => kind, "method" => method.clone(), "outcome" => outcome
        )
        .increment(1);
        if items > 0 {
            counter!("mynah_stream_items_total", "side" => side, "method" => method.clone())
                .increment(items);
        }
        if let Some(elapsed) = elapsed {
            histogram!("mynah_call_duration_seconds", "side" => side, "kind" => kind, "method" => method)
                .record(elapsed);
        }
    }

    pub(crate) fn slow_poll(name: &MethodName<'_>) {
        counter!("mynah_slow_polls_total", "method" => label(name)).increment(1);
    }

    pub(crate) fn slow_handler(name: &MethodName<'_>) {
        counter!("mynah_slow_handlers_total", "method" => label(name)).increment(1);
    }

    pub(crate) fn bytes_in(count: usize) {
        counter!("mynah_bytes_total", "direction" => "in").increment(count as u64);
    }

    pub(crate) fn bytes_out(count: usize) {
        counter!("mynah_bytes_total", "direction" => "out").increment(count as u64);
    }

    pub(crate) fn failed_frame(code: ErrorCode) {
        counter!("mynah_failed_frames_total", "code" => code.value().to_string()).increment(1);
    }

    pub(crate) fn ignored_message(why: &'static str) {
        counter!("mynah_ignored_messages_total", "reason" => why).increment(1);
    }

    pub(crate) fn busy(count: u64) {
        if count > 0 {
            counter!("mynah_busy_total").increment(count);
        }
    }

    pub(crate) fn dropped(what: Dropped, count: u64) {
        let what = match what {
            Dropped::Event => "event",
            Dropped::SideMessage => "side_message",
            Dropped::Notification => "notification",
        };
        if count > 0 {
            counter!("mynah_dropped_total", "what" => what).increment(count);
        }
    }

    /// Counted as open while it lives.
    #[derive(Debug)]
    pub(crate) struct OpenConnection(());

    impl OpenConnection {
        pub(crate) fn count() -> Self {
            gauge!("mynah_connections_open").increment(1.0);
            Self(())
        }
    }

    impl Drop for OpenConnection {
        fn drop(&mut self) {
            gauge!("mynah_connections_open").decrement(1.0);
        }
    }
}

#[cfg(not(feature = "metrics"))]
#[allow(
    clippy::missing_const_for_fn,
    reason = "the same shape as with the feature"
)]
mod off {
    use super::Dropped;
    use crate::intercept::{CallKind, CallOutcome, CallSide};
    use mynah_protocol::{ErrorCode, MethodName};
    use std::time::Duration;

    /// Whether there is anything to count.
    pub(crate) const ENABLED: bool = false;

    pub(crate) fn call_started(_: CallSide, _: CallKind, _: &MethodName<'_>) {}
    pub(crate) fn call_ended(
        _: CallSide,
        _: CallKind,
        _: &MethodName<'_>,
        _: CallOutcome,
        _: Option<Duration>,
        _: u64,
    ) {
    }
    pub(crate) fn slow_poll(_: &MethodName<'_>) {}
    pub(crate) fn slow_handler(_: &MethodName<'_>) {}
    #[inline]
    pub(crate) fn bytes_in(_: usize) {}
    #[inline]
    pub(crate) fn bytes_out(_: usize) {}
    #[inline]
    pub(crate) fn failed_frame(_: ErrorCode) {}
    #[inline]
    pub(crate) fn ignored_message(_: &'static str) {}
    #[inline]
    pub(crate) fn busy(_: u64) {}
    #[inline]
    pub(crate) fn dropped(_: Dropped, _: u64) {}

    /// Counted as open while it lives.
    #[derive(Debug)]
    pub(crate) struct OpenConnection(());

    impl OpenConnection {
        #[inline]
        pub(crate) fn count() -> Self {
            Self(())
        }
    }
}
