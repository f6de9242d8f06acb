//! When something is due next.

use mynah_protocol::Moment;

/// The earliest moment at which something may be due.
///
/// A lower bound: entries that ended early leave it where it is, and the sweep that it causes
/// finds the true next one. So a call costs one comparison and no timer.
#[derive(Debug)]
pub(crate) struct Due(Moment);

impl Due {
    pub(crate) const fn never() -> Self {
        Self(Moment::NEVER)
    }

    pub(crate) fn add(&mut self, at: Moment) {
        self.0 = self.0.min(at);
    }

    pub(crate) const fn at(&self) -> Moment {
        self.0
    }

    /// Whether a sweep is due; if so, forgets the bound for the sweep to set it anew.
    pub(crate) fn take(&mut self, now: Moment) -> bool {
        let due = self.0 <= now;
        if due {
            self.0 = Moment::NEVER;
        }
        due
    }
}
