//! A side that says what it likes: envelopes without the rules of a connection.

use super::Line;
use crate::failure::{Because as _, Failure};
use crate::transport::{ByteEnd, EnvelopeEnd};
use mynah_codec::{Format, Output, OutputChunk, Side, Step, Wire};
use mynah_protocol::{
    Envelope, FormatId, Lane, Limits, Metadata, MethodName, ParamsShape, Payload, Profile, Request,
    Streams, Transport as _, WireId,
};
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// One end of a connection.
#[allow(clippy::large_enum_variant, reason = "a test has one or two of them")]
pub(super) enum Raw {
    Bytes {
        end: ByteEnd,
        wire: Box<dyn Wire>,
        out: Output,
        input: Vec<u8>,
    },
    Envelopes(EnvelopeEnd),
}

impl Raw {
    pub(super) fn new(line: Line, side: Side) -> Self {
        match line {
            Line::Bytes(end, dialect) => Self::Bytes {
                end,
                wire: dialect.wire(side, &Limits::DEFAULT),
                out: Output::new(),
                input: Vec::new(),
            },
            Line::Envelopes(end) => Self::Envelopes(end),
        }
    }

    pub(super) fn profile(&self) -> &Profile {
        match self {
            Self::Bytes { wire, .. } => wire.profile(),
            Self::Envelopes(end) => end.profile(),
        }
    }

    /// A call of the suite's service; `params` in JSON.
    pub(super) fn call(
        &self,
        id: u64,
        method: &str,
        params: &str,
    ) -> Result<Envelope<'static>, Failure> {
        let (format, named) = {
            let profile = self.profile();
            (profile.format, profile.params != ParamsShape::Positional)
        };
        let params = match params {
            "[]" if named => encoded(format, &BTreeMap::<&str, ()>::new())?,
            "[]" => encoded(format, &[(); 0])?,
            // The one param that such methods have.
            text if named => encoded(format, &BTreeMap::from([("text", text)]))?,
            text => encoded(format, &[text])?,
        };
        Ok(Envelope::Request(Request {
            id: WireId::Uint(id),
            name: MethodName::from(("testkit", method)),
            timeout: None,
            metadata: Metadata::new(),
            streams: Streams::NONE,
            params,
        }))
    }

    /// Calls a method with no param (`[]`), or with one text.
    pub(super) async fn request(
        &mut self,
        id: u64,
        method: &str,
        params: &str,
    ) -> Result<(), Failure> {
        let request = self.call(id, method, params)?;
        self.send(&[request]).await
    }

    /// Says envelopes in one write, where it is a matter of bytes.
    pub(super) async fn send(&mut self, envelopes: &[Envelope<'static>]) -> Result<(), Failure> {
        match self {
            Self::Bytes { end, wire, out, .. } => {
                wire.own_output(out);
                for envelope in envelopes {
                    let written = wire.encode(envelope, Lane::Data, out);
                    written.because(&format!("write a {}", envelope.kind()))?;
                }
                let bytes = taken(out);
                end.write_all(&bytes).await.because("write")?;
                end.flush().await.because("flush")
            }
            Self::Envelopes(end) => {
                for envelope in envelopes {
                    end.send(envelope.clone()).await?;
                }
                Ok(())
            }
        }
    }

    /// The next envelope; `None` at the end, or when the connection broke.
    pub(super) async fn next(&mut self) -> Result<Option<Envelope<'static>>, Failure> {
        match self {
            Self::Bytes {
                end,
                wire,
                out,
                input,
            } => loop {
                let (len, envelope) = match wire.decode(input) {
                    Ok(Step::Need(_)) => {
                        if end.read_buf(input).await.unwrap_or(0) == 0 {
                            return Ok(None);
                        }
                        continue;
                    }
                    Ok(Step::Skip(len) | Step::Ignore(len)) => (len, None),
                    Ok(Step::Envelope(len, envelope)) => (len, Some(envelope.into_owned())),
                    Err(error) => {
                        return Err(Failure::new(format!("a peer is not understood: {error:?}")));
                    }
                };
                input.drain(..len.min(input.len()));
                wire.own_output(out);
                let bytes = taken(out);
                if !bytes.is_empty() && end.write_all(&bytes).await.is_err() {
                    return Ok(None);
                }
                if envelope.is_some() {
                    return Ok(envelope);
                }
            },
            Self::Envelopes(end) => match end.next().await {
                Some(Ok(inbound)) => Ok(Some(inbound.envelope)),
                None | Some(Err(_)) => Ok(None),
            },
        }
    }
}

/// A value as a payload.
pub(super) fn encoded<T: serde::Serialize + ?Sized>(
    id: FormatId,
    value: &T,
) -> Result<Payload<'static>, Failure> {
    let format = Format::built_in(id).because("a format that nobody knows")?;
    let mut bytes = Vec::new();
    format.encode(value, &mut bytes).because("encode a value")?;
    Ok(Payload::owned(id, bytes.into()))
}

/// All that waits to be written, control first.
pub(super) fn taken(out: &mut Output) -> Vec<u8> {
    let mut bytes = Vec::new();
    for lane in [Lane::Control, Lane::Data] {
        let mut chunk = OutputChunk::default();
        out.take(lane, &mut chunk);
        bytes.append(&mut chunk.bytes);
    }
    bytes
}
