//! Two wires that talk, without a connection.

use crate::failure::{Because as _, Failure, ensure};
use mynah_codec::{Dialect, Output, OutputChunk, Side, Step, Wire, WireError};
use mynah_protocol::{Envelope, Lane, Limits};

/// One side: a wire, what it has to say, and what it was told.
pub(super) struct Talker {
    pub(super) wire: Box<dyn Wire>,
    pub(super) out: Output,
    /// How many messages were dropped.
    pub(super) ignored: usize,
    input: Vec<u8>,
}

/// How hearing ended too early.
#[derive(Debug, PartialEq)]
pub(super) enum Broken {
    /// The bytes cannot be understood.
    Wire(WireError),
    /// The wire does not keep to its contract.
    Contract(String),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Wire(error) => {
                Self::new(format!("what was written is not understood: {error:?}"))
            }
            Broken::Contract(what) => Self::new(what),
        }
    }
}

impl Talker {
    pub(super) fn new(dialect: &dyn Dialect, side: Side, limits: &Limits) -> Self {
        Self {
            wire: dialect.wire(side, limits),
            out: Output::new(),
            ignored: 0,
            input: Vec::new(),
        }
    }

    /// Both sides, after the handshake.
    pub(super) fn pair(dialect: &dyn Dialect, limits: &Limits) -> Result<(Self, Self), Failure> {
        Self::pair_within(dialect, limits, limits)
    }

    pub(super) fn pair_within(
        dialect: &dyn Dialect,
        near: &Limits,
        far: &Limits,
    ) -> Result<(Self, Self), Failure> {
        let mut near = Self::new(dialect, Side::Dial, near);
        let mut far = Self::new(dialect, Side::Accept, far);
        for _ in 0..16 {
            near.wire.own_output(&mut near.out);
            let there = near.take();
            far.hear(&there)?;
            far.wire.own_output(&mut far.out);
            let back = far.take();
            near.hear(&back)?;
            if there.is_empty() && back.is_empty() {
                ensure(near.wire.is_ready() && far.wire.is_ready(), || {
                    "both sides have said everything, and the handshake is not over".to_owned()
                })?;
                return Ok((near, far));
            }
        }
        Err(Failure::new("the handshake does not end"))
    }

    /// Writes an envelope as a frame, and hands its bytes out.
    pub(super) fn say(&mut self, envelope: &Envelope<'_>) -> Result<Vec<u8>, Failure> {
        let written = self.wire.encode(envelope, Lane::Data, &mut self.out);
        written.because(&format!("write a {}", envelope.kind()))?;
        Ok(self.take())
    }

    /// All that waits to be written, control first.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for lane in [Lane::Control, Lane::Data] {
            let mut chunk = OutputChunk::default();
            self.out.take(lane, &mut chunk);
            bytes.append(&mut chunk.bytes);
        }
        bytes
    }

    /// Hears some bytes: the envelopes in what is there.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<Vec<Envelope<'static>>, Broken> {
        let mut heard = Vec::new();
        self.hear_into(bytes, &mut heard)?;
        Ok(heard)
    }

    /// The same; what came before an error is kept.
    pub(super) fn hear_into(
        &mut self,
        bytes: &[u8],
        heard: &mut Vec<Envelope<'static>>,
    ) -> Result<(), Broken> {
        self.input.extend_from_slice(bytes);
        // A driver asks no wire about nothing.
        while !self.input.is_empty() {
            let there = self.input.len();
            let (len, envelope) = match self.wire.decode(&self.input) {
                Ok(Step::Need(0)) => {
                    return Err(Broken::Contract(
                        "it needs 0 bytes more: nothing would change".to_owned(),
                    ));
                }
                Ok(Step::Need(_)) => break,
                Ok(Step::Skip(len)) => (len, None),
                Ok(Step::Ignore(len)) => {
                    self.ignored += 1;
                    (len, None)
                }
                Ok(Step::Envelope(len, envelope)) => (len, Some(envelope.into_owned())),
                Err(error) => return Err(Broken::Wire(error)),
            };
            if len == 0 || len > there {
                return Err(Broken::Contract(format!("it took {len} of {there} bytes")));
            }
            self.input.drain(..len);
            heard.extend(envelope);
        }
        Ok(())
    }

    /// How many bytes wait for more.
    pub(super) fn waiting(&self) -> usize {
        self.input.len()
    }
}
