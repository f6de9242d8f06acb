//! Both ends of a stream, by totals: no credit is ever subtracted.

use mynah_protocol::Window;
use std::collections::VecDeque;

fn plus(one: Window, other: Window) -> Window {
    Window {
        items: one.items + other.items,
        bytes: one.bytes + other.bytes,
    }
}

/// What is left of bytes that were granted; below zero when more came.
fn left(granted: u64, used: u64) -> i64 {
    let signed = |bytes: u64| i64::try_from(bytes).expect("small");
    signed(granted) - signed(used)
}

/// Where a stream is sent.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    granted: Window,
    sent: Window,
}

impl Feed {
    pub(crate) fn new(granted: Window) -> Self {
        let sent = Window::ZERO;
        Self { granted, sent }
    }

    pub(crate) fn grant(&mut self, more: Window) {
        self.granted = plus(self.granted, more);
    }

    /// Whether the first credit has come.
    pub(crate) fn is_open(&self) -> bool {
        self.granted != Window::ZERO
    }

    /// Items and bytes that may be sent; bytes may be below zero.
    pub(crate) fn credit(&self) -> (u64, i64) {
        let bytes = left(self.granted.bytes, self.sent.bytes);
        (self.granted.items - self.sent.items, bytes)
    }

    pub(crate) fn left(&self) -> Option<Window> {
        let (items, bytes) = self.credit();
        let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
        (items > 0).then_some(Window { items, bytes })
    }

    /// A batch of items of so many bytes each, as many as are wanted and allowed.
    pub(crate) fn batch(&mut self, wanted: u64, size: u64) -> Option<Window> {
        let left = self.left()?;
        // The last item may take more bytes than are left.
        let items = wanted.min(left.items).min(left.bytes.div_ceil(size));
        let batch = Window {
            items,
            bytes: items * size,
        };
        self.sent = plus(self.sent, batch);
        Some(batch)
    }
}

/// Where a stream is received.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    window: Window,
    came: Window,
    taken: Window,
    returned: Window,
    /// The bytes of each item that waits.
    waiting: VecDeque<u64>,
    pub(crate) stopped: bool,
}

impl Intake {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            ..Self::default()
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.window != Window::ZERO
    }

    /// Grants the first credit. `None` when that was done, or nobody takes items any more.
    pub(crate) fn open(&mut self, window: Window) -> Option<Window> {
        if self.is_open() || self.stopped {
            return None;
        }
        self.window = window;
        Some(window)
    }

    /// Items and bytes that may still come; bytes may be below zero.
    pub(crate) fn credit(&self) -> (u64, i64) {
        let granted = plus(self.window, self.returned);
        let bytes = left(granted.bytes, self.came.bytes);
        (granted.items - self.came.items, bytes)
    }

    pub(crate) fn arrive(&mut self, count: u64, bytes: u64) {
        let (items_left, bytes_left) = self.credit();
        assert!(count <= items_left && bytes_left > 0, "without credit");
        let came = Window {
            items: count,
            bytes,
        };
        self.came = plus(self.came, came);
        let each = bytes / count;
        self.waiting.extend((0..count).map(|_| each));
        assert_eq!(each * count, bytes);
    }

    /// The program takes items. What it took, and the credit that is to go out for it.
    pub(crate) fn take(&mut self, count: usize) -> (Window, Option<Window>) {
        let count = count.min(self.waiting.len());
        let taken = Window {
            items: count as u64,
            bytes: self.waiting.drain(..count).sum(),
        };
        self.taken = plus(self.taken, taken);
        let more = self.unreturned();
        let half = |part: u64, whole: u64| part > 0 && part * 2 >= whole;
        let due = half(more.items, self.window.items) || half(more.bytes, self.window.bytes);
        if !due || self.stopped {
            return (taken, None);
        }
        self.returned = plus(self.returned, more);
        (taken, Some(more))
    }

    /// What was taken and not granted again.
    pub(crate) fn unreturned(&self) -> Window {
        Window {
            items: self.taken.items - self.returned.items,
            bytes: self.taken.bytes - self.returned.bytes,
        }
    }

    /// What waits for the program.
    pub(crate) fn held(&self) -> Window {
        Window {
            items: self.came.items - self.taken.items,
            bytes: self.came.bytes - self.taken.bytes,
        }
    }

    /// Never more than the window and the batch that went beyond it.
    pub(crate) fn check(&self, largest_batch: u64) {
        let held = self.held();
        assert!(held.items <= self.window.items, "items beyond the window");
        assert!(
            held.bytes < self.window.bytes + largest_batch || held.bytes == 0,
            "bytes beyond the window"
        );
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }
}
