//! Streams of the user that are sent: results of a method, and the input of a call.

use super::panicked;
use mynah_codec::{EncodeError, Format};
use mynah_protocol::{ErrorCode, ItemBatch, RpcError};
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{self, Poll};

/// How far a stream came.
pub(crate) enum Progress {
    /// It has no item now, and wakes its task when it has.
    Waiting,
    /// It was stopped at a limit; there may be more.
    More,
    Ended(Result<(), Box<RpcError>>),
}

/// A stream of items of types that are known only inside.
pub(crate) trait Produce: Send {
    /// Polls for items and appends each with its length before it: at most `items`, and none once `bytes` were
    /// appended. Returns how many. Not called again after the end.
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress);

    /// This side drains. Returns whether the stream ends because of it, and is to be polled.
    fn drain(&mut self) -> bool {
        false
    }
}

/// Polls for items and appends them, as [`Produce::produce`] says. What panics ends the stream, and leaves the items
/// before it.
pub(crate) fn fill<T: Serialize>(
    items: u64,
    bytes: usize,
    format: Format,
    out: &mut Vec<u8>,
    mut next: impl FnMut() -> Poll<Option<Result<T, Box<RpcError>>>>,
) -> (u64, Progress) {
    let limit = out.len().saturating_add(bytes);
    let mut count = 0;
    let mut whole = out.len();
    let produced = catch_unwind(AssertUnwindSafe(|| {
        while count < items && out.len() < limit {
            match next() {
                Poll::Pending => return Progress::Waiting,
                Poll::Ready(None) => return Progress::Ended(Ok(())),
                Poll::Ready(Some(Err(error))) => return Progress::Ended(Err(error)),
                Poll::Ready(Some(Ok(item))) => {
                    if let Err(error) = append(&item, format, out) {
                        return Progress::Ended(Err(error));
                    }
                    count += 1;
                    whole = out.len();
                }
            }
        }
        Progress::More
    }));
    let progress = produced.unwrap_or_else(|payload| {
        out.truncate(whole);
        Progress::Ended(Err(panicked(&*payload)))
    });
    (count, progress)
}

/// Writes one item behind its length.
#[inline]
pub(crate) fn append<T: Serialize + ?Sized>(
    item: &T,
    format: Format,
    out: &mut Vec<u8>,
) -> Result<(), Box<RpcError>> {
    append_with(out, |out| format.encode(item, out))
}

/// The same, with whatever writes the item.
#[inline]
pub(crate) fn append_with(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
) -> Result<(), Box<RpcError>> {
    let start = out.len();
    out.extend_from_slice(&[0; ItemBatch::PREFIX]);
    let written = write(out);
    if let Err(error) = written {
        out.truncate(start);
        let error = RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
        return Err(Box::new(error));
    }
    let len = u32::try_from(out.len() - start - ItemBatch::PREFIX);
    let prefix = out
        .get_mut(start..)
        .and_then(|item| item.first_chunk_mut::<{ ItemBatch::PREFIX }>());
    match (len, prefix) {
        (Ok(len), Some(prefix)) => {
            *prefix = len.to_be_bytes();
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(Box::new(RpcError::from_code(ErrorCode::TOO_LARGE)))
        }
    }
}
