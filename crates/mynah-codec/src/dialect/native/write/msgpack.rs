//! A head in MessagePack.

use super::Head;
use crate::format::msgpack::head::{self, Measured, NIL};
use crate::{EncodeError, Format};
use mynah_protocol::Value;

/// Everything as short as it can be.
pub(super) struct MsgpackHead<'o> {
    pub(super) out: &'o mut Vec<u8>,
}

impl Head for MsgpackHead<'_> {
    #[inline]
    fn begin(&mut self, len: u8) {
        head::measured(self.out, Measured::Array, len.into());
    }

    #[inline]
    fn uint(&mut self, value: u64) {
        head::uint(self.out, value);
    }

    fn int(&mut self, value: i64) {
        head::int(self.out, value);
    }

    #[inline]
    fn text(&mut self, value: &str) {
        // A text of 4 GiB has no head here; its frame is refused for its size in any case.
        head::measured(self.out, Measured::Text, value.len());
        self.out.extend_from_slice(value.as_bytes());
    }

    fn null(&mut self) {
        self.out.push(NIL);
    }

    fn value(&mut self, value: &Value) -> Result<(), EncodeError> {
        Format::MessagePack.encode(value, self.out)
    }

    #[inline]
    fn end(&mut self) -> &mut Vec<u8> {
        self.out
    }
}
