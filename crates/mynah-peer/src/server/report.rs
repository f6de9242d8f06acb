//! What a drain did.

use crate::link::{Link, Run, RunKind};
use mynah_protocol::{Evidence, MethodName, Moment};
use std::fmt;
use std::time::Duration;

/// What a drain did. Shown, it is a text of several lines for a log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open when it began.
    pub connections: usize,
    /// Those of them whose peers had not said yet what they speak. They had a moment to do so: requests may have been on
    /// their way. They are not among those that were cut.
    pub half_open: usize,
    /// Subscriptions that ended because the server drains, those in process included.
    pub subscriptions_ended: usize,
    /// Connections that were cut at the end of the grace.
    pub connections_cut: usize,
    /// Handlers that were stopped at the end of the grace, streams included, calls in process not.
    pub calls_cut: usize,
    /// Those of them that had a stream of results.
    pub streams_cut: usize,
    /// Calls in process that still ran at the end of the grace; their callers own them. Those whose types are not the
    /// ones of their handlers are encoded: they run over a connection of the server with itself, and are cut with it.
    pub local_calls_left: usize,
    /// The connections that were cut.
    pub cut: Vec<CutConnection>,
    /// How long it took.
    pub took: Duration,
}

/// A connection that a drain cut.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CutConnection {
    /// What the transport knows about the peer: its address, as a rule.
    pub peer: Evidence,
    /// What still ran for the peer.
    pub calls: Vec<CutCall>,
    /// Calls of this side that waited for the peer's answer.
    pub calls_waiting: usize,
    /// Bytes of output that the peer had not taken.
    pub output_bytes: usize,
}

/// A handler that a drain stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutCall {
    /// Its method, `service.method`; for the handler of an event the topic.
    pub method: String,
    /// What it was.
    pub kind: RunKind,
    /// How long it had run.
    pub ran: Duration,
}

impl DrainReport {
    /// Whether every call finished.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.connections_cut == 0 && self.calls_cut == 0 && self.local_calls_left == 0
    }
}

/// What is cut with a connection.
pub(super) fn cut_connection(link: &Link) -> CutConnection {
    let state = link.lock();
    let now = link.clock.now();
    let calls = state.connection.handlers();
    CutConnection {
        peer: link.config.evidence.clone(),
        calls: calls.map(|slot| cut_call(link, &slot.run, now)).collect(),
        calls_waiting: state.connection.calls_waiting(),
        output_bytes: state.out.held() + state.out.bulk_held(),
    }
}

fn cut_call(link: &Link, run: &Run, now: Moment) -> CutCall {
    let method = match (&run.name, link.config.router.route(run.route)) {
        (Some(name), _) => name.to_string(),
        (None, Some(route)) => MethodName::new(&route.service, &route.method).to_string(),
        (None, None) => String::new(),
    };
    CutCall {
        method,
        kind: run.kind,
        ran: now.since(run.since),
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            half_open,
            subscriptions_ended,
            connections_cut,
            calls_cut,
            local_calls_left,
            took,
            ..
        } = self;
        write!(
            f,
            "drained {connections} connections ({half_open} half-open) in {took:?}, \
             {subscriptions_ended} subscriptions ended, {connections_cut} connections and {calls_cut} calls cut"
        )?;
        if *local_calls_left > 0 {
            write!(f, ", {local_calls_left} calls in process left")?;
        }
        for connection in &self.cut {
            write!(f, "\n{connection}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CutConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes not taken", self.peer, self.output_bytes)?;
        if self.calls_waiting > 0 {
            write!(f, ", {} answers awaited", self.calls_waiting)?;
        }
        for call in &self.calls {
            write!(f, ", {call}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CutCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {:?}", self.kind, self.method, self.ran)
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Stream => "stream",
            Self::Notification => "notification",
            Self::Subscription => "subscription",
            Self::Callback => "callback",
            Self::Event => "event",
        })
    }
}
