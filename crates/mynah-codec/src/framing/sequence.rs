//! Values that follow one another and tell themselves where they end.

use super::{Cut, FrameError, Framing, check_len, refuse};
use crate::format::{cbor, json, msgpack};
use crate::{DecodeError, DecodeErrorKind, EncodeError};
use mynah_protocol::DecodeLimits;

/// What a scan makes of an error.
fn error(error: DecodeError, arrived: usize, limits: &DecodeLimits) -> FrameError {
    match error.kind() {
        DecodeErrorKind::TooLarge => FrameError::TooLarge {
            len: arrived as u64,
            limit: limits.max_message_bytes,
        },
        _ => FrameError::Value(error),
    }
}

/// What is sent has to be one value, or the other side would cut elsewhere.
fn check(
    scanned: Result<(), DecodeError>,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), EncodeError> {
    match scanned {
        Ok(()) => Ok(()),
        Err(error) => refuse(out, start, &format!("not one value: {error}")),
    }
}

/// A CBOR sequence (RFC 8742): values with nothing between them.
#[derive(Debug)]
pub struct CborSequence {
    limits: DecodeLimits,
    scanner: cbor::Scanner,
}

impl CborSequence {
    /// Values within the limits.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self {
            limits,
            scanner: cbor::Scanner::new(limits),
        }
    }
}

impl Framing for CborSequence {
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError> {
        match self.scanner.advance(input) {
            Ok(cbor::Scan::Need(more)) => Ok(Cut::Need(more)),
            Ok(cbor::Scan::Done(end)) => {
                self.scanner.reset();
                Ok(value(end))
            }
            Err(why) => Err(error(why, input.len(), &self.limits)),
        }
    }

    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
        check_len(out, start, self.limits.max_message_bytes)?;
        let scanned = cbor::scan(out.get(start..).unwrap_or_default(), &self.limits);
        check(scanned, out, start)
    }
}

/// Values of MessagePack with nothing between them.
#[derive(Debug)]
pub struct MessagePackSequence {
    limits: DecodeLimits,
    scanner: msgpack::Scanner,
}

impl MessagePackSequence {
    /// Values within the limits.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self {
            limits,
            scanner: msgpack::Scanner::new(limits),
        }
    }
}

impl Framing for MessagePackSequence {
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError> {
        match self.scanner.advance(input) {
            Ok(msgpack::Scan::Need(more)) => Ok(Cut::Need(more)),
            Ok(msgpack::Scan::Done(end)) => {
                self.scanner.reset();
                Ok(value(end))
            }
            Err(why) => Err(error(why, input.len(), &self.limits)),
        }
    }

    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
        check_len(out, start, self.limits.max_message_bytes)?;
        let scanned = msgpack::scan(out.get(start..).unwrap_or_default(), &self.limits);
        check(scanned, out, start)
    }
}

/// Values of JSON with white space, or nothing, between them; written with a line feed behind each.
///
/// A number that is no part of anything ends at what follows it: at the end of the stream it may be the beginning of a
/// longer one, so it is an error there.
#[derive(Debug)]
pub struct JsonSequence {
    limits: DecodeLimits,
    scanner: json::Scanner,
}

impl JsonSequence {
    /// Values within the limits.
    #[must_use]
    pub fn new(limits: DecodeLimits) -> Self {
        Self {
            limits,
            scanner: json::Scanner::new(&limits),
        }
    }
}

impl Framing for JsonSequence {
    fn cut(&mut self, input: &[u8]) -> Result<Cut, FrameError> {
        match self.scanner.advance(input) {
            Ok(json::Scan::Need(more)) => Ok(Cut::Need(more)),
            Ok(json::Scan::Blank(blank)) => Ok(Cut::Skip(blank)),
            Ok(json::Scan::Done(end)) => {
                self.scanner.reset();
                Ok(value(end))
            }
            Err(why) => Err(error(why, input.len(), &self.limits)),
        }
    }

    fn enclose(&self, out: &mut Vec<u8>, start: usize) -> Result<(), EncodeError> {
        check_len(out, start, self.limits.max_message_bytes)?;
        let scanned = json::scan(out.get(start..).unwrap_or_default(), &self.limits);
        check(scanned, out, start)?;
        out.push(b'\n');
        Ok(())
    }
}

/// A value without anything around it.
const fn value(end: usize) -> Cut {
    Cut::Frame {
        start: 0,
        content_end: end,
        end,
    }
}
