//! What to do about errors.

use crate::random::jittered;
use redis::RedisError;
use std::time::Duration;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// The connection is of no use any more.
    Reconnect,
    /// The same may work after a while.
    Wait,
    /// The group or the stream is gone.
    CreateGroup,
    /// It will not work.
    None,
}

pub(crate) fn cure(error: &RedisError) -> Cure {
    match error.code() {
        Some("NOGROUP" | "UNBLOCKED") => return Cure::CreateGroup,
        Some(
            "LOADING" | "OOM" | "MISCONF" | "BUSY" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN"
            | "ASK" | "NOREPLICAS",
        ) => return Cure::Wait,
        // A failover: whoever was the primary is not.
        Some("READONLY" | "MOVED" | "CROSSSLOT") => return Cure::Reconnect,
        Some("EXECABORT") => return Cure::None,
        Some(_) => {}
        None => return Cure::Reconnect,
    }
    if error.is_unrecoverable_error() || error.is_io_error() {
        return Cure::Reconnect;
    }
    Cure::None
}

/// Pauses between attempts.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(crate) const fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// It works again.
    pub(crate) const fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(Self::LONGEST);
        pause
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
