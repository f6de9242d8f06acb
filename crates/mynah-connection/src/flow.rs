//! Credit of one stream, at either end.

use mynah_protocol::Window;

/// What the sender of a stream may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    items: u64,
    /// Below zero when the last batch took more than was left.
    bytes: i64,
    /// Items that were sent and for which no credit came back.
    unreturned: u64,
    /// Credits that may come for nothing.
    credits: u64,
}

/// More credit than any receiver means.
const MAX_CREDIT: u64 = 1 << 40;

/// Credits that an item is worth: some receivers grant each item by itself, and its bytes apart.
const CREDITS_OF_AN_ITEM: u64 = 2;

/// Credits beyond those: the first one, and windows that grow.
const SPARE_CREDITS: u64 = 4;

impl Sender {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            items: window.items.min(MAX_CREDIT),
            bytes: signed(window.bytes.min(MAX_CREDIT)),
            unreturned: 0,
            credits: SPARE_CREDITS,
        }
    }

    /// The receiver takes more. `false` when it says so more often than it took anything.
    pub(crate) fn add(&mut self, more: Window) -> bool {
        self.items = self.items.saturating_add(more.items).min(MAX_CREDIT);
        self.bytes = self
            .bytes
            .saturating_add(signed(more.bytes))
            .min(signed(MAX_CREDIT));
        self.unreturned = self.unreturned.saturating_sub(more.items);
        let left = self.credits.checked_sub(1);
        self.credits = left.unwrap_or(0);
        left.is_some()
    }

    /// Credits that may still come once the stream is over: they cross its end.
    pub(crate) fn late_credits(&self) -> u64 {
        let worth = self.unreturned.saturating_mul(CREDITS_OF_AN_ITEM);
        worth.saturating_add(SPARE_CREDITS).min(self.credits)
    }

    /// What may be sent now; `None` when credit of either kind is used up.
    pub(crate) fn left(&self) -> Option<Window> {
        let bytes = u64::try_from(self.bytes).ok().filter(|bytes| *bytes > 0)?;
        (self.items > 0).then_some(Window {
            items: self.items,
            bytes,
        })
    }

    pub(crate) fn take(&mut self, sent: Window) {
        self.items = self.items.saturating_sub(sent.items);
        self.bytes = self.bytes.saturating_sub(signed(sent.bytes));
        self.unreturned = self.unreturned.saturating_add(sent.items);
        let worth = sent.items.saturating_mul(CREDITS_OF_AN_ITEM);
        self.credits = self.credits.saturating_add(worth);
    }

    /// Items and bytes that may be sent; bytes may be below zero.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn credit(&self) -> (u64, i64) {
        (self.items, self.bytes)
    }
}

/// What the receiver of a stream has granted, and what came back from its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receiver {
    window: Window,
    /// What the sender may still send.
    items: u64,
    bytes: i64,
    /// What the program has taken since the last credit went out.
    taken: Window,
    /// Nobody takes items any more: what still comes is let go.
    stopped: bool,
}

impl Receiver {
    /// The sender knows its first credit already.
    pub(crate) fn granted(window: Window) -> Self {
        Self {
            items: window.items,
            bytes: signed(window.bytes),
            ..Self::waiting(window)
        }
    }

    /// The sender waits for its first credit, of so much.
    pub(crate) const fn waiting(window: Window) -> Self {
        Self {
            window,
            items: 0,
            bytes: 0,
            taken: Window::ZERO,
            stopped: false,
        }
    }

    /// Grants the first credit. `None` when that was done.
    pub(crate) fn open(&mut self, window: Window) -> Option<Window> {
        if self.window != Window::ZERO || self.stopped {
            return None;
        }
        *self = Self::granted(window);
        Some(window)
    }

    /// Items arrived. `false` when the sender had no credit for them.
    pub(crate) fn arrive(&mut self, came: Window) -> bool {
        if self.items < came.items || self.bytes <= 0 {
            return false;
        }
        self.items -= came.items;
        self.bytes = self.bytes.saturating_sub(signed(came.bytes));
        true
    }

    /// The program took items. Returns the credit that is worth sending now, if any.
    pub(crate) fn take(&mut self, taken: Window) -> Option<Window> {
        self.taken.items = self.taken.items.saturating_add(taken.items);
        self.taken.bytes = self.taken.bytes.saturating_add(taken.bytes);
        let half = |taken: u64, window: u64| taken.saturating_mul(2) >= window && taken > 0;
        if self.stopped
            || !half(self.taken.items, self.window.items)
                && !half(self.taken.bytes, self.window.bytes)
        {
            return None;
        }
        let more = std::mem::take(&mut self.taken);
        self.items = self.items.saturating_add(more.items);
        self.bytes = self.bytes.saturating_add(signed(more.bytes));
        Some(more)
    }

    /// Nobody takes items any more. `false` when that was known.
    pub(crate) const fn stop(&mut self) -> bool {
        !std::mem::replace(&mut self.stopped, true)
    }

    pub(crate) const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Items that the sender may still send.
    pub(crate) const fn outstanding(&self) -> u64 {
        self.items
    }

    /// Items and bytes that the sender may still send; bytes may be below zero.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn credit(&self) -> (u64, i64) {
        (self.items, self.bytes)
    }

    /// `held` waits for the program. With what was taken and not granted again and what is outstanding it is the whole
    /// window.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn conserved(&self, held: Window) -> bool {
        self.items + held.items + self.taken.items == self.window.items
            && self.bytes + signed(held.bytes) + signed(self.taken.bytes)
                == signed(self.window.bytes)
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
