//! Streams as a program gives and takes them.

mod incoming;
mod open;
mod streaming;

pub use incoming::Incoming;
pub use open::StreamCall;
pub use streaming::Streaming;

use crate::blocking::Feed;
use crate::call::Attachments;
use crate::handler::{Method, Produce};
use mynah_protocol::{ItemBatch, Window};
use std::fmt;
use std::sync::Arc;

/// What goes with a param beside its bytes. Made and used by the macro.
pub struct Attachment(Kind);

enum Kind {
    /// With the iterator behind it, where there is one.
    Input(Box<dyn Produce>, Option<Arc<dyn Feed>>),
    Callback(u64, Arc<dyn Method>),
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Input(..) => "Attachment(stream)",
            Kind::Callback(..) => "Attachment(callback)",
        })
    }
}

impl Attachment {
    pub(crate) fn input(producer: Box<dyn Produce>, feed: Option<Arc<dyn Feed>>) -> Self {
        Self(Kind::Input(producer, feed))
    }

    pub(crate) fn callback(number: u64, method: Arc<dyn Method>) -> Self {
        Self(Kind::Callback(number, method))
    }

    pub(crate) fn add_to(self, attachments: &mut Attachments) {
        match self.0 {
            Kind::Input(producer, feed) => attachments.set_input(producer, feed),
            Kind::Callback(number, method) => attachments.add_callback(number, method),
        }
    }
}

/// Items that came and were not handed out yet.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    at: usize,
    taken: Window,
    /// From so much on it is worth telling what was handed out before the end of the batch, which may hold all that
    /// the sender had credit for.
    worth: Window,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Batch {
    /// Nothing yet. `window`: what the sender may have on its way, where it is to hear of what was taken as early as
    /// that is half of it.
    pub(crate) fn new(window: Option<Window>) -> Self {
        let half = |all: u64| all.div_ceil(2).max(1);
        Self {
            bytes: Vec::new(),
            at: 0,
            taken: Window::ZERO,
            worth: window.map_or(
                Window {
                    items: u64::MAX,
                    bytes: u64::MAX,
                },
                |window| Window {
                    items: half(window.items),
                    bytes: half(window.bytes),
                },
            ),
        }
    }

    /// The next item.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let item = ItemBatch::new(rest).next()?;
        let len = ItemBatch::PREFIX + item.len();
        self.at += len;
        self.taken.items += 1;
        self.taken.bytes += len as u64;
        Some(item)
    }

    /// What was handed out since the last time.
    pub(crate) fn take_taken(&mut self) -> Window {
        std::mem::take(&mut self.taken)
    }

    /// The same before the end of the batch, when it is worth telling.
    #[inline]
    pub(crate) fn take_worthy(&mut self) -> Option<Window> {
        let worthy = self.taken.items >= self.worth.items || self.taken.bytes >= self.worth.bytes;
        worthy.then(|| self.take_taken())
    }

    /// Begins with what `bytes` holds now.
    pub(crate) const fn restart(&mut self) {
        self.at = 0;
    }
}
