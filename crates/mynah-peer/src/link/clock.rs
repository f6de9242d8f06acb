//! The driver's clock.

use mynah_protocol::Moment;
use tokio::time::Instant;

/// Counts from the start of a connection. Follows tokio's clock, so that tests can stop it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        Moment::ZERO.after(Instant::now().saturating_duration_since(self.start))
    }

    /// The instant of a moment, `None` for one that is never reached.
    pub(crate) fn instant(&self, moment: Moment) -> Option<Instant> {
        if moment == Moment::NEVER {
            return None;
        }
        self.start.checked_add(moment.since(Moment::ZERO))
    }
}
