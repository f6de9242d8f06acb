//! What wires hold true of any bytes from a peer.

use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};
use mynah_codec::dialect::jsonrpc::JsonRpc;
use mynah_codec::dialect::kollabor::Kollabor;
use mynah_codec::dialect::native::NativeWire;
use mynah_codec::dialect::{Dialect as _, Side};
use mynah_codec::{Output, OutputChunk, Step, Wire};
use mynah_protocol::{Envelope, ErrorCode, FormatId, Lane, Limits};

/// The native wire, either side and format: the envelopes do not depend on how the bytes arrive, and said again they are
/// heard again.
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
    let wire = |dials| -> Box<dyn Wire> {
        if dials {
            Box::new(NativeWire::dial(format, &limits))
        } else {
            Box::new(NativeWire::accept(&limits))
        }
    };
    let ends = Ends {
        reader: &|| wire(dials),
        peer: &|| wire(!dials),
        keeps_all: true,
    };
    let mut input = if choice & 4 == 0 {
        ends.opening().1
    } else {
        Vec::new()
    };
    input.extend_from_slice(rest);
    check(&ends, &input, size);
}

/// The wire of cbor-rpc in CBOR or JSON: the same.
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
    let dialect = dialect
        .with_qualified_names(choice & 2 != 0)
        .with_rich_errors(choice & 4 != 0);
    let ends = Ends {
        reader: &|| dialect.wire(Side::Accept, &limits),
        peer: &|| dialect.wire(Side::Dial, &limits),
        // An error is a text, whatever it was before.
        keeps_all: false,
    };
    check(&ends, input, size);
}

/// The wire of kollabor: the same, and no bytes end a connection.
pub fn kollabor(bytes: &[u8]) {
    let Some((choice, size, input)) = split_off(bytes) else {
        return;
    };
    // Lines that are too long are told by their start: some inputs are to reach that.
    let limits = limits().with_max_message_bytes(if choice & 1 == 0 { 1024 } else { 128 });
    let wire = |side| Kollabor::new().wire(side, &limits);
    let ends = Ends {
        reader: &|| wire(Side::Accept),
        peer: &|| wire(Side::Dial),
        // Of an error only its kind and its text go on.
        keeps_all: false,
    };
    check(&ends, input, size);
    let (_, refused) = feed(wire(Side::Accept), input, size, &mut |_| {});
    assert_eq!(refused, None, "a line ends the connection");
}

/// Lines of JSON-RPC, either flavor: the same.
pub fn jsonrpc(bytes: &[u8]) {
    let Some((choice, size, input)) = split_off(bytes) else {
        return;
    };
    let limits = limits().with_max_message_bytes(if choice & 1 == 0 { 1024 } else { 128 });
    let dialect = if choice & 2 == 0 {
        JsonRpc::standard()
    } else {
        JsonRpc::clamator()
    };
    let ends = Ends {
        reader: &|| dialect.wire(Side::Accept, &limits),
        peer: &|| dialect.wire(Side::Dial, &limits),
        // Some errors have texts of the specification.
        keeps_all: false,
    };
    check(&ends, input, size);
    let reader = dialect.wire(Side::Accept, &limits);
    let (_, refused) = feed(reader, input, size, &mut |_| {});
    assert_eq!(refused, None, "a line ends the connection");
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

/// How to make both ends of a wire.
struct Ends<'a> {
    reader: &'a dyn Fn() -> Box<dyn Wire>,
    peer: &'a dyn Fn() -> Box<dyn Wire>,
    /// Whether the wire has a word for all that it hears in an envelope.
    keeps_all: bool,
}

impl Ends<'_> {
    /// A peer that knows what the reader says at first, and what it says itself before anything else.
    fn opening(&self) -> (Box<dyn Wire>, Vec<u8>) {
        let (mut reader, mut peer) = ((self.reader)(), (self.peer)());
        let mut said = own_output(&mut *peer);
        let heard = own_output(&mut *reader);
        let mut rest = heard.as_slice();
        while let Ok(Step::Skip(n) | Step::Ignore(n) | Step::Envelope(n, _)) = peer.decode(rest) {
            rest = &rest[n..];
        }
        said.append(&mut own_output(&mut *peer));
        (peer, said)
    }

    /// The bytes of an envelope from the peer, if it can say it.
    fn say(&self, envelope: &Envelope<'_>) -> Option<Vec<u8>> {
        let (mut peer, _) = self.opening();
        let mut out = Output::new();
        peer.encode(envelope, Lane::Data, &mut out).ok()?;
        Some(written(&mut out))
    }
}

/// What a wire has to say of its own.
fn own_output(wire: &mut dyn Wire) -> Vec<u8> {
    let mut out = Output::new();
    wire.own_output(&mut out);
    written(&mut out)
}

/// All that was written, control first.
fn written(out: &mut Output) -> Vec<u8> {
    let mut bytes = Vec::new();
    for lane in [Lane::Control, Lane::Data] {
        let mut chunk = OutputChunk::default();
        out.take(lane, &mut chunk);
        bytes.append(&mut chunk.bytes);
    }
    bytes
}

fn check(ends: &Ends<'_>, input: &[u8], size: usize) {
    let at_once = feed(
        (ends.reader)(),
        input,
        input.len().max(1),
        &mut |envelope| {
            say_again(ends, envelope);
        },
    );
    let in_parts = feed((ends.reader)(), input, size, &mut |_| {});
    assert_eq!(at_once, in_parts, "at once, and {size} bytes at a time");
}

/// What was heard and can be said is heard again as it was; where the wire has fewer words than an envelope, it is said
/// the same way the next time.
fn say_again(ends: &Ends<'_>, envelope: &Envelope<'_>) {
    let Some(said) = ends.say(envelope) else {
        return;
    };
    let mut stream = ends.opening().1;
    stream.extend_from_slice(&said);
    let mut heard = Vec::new();
    let (_, refused) = feed((ends.reader)(), &stream, stream.len(), &mut |envelope| {
        heard.push((format!("{envelope:?}"), ends.say(envelope)));
    });
    assert_eq!(refused, None, "our own bytes are refused: {said:02x?}");
    let Some((again, said_again)) = heard.pop() else {
        panic!("{envelope:?} was not heard: {said:02x?}");
    };
    if ends.keeps_all {
        assert_eq!(again, format!("{envelope:?}"));
    }
    assert_eq!(said_again, Some(said), "{envelope:?} became {again}");
}

/// The envelopes as texts, and with which code the peer was refused, if it was.
fn feed(
    mut wire: Box<dyn Wire>,
    input: &[u8],
    size: usize,
    hear: &mut dyn FnMut(&Envelope<'_>),
) -> (Vec<String>, Option<ErrorCode>) {
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
                    hear(&envelope);
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
    match wire.finish(&input[start..end]) {
        Ok(Some(Step::Envelope(_, envelope))) => {
            heard.push(format!("{envelope:?}"));
            hear(&envelope);
        }
        Ok(_) => {}
        Err(error) => return (heard, Some(error.code())),
    }
    wire.own_output(&mut out);
    (heard, None)
}
