//! The dialect against the vectors that the interop tests use too, and against what only a unit test can show.

mod hostile;
mod vectors;

use super::{JsonRpc, JsonRpcWire};
use crate::{Output, OutputChunk, Step, Wire as _};
use mynah_protocol::{Envelope, Lane, Limits};

fn wire(dialect: JsonRpc) -> JsonRpcWire {
    JsonRpcWire::new(dialect, &Limits::DEFAULT)
}

/// What a wire made of a whole stream.
#[derive(Debug, PartialEq, Default)]
struct Heard {
    envelopes: Vec<Envelope<'static>>,
    ignored: Vec<&'static str>,
    /// What it answered by itself.
    said: String,
}

/// Feeds pieces, each appended to what the wire has not consumed; nothing is left of a whole stream.
fn hear<'p>(wire: &mut JsonRpcWire, pieces: impl IntoIterator<Item = &'p [u8]>) -> Heard {
    let mut heard = Heard::default();
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            let used = match wire.decode(&buffer).expect("no line ends a connection") {
                Step::Need(_) => break,
                Step::Skip(used) => used,
                Step::Ignore(used) => {
                    heard.ignored.push(wire.why_ignored());
                    used
                }
                Step::Envelope(used, envelope) => {
                    heard.envelopes.push(envelope.into_owned());
                    used
                }
            };
            assert!(used > 0, "a step that consumes nothing repeats for ever");
            buffer.drain(..used);
        }
    }
    assert!(buffer.is_empty(), "a part of a line is left");
    heard.said = said(wire);
    heard
}

fn said(wire: &mut JsonRpcWire) -> String {
    let mut output = Output::new();
    wire.own_output(&mut output);
    written(&mut output)
}

fn written(output: &mut Output) -> String {
    let mut chunk = OutputChunk::default();
    output.take(Lane::Data, &mut chunk);
    String::from_utf8(chunk.bytes).expect("text")
}

fn encoded(wire: &mut JsonRpcWire, envelope: &Envelope<'_>) -> String {
    let mut output = Output::new();
    wire.encode(envelope, Lane::Data, &mut output)
        .expect("this wire can say it");
    written(&mut output)
}
