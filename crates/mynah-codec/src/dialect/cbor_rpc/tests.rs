//! The dialect against the vectors that the interop tests use too, and against what only a unit test can show.

mod encode;
mod hostile;
mod vectors;

use super::{CborRpc, CborRpcWire, Padding};
use crate::{Output, OutputChunk, Step, Wire as _, WireError};
use mynah_protocol::{Envelope, Lane};

fn wire(dialect: CborRpc) -> CborRpcWire {
    CborRpcWire::new(dialect, &CborRpc::default_limits())
}

fn cbor() -> CborRpcWire {
    wire(CborRpc::cbor())
}

fn json() -> CborRpcWire {
    wire(CborRpc::json(Padding::Newline))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|digit| u8::try_from(digit.to_digit(16).expect("a hex digit")).expect("below 16"))
        .collect();
    assert!(digits.len().is_multiple_of(2), "hex text of odd length");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// What a wire made of a whole stream.
#[derive(Debug, PartialEq, Default)]
struct Heard {
    envelopes: Vec<Envelope<'static>>,
    ignored: usize,
    error: Option<WireError>,
    /// Bytes that were left, of a message that is not whole.
    left: usize,
}

/// Feeds pieces, each appended to what the wire has not consumed.
fn hear<'p>(wire: &mut CborRpcWire, pieces: impl IntoIterator<Item = &'p [u8]>) -> Heard {
    let mut heard = Heard::default();
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            if buffer.is_empty() {
                break;
            }
            let used = match wire.decode(&buffer) {
                Ok(Step::Need(more)) => {
                    assert!(more > 0, "a wire that needs nothing has to go on");
                    break;
                }
                Ok(Step::Skip(used)) => used,
                Ok(Step::Ignore(used)) => {
                    heard.ignored += 1;
                    used
                }
                Ok(Step::Envelope(used, envelope)) => {
                    heard.envelopes.push(envelope.into_owned());
                    used
                }
                Err(error) => {
                    heard.error = Some(error);
                    return heard;
                }
            };
            assert!(used > 0, "a step that consumes nothing repeats for ever");
            buffer.drain(..used);
        }
    }
    heard.left = buffer.len();
    heard
}

fn written(output: &mut Output) -> Vec<u8> {
    let mut chunk = OutputChunk::default();
    output.take(Lane::Data, &mut chunk);
    chunk.bytes
}

fn encoded(wire: &mut CborRpcWire, envelope: &Envelope<'_>) -> Vec<u8> {
    let mut output = Output::new();
    wire.encode(envelope, Lane::Data, &mut output)
        .expect("this wire can say it");
    written(&mut output)
}
