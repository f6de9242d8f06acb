//! Streams of a call, in either direction.

use crate::{Payload, RpcError, WireId};
use alloc::boxed::Box;

/// What a receiver of a stream is ready to take: items, and bytes of them.
///
/// A sender may send while it has a credit of both; the last batch may take more bytes than are left, so that an item
/// larger than the window passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Window {
    /// How many items.
    pub items: u64,
    /// How many bytes of items, each with [`ItemBatch::PREFIX`] bytes for its length.
    pub bytes: u64,
}

impl Window {
    /// Nothing.
    pub const ZERO: Self = Self { items: 0, bytes: 0 };

    /// Whether it lets nothing through.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.items == 0 && self.bytes == 0
    }
}

/// The streams that belong to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Streams {
    /// Present when the caller wants a stream of results: what it takes at first.
    pub window: Option<Window>,
    /// Whether the caller has a stream of its own to send.
    pub input: bool,
    /// Whether functions of the caller are among the params: for carriers, which choose a way by it. No wire of bytes says
    /// it, and no receiver relies on it.
    pub callbacks: bool,
}

impl Streams {
    /// A plain call.
    pub const NONE: Self = Self {
        window: None,
        input: false,
        callbacks: false,
    };

    /// Whether no stream goes with the call, in either direction.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.window.is_none() && !self.input
    }
}

/// Which stream of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamSide {
    /// From the side that answers to the side that called.
    Result,
    /// From the side that called to the side that answers.
    Input,
}

/// Items of a stream of a call, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Items<'a> {
    /// The call.
    pub id: WireId,
    /// Which of its streams.
    pub stream: StreamSide,
    /// How many items there are in the batch.
    pub count: u64,
    /// The items, laid out as [`ItemBatch`] says. The format is that of each item.
    pub batch: Payload<'a>,
}

/// An input stream of a call has ended. A stream of results ends with the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct InputEnd {
    /// The call.
    pub id: WireId,
    /// `None`: it came to its end in order.
    pub error: Option<Box<RpcError>>,
}

/// The receiver of a stream takes more.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    /// The call.
    pub id: WireId,
    /// Which of its streams.
    pub stream: StreamSide,
    /// How much more.
    pub more: Window,
}

/// The receiver of an input stream takes no more of it. A stream of results is stopped by cancelling its call.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// The call.
    pub id: WireId,
}

/// Encoded items one behind the other, each after its length as 32 bits, big-endian.
#[derive(Clone, Copy, Debug)]
pub struct ItemBatch<'a> {
    rest: &'a [u8],
}

impl<'a> ItemBatch<'a> {
    /// Bytes of the length before each item.
    pub const PREFIX: usize = 4;

    /// Reads the items of a batch.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many items there are, `None` when the lengths do not add up.
    #[must_use]
    pub fn count(bytes: &[u8]) -> Option<u64> {
        let mut batch = ItemBatch::new(bytes);
        let mut count = 0;
        while batch.next().is_some() {
            count += 1;
        }
        batch.rest.is_empty().then_some(count)
    }
}

impl<'a> Iterator for ItemBatch<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<{ ItemBatch::PREFIX }>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (item, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_item_by_item() {
        let bytes = [0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 2, 8, 9];
        let items: alloc::vec::Vec<_> = ItemBatch::new(&bytes).collect();
        assert_eq!(items, [&[7][..], &[], &[8, 9]]);
        assert_eq!(ItemBatch::count(&bytes), Some(3));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_seen() {
        for bytes in [
            &[0, 0, 0][..],
            &[0, 0, 0, 2, 1],
            &[0xff, 0xff, 0xff, 0xff, 1],
            &[0, 0, 0, 1, 7, 0],
        ] {
            assert_eq!(ItemBatch::count(bytes), None, "{bytes:?}");
        }
        assert_eq!(ItemBatch::count(&[]), Some(0));
    }
}
