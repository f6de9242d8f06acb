//! What wires hold true of any bytes from a peer.

use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};
use mynah_codec::dialect::native::NativeWire;
use mynah_codec::dialect::{Dialect as _, Side};
use mynah_codec::{Output, OutputChunk, Step, Wire};
use mynah_protocol::{ErrorCode, FormatId, Lane, Limits};

/// The native wire, either side and format: the envelopes do not depend on how the bytes arrive.
///
/// The first byte says which side reads, in which format, and whether the peer begins as it must;
/// the second, in how many bytes at a time the rest arrives.
pub fn native(bytes: &[u8]) {
    let Some((choice, size, rest)) = split_off(bytes) else {
        return;
    };
    let limits = limits();
    let format = match choice & 9 {
        0 => FormatId::Cbor,
        1 => FormatId::Json,
        _ => FormatId::MessagePack,
    };
    let dials = choice & 2 == 0;
    let dial = || Box::new(NativeWire::dial(format, &limits));
    let accept = || Box::new(NativeWire::accept(&limits));
    let (reader, peer): (&dyn Fn() -> Box<dyn Wire>, Box<dyn Wire>) = if dials {
        (&|| dial(), accept())
    } else {
        (&|| accept(), dial())
    };
    let mut input = if choice & 4 == 0 {
        opening(peer)
    } else {
        Vec::new()
    };
    input.extend_from_slice(rest);
    check(reader, &input, size);
}

/// The wire of cbor-rpc in CBOR or JSON: the envelopes do not depend on how the bytes arrive.
pub fn cbor_rpc(bytes: &[u8]) {
    let Some((choice, size, input)) = split_off(bytes) else {
        return;
    };
    let limits = limits();
    let dialect = if choice & 1 == 0 {
        CborRpc::cbor()
    } else {
        CborRpc::json(Padding::Newline)
    };
    let dialect = dialect.with_qualified_names(choice & 2 != 0);
    check(&|| dialect.wire(Side::Accept, &limits), input, size);
}

/// Small enough for inputs of the fuzzer to reach them.
fn limits() -> Limits {
    Limits::DEFAULT.with_max_message_bytes(1024)
}

/// Which variant, how many bytes at a time, and the bytes.
fn split_off(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&[choice, size], rest) = bytes.split_first_chunk::<2>()?;
    Some((choice, usize::from(size).max(1), rest))
}

/// What a peer says before it has heard anything.
fn opening(mut wire: Box<dyn Wire>) -> Vec<u8> {
    let mut out = Output::new();
    wire.own_output(&mut out);
    let mut bytes = Vec::new();
    for lane in [Lane::Control, Lane::Data] {
        let mut chunk = OutputChunk::default();
        out.take(lane, &mut chunk);
        bytes.append(&mut chunk.bytes);
    }
    bytes
}

fn check(wire: &dyn Fn() -> Box<dyn Wire>, input: &[u8], size: usize) {
    let at_once = feed(wire(), input, input.len().max(1));
    let in_parts = feed(wire(), input, size);
    assert_eq!(at_once, in_parts, "at once, and {size} bytes at a time");
}

/// The envelopes as texts, and with which code the peer was refused, if it was.
fn feed(mut wire: Box<dyn Wire>, input: &[u8], size: usize) -> (Vec<String>, Option<ErrorCode>) {
    let mut out = Output::new();
    let mut heard = Vec::new();
    wire.own_output(&mut out);
    let (mut start, mut end) = (0, 0);
    while end < input.len() {
        end = input.len().min(end + size);
        while start < end {
            let taken = match wire.decode(&input[start..end]) {
                Ok(Step::Need(bytes)) => {
                    assert!(bytes > 0, "needs nothing and does not go on");
                    break;
                }
                Ok(Step::Skip(taken) | Step::Ignore(taken)) => taken,
                Ok(Step::Envelope(taken, envelope)) => {
                    heard.push(format!("{envelope:?}"));
                    taken
                }
                Err(error) => {
                    wire.farewell(&error, &mut out);
                    return (heard, Some(error.code()));
                }
            };
            assert!(taken > 0, "took nothing");
            assert!(
                taken <= end - start,
                "took {taken} of {} bytes",
                end - start
            );
            start += taken;
        }
        wire.own_output(&mut out);
    }
    (heard, None)
}
