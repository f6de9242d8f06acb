//! Buffers of the thread: lent for one step, never held over an await.

use crate::encoded::{EncodedBuffer, ReplyBuffer};
use std::cell::RefCell;

/// What a thread keeps of a buffer that has grown.
pub(crate) const KEEP_BYTES: usize = 64 << 10;
/// How many buffers a thread keeps of each kind.
const KEEP_BUFFERS: usize = 8;
/// Bytes of a read buffer.
pub(crate) const READ_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with an empty buffer of this thread. Code of the user may run inside, and may come
/// back here: it finds another buffer.
#[inline]
pub(crate) fn with<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = work(&mut buffer);
    if buffer.capacity() <= KEEP_BYTES {
        buffer.clear();
        SCRATCH.with_borrow_mut(|kept| {
            if kept.len() < KEEP_BUFFERS {
                kept.push(buffer);
            }
        });
    }
    result
}

/// The same with a place for large parts of what is encoded.
#[inline]
pub(crate) fn with_encoded<R>(work: impl FnOnce(&mut EncodedBuffer) -> R) -> R {
    with(|buffer| {
        let mut encoded = EncodedBuffer::over(std::mem::take(buffer));
        let result = work(&mut encoded);
        *buffer = encoded.bytes;
        result
    })
}

/// The same as a place for an encoded result.
#[inline]
pub(crate) fn with_reply<R>(work: impl FnOnce(&mut ReplyBuffer) -> R) -> R {
    with(|buffer| {
        let mut reply = ReplyBuffer {
            buffer: std::mem::take(buffer),
            shared: None,
        };
        let result = work(&mut reply);
        *buffer = reply.buffer;
        result
    })
}

/// A buffer of [`READ_BYTES`] bytes, all initialised.
pub(crate) fn take_read_buffer() -> Vec<u8> {
    READ.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| vec![0; READ_BYTES])
}

/// Gives a read buffer back; one that has grown is let go.
pub(crate) fn return_read_buffer(buffer: Vec<u8>) {
    if buffer.len() == READ_BYTES {
        READ.with_borrow_mut(|kept| {
            if kept.len() < KEEP_BUFFERS {
                kept.push(buffer);
            }
        });
    }
}
