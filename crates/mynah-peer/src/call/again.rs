//! Calls that are sent again: what is known of one, and when its turn comes.

use super::Caller;
use crate::error::CallError;
use mynah_connection::CloseReason;
use mynah_protocol::RpcError;
use std::fmt;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// What a [`Caller`] is told of a call that ended, to say whether it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The contract says that the method may run more than once.
    pub idempotent: bool,
    /// How often the call was sent again already.
    pub number: u32,
}

impl Attempt {
    /// Of a subscription, which ends with its connection: to make it again runs nothing twice.
    pub(crate) const fn of_subscription() -> Self {
        Self {
            idempotent: true,
            number: 0,
        }
    }
}

/// What is kept of a call that is sent again. Nothing for all others.
#[derive(Default)]
pub(crate) struct Again {
    number: u32,
    /// Why an earlier connection ended, when the request had left on it.
    may_have_run: Option<CloseReason>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Again {
    /// Asks the caller whether a call that ended with `error` is to be sent again, and notes it.
    #[cold]
    pub(crate) fn ask(
        this: &mut Option<Box<Self>>,
        caller: &impl Caller,
        error: &CallError<RpcError>,
        idempotent: bool,
    ) -> bool {
        let number = this.as_ref().map_or(0, |again| again.number);
        let attempt = Attempt { idempotent, number };
        let Some(delay) = caller.send_again(error, attempt) else {
            return false;
        };
        let again = this.get_or_insert_default();
        again.number = again.number.saturating_add(1);
        if let CallError::Indeterminate(reason) = error {
            again.may_have_run = Some(reason.clone());
        }
        again.pause = (delay > Duration::ZERO).then(|| Box::pin(tokio::time::sleep(delay)));
        true
    }

    /// Waits until the call may be sent again.
    pub(crate) fn poll_pause(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// How the call ended for good: what may have run on an earlier connection is not said to have never left.
    pub(crate) fn settle<E>(this: &mut Option<Box<Self>>, error: CallError<E>) -> CallError<E> {
        let earlier = this.take().and_then(|again| again.may_have_run);
        match (error, earlier) {
            (CallError::Disconnected(_), Some(reason)) => CallError::Indeterminate(reason),
            (error, _) => error,
        }
    }
}
