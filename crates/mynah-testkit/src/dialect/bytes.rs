//! Bytes in pieces, and bytes that are wrong.

use super::talk::{Broken, Talker};
use super::words::carried;
use crate::Dice;
use crate::failure::{Failure, Shown, Verdict, ensure};
use crate::simulation::text_of;
use mynah_codec::{Dialect, Output, Side, Step};
use mynah_protocol::{Envelope, Limits};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Small enough that mutated lengths reach it.
fn limits() -> Limits {
    Limits::DEFAULT.with_max_message_bytes(64 << 10)
}

/// Frames of every kind, or, where they are long, of as many as are looked at in reasonable time.
struct Speech {
    bytes: Vec<u8>,
    /// Where each frame begins.
    starts: Vec<usize>,
}

impl Speech {
    /// Bytes of a speech beyond which no frame is added.
    const ENOUGH: usize = 8 << 10;

    /// Begins with the sample of this number, and goes round.
    fn new(dialect: &dyn Dialect, first: usize) -> Result<Self, Failure> {
        let (mut near, _) = Talker::pair(dialect, &limits())?;
        let samples = carried(&near)?;
        let mut speech = Self {
            bytes: Vec::new(),
            starts: Vec::new(),
        };
        let count = samples.len();
        for sample in samples.iter().cycle().skip(first).take(count) {
            if speech.bytes.len() > Self::ENOUGH {
                break;
            }
            speech.starts.push(speech.bytes.len());
            speech.bytes.extend(near.say(sample)?);
        }
        Ok(speech)
    }

    /// Where it is cut: at every byte, except that the middle of a long frame is left out.
    fn cuts(&self) -> impl Iterator<Item = usize> {
        /// Beginning and end of a frame, where heads and closing brackets are.
        const EDGE: usize = 300;
        let ends = self.starts.iter().copied().skip(1);
        let ends = ends.chain([self.bytes.len()]);
        let frames: Vec<_> = self.starts.iter().copied().zip(ends).collect();
        let cuts = frames.into_iter().flat_map(|(start, end)| {
            (start..end).filter(move |cut| cut - start < EDGE || end - cut < EDGE)
        });
        cuts.skip(1)
    }
}

/// A side that hears, after the handshake.
fn listener(dialect: &dyn Dialect) -> Result<Talker, Failure> {
    Ok(Talker::pair(dialect, &limits())?.1)
}

/// Cut in two at every byte, and byte by byte: the envelopes are the same.
pub(super) fn splits(dialect: &dyn Dialect) -> Verdict {
    let speech = Speech::new(dialect, 0)?;
    let mut far = listener(dialect)?;
    let whole = far.hear(&speech.bytes)?;
    ensure(far.waiting() == 0, || {
        format!("{} bytes of whole frames are left", far.waiting())
    })?;
    for cut in speech.cuts() {
        let mut far = listener(dialect)?;
        let (one, two) = speech.bytes.split_at(cut);
        let mut heard = far.hear(one)?;
        heard.extend(far.hear(two)?);
        ensure(heard == whole, || {
            differs(&whole, &heard, &format!("cut at byte {cut}"))
        })?;
    }
    let mut far = listener(dialect)?;
    let mut heard = Vec::new();
    for byte in &speech.bytes {
        heard.extend(far.hear(&[*byte])?);
    }
    ensure(heard == whole, || differs(&whole, &heard, "byte by byte"))?;
    Ok(Shown::Holds)
}

fn differs(whole: &[Envelope<'_>], heard: &[Envelope<'_>], how: &str) -> String {
    let at = whole.iter().zip(heard).take_while(|(a, b)| a == b).count();
    format!(
        "{how}, envelope {at} is {:?} where it was {:?}; {} of {} came",
        heard.get(at),
        whole.get(at),
        heard.len(),
        whole.len()
    )
}

/// What it needs is never nothing, never beyond the end of the frame, and enough to go on with.
pub(super) fn need(dialect: &dyn Dialect) -> Verdict {
    let (mut near, mut far) = Talker::pair(dialect, &limits())?;
    for sample in carried(&near)? {
        let kind = sample.kind();
        let frame = near.say(&sample)?;
        let mut there = 0;
        let mut heard = 0;
        let mut start = 0;
        while start < frame.len() {
            let input = frame.get(start..there.max(start)).unwrap_or_default();
            match far.wire.decode(input) {
                Ok(Step::Need(more)) => {
                    ensure(more > 0, || {
                        format!("with {} bytes of a {kind} it needs 0 more", input.len())
                    })?;
                    let left = frame.len() - start - input.len();
                    ensure(more <= left, || {
                        format!("{left} bytes of a {kind} are left, and it needs {more}")
                    })?;
                    there = start + input.len() + more;
                }
                Ok(Step::Skip(len) | Step::Ignore(len)) => start += len.max(1),
                Ok(Step::Envelope(len, _)) => {
                    heard += 1;
                    start += len.max(1);
                }
                Err(error) => {
                    return Err(Failure::new(format!(
                        "a {kind} is not understood: {error:?}"
                    )));
                }
            }
        }
        ensure(heard == 1, || {
            format!("given what it needs, a {kind} was heard {heard} times")
        })?;
    }
    Ok(Shown::Holds)
}

/// What becomes of bytes: the envelopes, and how it ended.
type Outcome = (Vec<Envelope<'static>>, Option<Broken>);

/// Bytes that are wrong in one way or another: nothing panics, nothing is taken that is not there, and how they are
/// cut makes no difference.
pub(super) fn mutations(dialect: &dyn Dialect) -> Verdict {
    const ROUNDS: u64 = 600;
    let first = crate::seed_of_environment();
    let seeds = first.map_or(1..ROUNDS + 1, |seed| seed..seed + 1);
    for seed in seeds {
        let checked = catch_unwind(AssertUnwindSafe(|| mutation(dialect, seed)));
        let failed = match checked {
            Ok(Ok(())) => continue,
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::new(format!("a panic: {}", text_of(&*panic))),
        };
        return Err(Failure::new(format!("MYNAH_SEED={seed}: {failed}")));
    }
    Ok(Shown::Holds)
}

fn mutation(dialect: &dyn Dialect, seed: u64) -> Result<(), Failure> {
    let mut dice = Dice::new(seed);
    // Once in a while without a handshake: the first words are wrong.
    let shakes = !dice.once_in(6);
    let mut bytes = Speech::new(dialect, dice.index_below(64))?.bytes;
    if !shakes && dice.once_in(2) {
        bytes = (0..dice.index_below(200))
            .map(|_| u8::try_from(dice.below(256)).unwrap_or(0))
            .collect();
    }
    mutate(&mut bytes, &mut dice);
    let listener = || {
        if shakes {
            listener(dialect)
        } else {
            let side = if seed.is_multiple_of(2) {
                Side::Dial
            } else {
                Side::Accept
            };
            Ok(Talker::new(dialect, side, &limits()))
        }
    };
    let whole = outcome(listener()?, &[&bytes]);
    let mut parts = Vec::new();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(1 + dice.index_below(rest.len().min(40)));
        parts.push(part);
        rest = behind;
    }
    let pieces = outcome(listener()?, &parts);
    if let Some(Broken::Contract(what)) = whole.1.as_ref().or(pieces.1.as_ref()) {
        return Err(Failure::new(what.clone()));
    }
    ensure(whole.0 == pieces.0, || {
        differs(&whole.0, &pieces.0, "in pieces")
    })?;
    ensure(whole.1.is_some() == pieces.1.is_some(), || {
        format!(
            "at once it ended with {:?}, in pieces with {:?}",
            whole.1, pieces.1
        )
    })
}

fn outcome(mut far: Talker, parts: &[&[u8]]) -> Outcome {
    let mut all = Vec::new();
    far.wire.own_output(&mut far.out);
    for part in parts {
        // What came before an error came, however it was cut.
        if let Err(broken) = far.hear_into(part, &mut all) {
            if let Broken::Wire(error) = &broken {
                far.wire.farewell(error, &mut Output::new());
            }
            return (all, Some(broken));
        }
        far.wire.own_output(&mut far.out);
    }
    (all, None)
}

/// A few changes: bits, bytes, lengths, pieces that are lost, doubled or swapped.
fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.up_to(7) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let at = dice.index_below(len);
        let until = (at + 1 + dice.index_below(12)).min(len);
        match dice.below(7) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.pick(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'[', b'{']);
                }
            }
            3 => drop(bytes.drain(at..until)),
            4 => {
                let piece = bytes.get(at..until).unwrap_or_default().to_vec();
                let to = dice.index_below(len);
                bytes.splice(to..to, piece);
            }
            5 => bytes.truncate(at),
            _ => {
                let to = dice.index_below(len);
                bytes.swap(at, to);
            }
        }
    }
}
