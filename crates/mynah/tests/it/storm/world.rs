//! What a storm knows: how it may end, who is alive, what went wrong.

use mynah::{By, CallError, CloseReason, EndReason, ErrorCode, RpcError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// What the handler of one call does. It travels as a param.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Unique in its storm.
    pub(crate) op: u64,
    pub(crate) yields: u32,
    pub(crate) sleep_ms: u64,
    pub(crate) progress: u64,
    pub(crate) logs: u64,
    pub(crate) shield: bool,
    pub(crate) outcome: Outcome,
    /// Items, or rounds of a callback.
    pub(crate) count: u64,
    /// Letters of an item.
    pub(crate) letters: u64,
    /// What is taken of a stream; `None`: all.
    pub(crate) take: Option<u64>,
    /// A call back, before the outcome.
    pub(crate) back: Option<Box<Plan>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Fine,
    Fails,
    Panics,
}

#[derive(Clone, Debug, PartialEq, Eq, mynah::DomainError)]
pub(crate) enum Planned {
    #[error(code = 7)]
    Failure { op: u64 },
    /// The stream that came with the call did not come to its end.
    #[error(code = 8)]
    Input,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) text: String,
}

pub(crate) fn text(number: u64, letters: u64) -> String {
    let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
    letter.to_string().repeat(usize::try_from(letters).unwrap())
}

/// A panic that prints nothing.
pub(crate) fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("planned"));
}

/// One storm.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The connection was ended, is going to, or may by now.
    pub(crate) ended: Arc<AtomicBool>,
    pub(crate) draining: AtomicBool,
    /// Calls of either side may be refused because there are too many.
    pub(crate) crowded: bool,
    /// The number of the operation that comes next.
    pub(super) next_op: AtomicU64,
    pub(super) token: Mutex<Arc<()>>,
    pub(super) runs: Mutex<HashMap<u64, u64>>,
    pub(crate) wrong: Mutex<Vec<String>>,
    /// Everything that happened, in short: equal for equal seeds.
    pub(super) digest: AtomicU64,
    /// What is being done, by operation: for storms that come to rest too early.
    pub(crate) doing: Mutex<BTreeMap<u64, String>>,
}

impl World {
    pub(crate) fn op(&self) -> u64 {
        self.next_op.fetch_add(1, Ordering::SeqCst)
    }

    /// Lives as long as a handler, a stream, or a callback.
    pub(crate) fn alive(&self) -> Arc<()> {
        Arc::clone(&self.token.lock().unwrap())
    }

    pub(crate) fn living(&self) -> usize {
        Arc::strong_count(&self.token.lock().unwrap()) - 1
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst) || self.draining.load(Ordering::SeqCst)
    }

    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    pub(crate) fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong(what());
        }
    }

    /// A handler begins. No call may run twice.
    pub(crate) fn runs(&self, plan: &Plan) -> Arc<()> {
        let mut runs = self.runs.lock().unwrap();
        let times = runs.entry(plan.op).or_default();
        *times += 1;
        self.check(*times == 1, || format!("{plan:?} runs {times} times"));
        drop(runs);
        self.alive()
    }

    pub(crate) fn has_run(&self, op: u64) -> bool {
        self.runs.lock().unwrap().contains_key(&op)
    }

    /// Adds something to the digest.
    pub(crate) fn note(&self, what: &str) {
        let mut hash = self.digest.load(Ordering::SeqCst);
        for byte in what.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.digest.store(hash, Ordering::SeqCst);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.load(Ordering::SeqCst)
    }
}

/// What may become of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Legal {
    pub(crate) outcome: Outcome,
    /// No earlier than this, `None`: never.
    pub(crate) deadline: Option<Instant>,
    /// Its input may break.
    pub(crate) input_breaks: bool,
}

impl World {
    /// Whether a call may end like this.
    pub(crate) fn judge<E: Debug + IsPlanned>(
        &self,
        what: &impl Debug,
        error: &CallError<E>,
        legal: Legal,
    ) {
        let ended = self.ended.load(Ordering::SeqCst);
        let draining = self.draining.load(Ordering::SeqCst);
        let late = legal
            .deadline
            .is_some_and(|at| at <= Instant::now() + Duration::from_millis(5));
        let fine = match error {
            CallError::Application(error) if error.is_code(ErrorCode::DRAINING) => draining,
            CallError::Application(error) => {
                error.is_planned(legal) || error.is_code(ErrorCode::CANCELLED) && ended
            }
            CallError::Remote(error) => match error.code() {
                ErrorCode::INTERNAL => legal.outcome == Outcome::Panics,
                ErrorCode::DRAINING => draining,
                _ => false,
            },
            CallError::Deadline => late,
            CallError::Busy { .. } => self.crowded,
            CallError::Disconnected(reason) | CallError::Indeterminate(reason) => {
                self.may_end(reason) && (ended || draining)
            }
            CallError::Cancelled(by) => *by == By::Callee && ended,
            _ => false,
        };
        self.check(fine, || {
            format!(
                "{what:?} ended with {error:?} ({legal:?}, ended: {ended}, draining: {draining})"
            )
        });
        self.note(&format!("{error:?}"));
    }

    /// Whether a connection may end like this. Never for a breach of the protocol.
    pub(crate) fn may_end(&self, reason: &CloseReason) -> bool {
        !matches!(reason, CloseReason::Violation(..)) && self.is_over()
    }

    /// Whether a stream from the other side may end like this.
    pub(crate) fn judge_end(&self, what: &impl Debug, reason: &EndReason, panics: bool) {
        let fine = match reason {
            EndReason::Error(error) => panics && error.code() == ErrorCode::INTERNAL,
            EndReason::PeerGone | EndReason::Draining => self.is_over(),
            // The handler outlives its call for a moment, or under a shield.
            EndReason::Cancelled(_) | EndReason::Deadline => true,
            _ => false,
        };
        self.check(fine, || {
            format!("the stream of {what:?} ended with {reason:?}")
        });
    }
}

/// Errors of handlers that were planned.
pub(crate) trait IsPlanned {
    fn is_planned(&self, legal: Legal) -> bool;
    fn is_code(&self, code: ErrorCode) -> bool;
}

impl IsPlanned for Planned {
    fn is_planned(&self, legal: Legal) -> bool {
        match self {
            Self::Failure { .. } => legal.outcome == Outcome::Fails,
            Self::Input => legal.input_breaks,
        }
    }

    fn is_code(&self, _code: ErrorCode) -> bool {
        false
    }
}

impl IsPlanned for RpcError {
    fn is_planned(&self, legal: Legal) -> bool {
        let code = self.code();
        match legal.outcome {
            Outcome::Fine => false,
            Outcome::Fails => code == ErrorCode::application(9),
            Outcome::Panics => code == ErrorCode::INTERNAL,
        }
    }

    fn is_code(&self, code: ErrorCode) -> bool {
        self.code() == code
    }
}

impl IsPlanned for std::convert::Infallible {
    fn is_planned(&self, _legal: Legal) -> bool {
        match *self {}
    }

    fn is_code(&self, _code: ErrorCode) -> bool {
        match *self {}
    }
}
