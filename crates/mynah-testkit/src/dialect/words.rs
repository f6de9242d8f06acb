//! What a dialect can say, and what it must not pretend to.

use super::samples;
use super::talk::Talker;
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use mynah_codec::{Dialect, EncodeError, OutputChunk, Side};
use mynah_protocol::{Envelope, Lane, Limits};

const BOTH: Limits = Limits::DEFAULT;

/// Both sides agree, and have names that agree with the dialect's.
pub(super) fn handshake(dialect: &dyn Dialect) -> Verdict {
    let (near, far) = Talker::pair(dialect, &BOTH)?;
    let (near, far) = (near.wire.profile(), far.wire.profile());
    ensure(near == far, || {
        format!("after the handshake the sides differ: {near:?} and {far:?}")
    })?;
    ensure(near.dialect == dialect.name(), || {
        format!(
            "the dialect is {}, its wire {}",
            dialect.name(),
            near.dialect
        )
    })?;
    for side in [Side::Dial, Side::Accept] {
        let name = dialect.clone_box().wire(side, &BOTH).profile().dialect;
        ensure(name == dialect.name(), || {
            format!("a clone of {} makes wires of {name}", dialect.name())
        })?;
    }
    Ok(Shown::Holds)
}

/// All samples that the profile says are carried.
pub(super) fn carried(talker: &Talker) -> Result<Vec<Envelope<'static>>, Failure> {
    let profile = talker.wire.profile();
    let mut samples = samples::of(profile)?;
    samples.retain(|sample| samples::carries(&profile.capabilities, sample));
    Ok(samples)
}

/// Each kind that the profile says is carried arrives as it was, in either direction.
pub(super) fn round_trip(dialect: &dyn Dialect) -> Verdict {
    let (mut near, mut far) = Talker::pair(dialect, &BOTH)?;
    for _ in 0..2 {
        let profile = near.wire.profile().clone();
        for sample in carried(&near)? {
            let bytes = near.say(&sample)?;
            let heard = far.hear(&bytes)?;
            let [got] = heard.as_slice() else {
                let kind = sample.kind();
                return Err(Failure::new(format!(
                    "one {kind} was sent, and {} envelopes arrived",
                    heard.len()
                )));
            };
            samples::same(&profile, &sample, got)?;
        }
        std::mem::swap(&mut near, &mut far);
    }
    Ok(Shown::Holds)
}

/// What the profile does not name is refused, and nothing is written: neither alone nor behind something else.
pub(super) fn refusals(dialect: &dyn Dialect) -> Verdict {
    let (mut near, _far) = Talker::pair(dialect, &BOTH)?;
    let profile = near.wire.profile().clone();
    for sample in samples::of(&profile)? {
        if samples::carries(&profile.capabilities, &sample) {
            continue;
        }
        for lane in [Lane::Data, Lane::Control] {
            let before = near.out.data_len() + near.out.control_len();
            let refused = near.wire.encode(&sample, lane, &mut near.out);
            let kind = sample.kind();
            ensure(
                matches!(refused, Err(EncodeError::Unsupported { .. })),
                || {
                    format!(
                        "the profile does not name what is in {sample:?}, and it was {refused:?}"
                    )
                },
            )?;
            let after = near.out.data_len() + near.out.control_len();
            ensure(before == after, || {
                format!(
                    "{} bytes were written of a {kind} that was refused",
                    after - before
                )
            })?;
        }
        let plain = carried(&near)?.into_iter().next();
        let plain = plain.because("the profile carries nothing")?;
        // What is there already stays, for the next one to be refused behind it.
        near.wire
            .encode(&plain, Lane::Data, &mut near.out)
            .because("write a plain request")?;
    }
    let mut chunk = OutputChunk::default();
    near.out.take(Lane::Data, &mut chunk);
    ensure(
        chunk.ends.last().copied().unwrap_or(0) == chunk.bytes.len(),
        || "refused frames left bytes or ends behind".to_owned(),
    )?;
    Ok(Shown::Holds)
}

/// Each frame is marked, and means the same alone.
pub(super) fn frame_ends(dialect: &dyn Dialect) -> Verdict {
    for lane in [Lane::Data, Lane::Control] {
        let (mut near, mut far) = Talker::pair(dialect, &BOTH)?;
        let profile = near.wire.profile().clone();
        let samples = carried(&near)?;
        let mut spans = Vec::new();
        for sample in &samples {
            let span = near.wire.encode(sample, lane, &mut near.out);
            spans.push(span.because(&format!("write a {}", sample.kind()))?);
        }
        let mut chunk = OutputChunk::default();
        near.out.take(lane, &mut chunk);
        ensure(near.out.is_empty(), || {
            format!("something was written into another lane than {lane:?}")
        })?;
        ensure(chunk.ends.len() == samples.len(), || {
            format!(
                "{} envelopes were written, and {} frame ends marked",
                samples.len(),
                chunk.ends.len()
            )
        })?;
        ensure(chunk.ends.last() == Some(&chunk.bytes.len()), || {
            "bytes stand behind the last frame end".to_owned()
        })?;
        let mut start = 0;
        for ((sample, &end), span) in samples.iter().zip(&chunk.ends).zip(&spans) {
            let kind = sample.kind();
            let frame = chunk.bytes.get(start..end);
            let frame = frame.because("frame ends are not in order")?;
            ensure(span.len == frame.len(), || {
                format!(
                    "a {kind} of {} bytes was said to have {}",
                    frame.len(),
                    span.len
                )
            })?;
            let heard = far.hear(frame)?;
            ensure(heard.len() == 1 && far.waiting() == 0, || {
                format!("the frame of a {kind} holds {} envelopes", heard.len())
            })?;
            if let Some(got) = heard.first() {
                samples::same(&profile, sample, got)?;
            }
            start = end;
        }
    }
    Ok(Shown::Holds)
}
