//! Buffers of the thread: lent for one step, never held over an await.

use crate::encoded::{EncodedBuffer, ReplyBuffer};
use bytes::BytesMut;
use mynah_codec::OutputChunk;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::thread::LocalKey;

/// What a thread keeps of a buffer that has grown.
pub(crate) const KEEP_BYTES: usize = 64 << 10;
/// How many buffers a thread keeps of each kind.
const KEEP_BUFFERS: usize = 8;
/// Bytes of a read buffer.
pub(crate) const READ_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static LARGE: RefCell<VecDeque<Large>> = const { RefCell::new(VecDeque::new()) };
    static CHUNKS: RefCell<Vec<OutputChunk>> = const { RefCell::new(Vec::new()) };
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

/// How many buffers of large messages a thread remembers, and how many bytes one may have.
const KEEP_LARGE: usize = 4;
const LARGEST: usize = 4 << 20;

/// The memory of a large message that may still be in use.
struct Large {
    bytes: usize,
    /// Empty; it shares the memory, and has it to itself once the message is gone.
    handle: BytesMut,
}

impl Large {
    /// The memory, while a handle to it stays here.
    fn lend(&mut self) -> BytesMut {
        let mut memory = std::mem::take(&mut self.handle);
        self.handle = memory.split_off(memory.capacity().saturating_sub(1));
        memory
    }
}

/// Room for a large message where one was before. Fresh memory costs a fault for each of its pages, and the
/// allocator gives it back to the system when the message is gone: time in which nothing else on the connection
/// moves.
pub(crate) fn take_large(bytes: usize) -> Option<BytesMut> {
    LARGE.with_borrow_mut(|kept| {
        let fits = |large: &mut Large| large.bytes > bytes && large.handle.try_reclaim(bytes + 1);
        let place = kept.iter_mut().position(fits)?;
        kept.get_mut(place).map(Large::lend)
    })
}

/// Remembers the memory of a large message, in place of what was remembered first.
pub(crate) fn keep_large(message: &mut BytesMut) {
    let bytes = message.capacity();
    if bytes > LARGEST {
        return;
    }
    let handle = message.split_off(bytes.saturating_sub(1));
    LARGE.with_borrow_mut(|kept| {
        if kept.len() == KEEP_LARGE {
            kept.pop_front();
        }
        kept.push_back(Large { bytes, handle });
    });
}

/// Buffers for frames that are to be written, empty.
pub(crate) fn take_chunk() -> OutputChunk {
    let spare = CHUNKS.try_with(|kept| kept.borrow_mut().pop());
    spare.ok().flatten().unwrap_or_default()
}

/// Gives such buffers back; what has grown is let go.
pub(crate) fn return_chunk(mut chunk: OutputChunk) {
    chunk.clear(KEEP_BYTES);
    // A thread that ends keeps nothing.
    let _gone = CHUNKS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEEP_BUFFERS {
            kept.push(chunk);
        }
    });
}

/// What a thread keeps for whoever needs it next.
pub(crate) type Shelf<T> = RefCell<Vec<Box<T>>>;

/// Something that a connection holds only while it has something to do.
pub(crate) trait Lend: Default + 'static {
    /// Where a thread keeps what is not in use.
    fn shelf() -> &'static LocalKey<Shelf<Self>>;

    /// Whether nothing is in it, so that another connection may have it.
    fn is_spent(&mut self) -> bool;
}

/// A loan: taken when it is first needed, given back when there is nothing in it.
pub(crate) struct Lease<T>(Option<Box<T>>);

impl<T> Default for Lease<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Held" } else { "None" })
    }
}

impl<T: Lend> Lease<T> {
    /// What is held, or a spare one of this thread, or a new one.
    #[inline]
    pub(crate) fn get(&mut self) -> &mut T {
        self.0.get_or_insert_with(take)
    }

    /// What is held, if anything is.
    #[inline]
    pub(crate) fn held(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// Gives back what is held, unless something is in it.
    #[inline]
    pub(crate) fn give_back(&mut self) {
        if let Some(held) = self.0.take_if(|held| held.is_spent()) {
            // A thread that ends keeps nothing.
            let _gone = T::shelf().try_with(|shelf| {
                let mut shelf = shelf.borrow_mut();
                if shelf.len() < KEEP_BUFFERS {
                    shelf.push(held);
                }
            });
        }
    }
}

// Apart, so that the check before it is worth inlining.
#[inline(never)]
fn take<T: Lend>() -> Box<T> {
    let spare = T::shelf().try_with(|shelf| shelf.borrow_mut().pop());
    spare.ok().flatten().unwrap_or_default()
}
