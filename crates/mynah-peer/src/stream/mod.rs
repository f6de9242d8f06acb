//! Streams as a program gives and takes them.

mod incoming;
mod open;
mod streaming;

pub use incoming::Incoming;
pub use open::StreamCall;
pub use streaming::Streaming;

use crate::call::Attachments;
use crate::handler::{Method, Produce};
use std::fmt;
use std::sync::Arc;

/// What goes with a param beside its bytes. Made and used by the macro.
pub struct Attachment(Kind);

enum Kind {
    Input(Box<dyn Produce>),
    Callback(u64, Arc<dyn Method>),
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Input(_) => "Attachment(stream)",
            Kind::Callback(..) => "Attachment(callback)",
        })
    }
}

impl Attachment {
    pub(crate) fn input(producer: Box<dyn Produce>) -> Self {
        Self(Kind::Input(producer))
    }

    pub(crate) fn callback(number: u64, method: Arc<dyn Method>) -> Self {
        Self(Kind::Callback(number, method))
    }

    pub(crate) fn add_to(self, attachments: &mut Attachments) {
        match self.0 {
            Kind::Input(producer) => attachments.set_input(producer),
            Kind::Callback(number, method) => attachments.add_callback(number, method),
        }
    }
}

/// Items that came and were not handed out yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    at: usize,
    taken: mynah_protocol::Window,
}

impl Batch {
    /// The next item.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let item = mynah_protocol::ItemBatch::new(rest).next()?;
        let len = mynah_protocol::ItemBatch::PREFIX + item.len();
        self.at += len;
        self.taken.items += 1;
        self.taken.bytes += len as u64;
        Some(item)
    }

    /// What was handed out since the last time.
    pub(crate) fn take_taken(&mut self) -> mynah_protocol::Window {
        std::mem::take(&mut self.taken)
    }

    /// Begins with what `bytes` holds now.
    pub(crate) const fn restart(&mut self) {
        self.at = 0;
    }
}
