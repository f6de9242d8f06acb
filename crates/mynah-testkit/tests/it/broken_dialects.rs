//! Dialects that are broken in one way each.

use crate::caught::{HANGS, caught, outcome};
use mynah::codec::{Dialect, EncodeError, Format, FrameSpan, Lane, Output, Step, Wire, WireError};
use mynah::dialect::{CborRpc, Native, Side};
use mynah::protocol::{Envelope, ErrorCode, Profile, WireId};
use mynah::{Limits, RpcError};
use mynah_testkit::dialect;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The handshake is never over.
    NeverReady,
    /// The ids of answers are off by one.
    OtherIds,
    /// Codes of errors are lost.
    LosesCodes,
    /// Cancels are lost.
    LosesCancels,
    /// Progress is lost.
    LosesProgress,
    /// Says that it has streams, which it has not.
    PretendsStreams,
    /// What it refuses leaves bytes behind.
    WritesWhatItRefuses,
    /// Two frames, one end.
    JoinsFrames,
    /// What comes in two parts is lost.
    LosesWhatIsSplit,
    /// Nothing more is needed, and it does not go on.
    NeedsNothing,
    /// More is needed than there is.
    NeedsTooMuch,
    /// A byte that it does not expect.
    Panics,
    /// Takes what is not there.
    TakesTooMuch,
    /// No limit of size.
    AnySize,
    /// What is too large is passed over, and nobody is told.
    PassesOverLarge,
    /// No limit of depth.
    AnyDepth,
    /// What is read aside loses its last byte.
    LosesOfFills,
}

/// Native, or for what only a poorer wire can get wrong, cbor-rpc; in both cases broken.
#[derive(Clone, Copy, Debug)]
struct Broken(Fault);

#[derive(Debug)]
struct BrokenWire {
    inner: Box<dyn Wire>,
    fault: Fault,
    profile: Profile,
    seen: usize,
    deaf: bool,
}

impl Dialect for Broken {
    fn name(&self) -> &'static str {
        self.inner().name()
    }

    fn wire(&self, side: Side, limits: &Limits) -> Box<dyn Wire> {
        let limits = match self.0 {
            Fault::AnySize => limits.clone().with_max_message_bytes(1 << 30),
            _ => limits.clone(),
        };
        let inner = self.inner().wire(side, &limits);
        let mut wire = BrokenWire {
            profile: inner.profile().clone(),
            inner,
            fault: self.0,
            seen: 0,
            deaf: false,
        };
        wire.look();
        Box::new(wire)
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        Box::new(*self)
    }
}

impl Broken {
    fn inner(&self) -> Box<dyn Dialect> {
        match self.0 {
            Fault::PretendsStreams | Fault::WritesWhatItRefuses | Fault::PassesOverLarge => {
                Box::new(CborRpc::cbor())
            }
            _ => Box::new(Native::new()),
        }
    }
}

impl BrokenWire {
    /// The profile as it says it.
    fn look(&mut self) {
        self.profile = self.inner.profile().clone();
        match self.fault {
            Fault::PretendsStreams => self.profile.capabilities.streams = true,
            Fault::AnyDepth => self.profile.max_depth = Some(1_000_000),
            _ => {}
        }
    }
}

impl Wire for BrokenWire {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn format(&self) -> Format {
        self.inner.format()
    }

    fn decode<'b>(&mut self, input: &'b [u8]) -> Result<Step<'b>, WireError> {
        let fresh = std::mem::replace(&mut self.seen, input.len());
        if self.fault == Fault::Panics && input.contains(&0xff) {
            panic!("a byte that nobody expects");
        }
        if self.deaf {
            return Ok(Step::Skip(input.len()));
        }
        let ready = self.inner.is_ready();
        let step = match self.inner.decode(input) {
            // And all that follows.
            Err(_) if self.fault == Fault::PassesOverLarge => {
                self.deaf = true;
                Step::Skip(input.len())
            }
            step => step?,
        };
        self.profile.format = self.inner.profile().format;
        Ok(match (self.fault, step) {
            (Fault::NeedsNothing, Step::Need(_)) if ready => Step::Need(0),
            (Fault::NeedsTooMuch, Step::Need(more)) if ready => Step::Need(more + 1),
            (Fault::TakesTooMuch, Step::Envelope(len, envelope)) if input.len() > 900 => {
                drop(envelope);
                Step::Skip(len + input.len())
            }
            (Fault::LosesWhatIsSplit, Step::Envelope(len, _))
                if ready && fresh > 0 && fresh < len =>
            {
                Step::Skip(len)
            }
            (Fault::OtherIds, Step::Envelope(len, Envelope::Response(mut response))) => {
                if let WireId::Uint(id) = &mut response.id {
                    *id += 1;
                }
                Step::Envelope(len, Envelope::Response(response))
            }
            (Fault::LosesCodes, Step::Envelope(len, Envelope::Response(mut response))) => {
                if let Err(error) = &mut response.result {
                    **error = RpcError::new(ErrorCode::UNCODED, error.message());
                }
                Step::Envelope(len, Envelope::Response(response))
            }
            (Fault::LosesCancels, Step::Envelope(len, Envelope::Cancel(_)))
            | (Fault::LosesProgress, Step::Envelope(len, Envelope::Progress(_))) => Step::Skip(len),
            (_, step) => step,
        })
    }

    fn begin_fill(&mut self, input: &[u8]) -> Option<mynah::codec::Fill> {
        self.inner.begin_fill(input)
    }

    fn filled(
        &mut self,
        mut buffer: bytes::BytesMut,
    ) -> Result<Option<Envelope<'static>>, WireError> {
        if self.fault == Fault::LosesOfFills {
            let last = buffer.len() - 1;
            buffer[last] ^= 1;
        }
        self.inner.filled(buffer)
    }

    fn encode(
        &mut self,
        envelope: &Envelope<'_>,
        lane: Lane,
        out: &mut Output,
    ) -> Result<FrameSpan, EncodeError> {
        if self.fault == Fault::JoinsFrames && matches!(envelope, Envelope::Event(_)) {
            let mut first = Output::new();
            self.inner.encode(envelope, lane, &mut first)?;
            let mut chunk = mynah::codec::OutputChunk::default();
            first.take(lane, &mut chunk);
            return out.frame(lane, |buffer| {
                buffer.extend_from_slice(&chunk.bytes);
                buffer.extend_from_slice(&chunk.bytes);
                Ok(())
            });
        }
        let written = self.inner.encode(envelope, lane, out);
        if self.fault == Fault::WritesWhatItRefuses && written.is_err() {
            out.frame(lane, |buffer| {
                buffer.push(0);
                Ok(())
            })?;
        }
        written
    }

    fn own_output(&mut self, out: &mut Output) {
        self.inner.own_output(out);
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready() && self.fault != Fault::NeverReady
    }

    fn farewell(&mut self, error: &WireError, out: &mut Output) {
        self.inner.farewell(error, out);
    }
}

#[tokio::test(start_paused = true)]
async fn each_is_caught_by_the_case_that_is_meant_for_it() {
    for (fault, case, says) in [
        (Fault::NeverReady, "handshake", "the handshake is not over"),
        (Fault::OtherIds, "round_trip", "a response was sent as"),
        (Fault::LosesCodes, "round_trip", "a response was sent as"),
        (
            Fault::LosesProgress,
            "round_trip",
            "one progress was sent, and 0",
        ),
        (Fault::PretendsStreams, "round_trip", "Unsupported"),
        (
            Fault::WritesWhatItRefuses,
            "refusals",
            "bytes were written of a",
        ),
        (
            Fault::JoinsFrames,
            "frame_ends",
            "the frame of a event holds 2",
        ),
        (Fault::LosesWhatIsSplit, "splits", "cut at byte"),
        (Fault::NeedsNothing, "need", "it needs 0 more"),
        (Fault::NeedsTooMuch, "need", "are left, and it needs"),
        (
            Fault::Panics,
            "mutations",
            "a panic: a byte that nobody expects",
        ),
        (Fault::TakesTooMuch, "mutations", "it took"),
        (Fault::AnySize, "sizes", "above the limit of 4096"),
        (Fault::AnyDepth, "depth", "the limit is a depth of 1000000"),
        (Fault::LosesOfFills, "large_messages", "was changed"),
    ] {
        let passed = dialect::check(case, &Broken(Fault::None));
        assert!(passed.is_ok(), "{case}: {passed:?}");
        let broken = async { dialect::check(case, &Broken(fault)) };
        caught(&format!("{fault:?} in {case}"), broken, says).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_them_are_caught() {
    for (fault, case, says) in [
        (Fault::OtherIds, "calls", HANGS),
        (
            Fault::LosesCodes,
            "errors",
            "the code of an error arrived as",
        ),
        (
            Fault::LosesCancels,
            "cancel",
            "handlers wait where 0 should",
        ),
        (Fault::LosesProgress, "side_messages", "progress arrived as"),
        (Fault::LosesWhatIsSplit, "l5_fragments", HANGS),
        (Fault::PassesOverLarge, "limits", HANGS),
    ] {
        let passed = outcome(dialect::check_calls(case, &Broken(Fault::None))).await;
        assert!(matches!(passed, Some(Ok(_))), "{case}: {passed:?}");
        let broken = Broken(fault);
        let what = format!("{fault:?} in {case}");
        caught(&what, dialect::check_calls(case, &broken), says).await;
    }
}
