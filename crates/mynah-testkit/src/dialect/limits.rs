//! What is too large, too deep, and large enough to be read aside.

use super::samples::request;
use super::talk::{Broken, Talker};
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use mynah_codec::{Dialect, EncodeError, Fill, Step, WireError};
use mynah_protocol::{Envelope, FormatId, Lane, Limits, Payload};

/// A request with a text of so many letters.
fn large(format: FormatId, letters: usize) -> Result<Envelope<'static>, Failure> {
    let codec = mynah_codec::Format::built_in(format);
    let codec = codec.because("the profile's format is none of Mynah's")?;
    let mut bytes = Vec::new();
    codec
        .encode(&["x".repeat(letters)], &mut bytes)
        .because("encode a text")?;
    let params = Payload::owned(format, bytes.into());
    Ok(Envelope::Request(request(7, params)))
}

/// A message above the limit is not written, and not gathered where it arrives: the wire refuses the stream, or goes past
/// the message, has it charged to the peer and goes on.
pub(super) fn sizes(dialect: &dyn Dialect) -> Verdict {
    const LIMIT: usize = 4_096;
    const PIECE: usize = 64;
    let small = Limits::DEFAULT.with_max_message_bytes(LIMIT);
    let (mut near, mut far) = Talker::pair(dialect, &small)?;
    let format = near.wire.profile().format;
    let fits = near.say(&large(format, LIMIT - 512)?)?;
    let heard = far.hear(&fits)?;
    ensure(heard.len() == 1, || {
        format!("a message within the limit of {LIMIT} bytes did not arrive")
    })?;
    let refused = near
        .wire
        .encode(&large(format, LIMIT + 1)?, Lane::Data, &mut near.out);
    ensure(matches!(refused, Err(EncodeError::TooLarge { .. })), || {
        format!("a message above the limit of {LIMIT} bytes was {refused:?}")
    })?;
    ensure(near.out.is_empty(), || {
        "a message above the limit was written in part".to_owned()
    })?;

    // A peer that does not care for it: it may not have heard of the limit.
    let (mut careless, _) = Talker::pair(dialect, &Limits::DEFAULT)?;
    let bytes = careless.say(&large(format, 1 << 20)?)?;
    let mut taken = 0;
    for piece in bytes.chunks(PIECE) {
        taken += piece.len();
        match far.hear(piece) {
            Ok(heard) => ensure(heard.is_empty(), || {
                "a message above the limit was taken".to_owned()
            })?,
            Err(Broken::Wire(WireError::TooLarge { .. })) => return Ok(Shown::Holds),
            Err(other) => {
                return Err(Failure::new(format!(
                    "a message above the limit was refused as {other:?}"
                )));
            }
        }
        let held = far.waiting();
        ensure(held <= LIMIT + PIECE, || {
            format!("of a message above the limit of {LIMIT} bytes, {held} were gathered")
        })?;
    }
    ensure(far.ignored == 1, || {
        format!("{taken} bytes of a message above the limit of {LIMIT} were taken for padding")
    })?;
    let heard = far.hear(&fits)?;
    ensure(heard.len() == 1, || {
        "a small message behind one above the limit did not arrive".to_owned()
    })?;
    Ok(Shown::Holds)
}

/// An array in an array, and so on: so many of them.
fn nested(format: FormatId, depth: usize) -> Vec<u8> {
    let (open, innermost, close) = match format {
        FormatId::Json => (b"[" as &[u8], b"[]" as &[u8], b"]" as &[u8]),
        FormatId::MessagePack => (b"\x91" as &[u8], b"\x90" as &[u8], b"" as &[u8]),
        _ => (b"\x81" as &[u8], b"\x80" as &[u8], b"" as &[u8]),
    };
    let outer = depth.saturating_sub(1);
    [open.repeat(outer), innermost.to_vec(), close.repeat(outer)].concat()
}

/// Values that nest too deeply are refused: by the wire, or by whoever decodes what it hands on.
pub(super) fn depth(dialect: &dyn Dialect) -> Verdict {
    /// What a dialect may need for its own arrays around the params.
    const AROUND: usize = 4;
    let limits = Limits::DEFAULT;
    let (near, _) = Talker::pair(dialect, &limits)?;
    let decode = near.wire.profile().decode_limits(&limits);
    let most = usize::try_from(decode.max_depth).because("a depth")?;
    for (depth, fits) in [
        (most - AROUND, true),
        (most + 1, false),
        (most + 100, false),
        (100_000, false),
    ] {
        let (mut near, mut far) = Talker::pair(dialect, &limits)?;
        let format = near.wire.profile().format;
        let params = Payload::owned(format, nested(format, depth).into());
        let bytes = near.say(&Envelope::Request(request(7, params)))?;
        let taken = match far.hear(&bytes) {
            Ok(heard) => heard.iter().any(|envelope| {
                matches!(envelope, Envelope::Request(request)
                    if far.wire.format().scan(request.params.as_slice(), &decode).is_ok())
            }),
            Err(Broken::Wire(_)) => false,
            Err(contract) => return Err(contract.into()),
        };
        ensure(taken == fits, || {
            format!(
                "the limit is a depth of {most}: params of depth {depth} were {}",
                if taken { "taken" } else { "refused" }
            )
        })?;
    }
    Ok(Shown::Holds)
}

/// Messages that a driver reads right into a buffer of their own are the same as those that it does not.
pub(super) fn large_messages(dialect: &dyn Dialect) -> Verdict {
    for letters in [1_000, 70_000, 700_000] {
        for piece in [1_000, 64 << 10] {
            let (mut near, mut far) = Talker::pair(dialect, &Limits::DEFAULT)?;
            let format = near.wire.profile().format;
            let sent = large(format, letters)?;
            let bytes = near.say(&sent)?;
            let heard = fill(&mut far, &bytes, piece)?;
            let got = match heard.as_slice() {
                [Envelope::Request(got)] => got,
                other => {
                    return Err(Failure::new(format!(
                        "a message of {letters} letters in pieces of {piece} arrived as {} envelopes",
                        other.len()
                    )));
                }
            };
            let Envelope::Request(sent) = sent else {
                return Err(Failure::new("a request was made"));
            };
            ensure(got.params == sent.params, || {
                format!("a message of {letters} letters in pieces of {piece} was changed")
            })?;
        }
    }
    Ok(Shown::Holds)
}

/// Hears bytes as a driver does: what the wire wants to have aside is read aside.
fn fill(far: &mut Talker, bytes: &[u8], piece: usize) -> Result<Vec<Envelope<'static>>, Failure> {
    let mut heard = Vec::new();
    let mut input: Vec<u8> = Vec::new();
    let mut stream = bytes.chunks(piece);
    loop {
        let (len, envelope) = match far.wire.decode(&input) {
            Ok(Step::Envelope(len, envelope)) => (len, Some(envelope.into_owned())),
            Ok(Step::Skip(len) | Step::Ignore(len)) => (len, None),
            Ok(Step::Need(_)) => {
                if let Some(Fill {
                    skip,
                    mut buffer,
                    want,
                    ..
                }) = far.wire.begin_fill(&input)
                {
                    input.drain(..skip.min(input.len()));
                    let mut want = want;
                    while want > 0 {
                        if input.is_empty() {
                            let next = stream.next();
                            let next = next.because("it wants more than the message has")?;
                            input.extend_from_slice(next);
                        }
                        let len = want.min(input.len());
                        buffer.extend_from_slice(input.get(..len).unwrap_or_default());
                        input.drain(..len);
                        want -= len;
                    }
                    let filled = far.wire.filled(buffer);
                    heard.extend(filled.because("a message that was read aside")?);
                    continue;
                }
                match stream.next() {
                    Some(next) => {
                        input.extend_from_slice(next);
                        continue;
                    }
                    None if input.is_empty() => return Ok(heard),
                    None => return Err(Failure::new("it needs more than the message has")),
                }
            }
            Err(error) => {
                return Err(Failure::new(format!(
                    "a large message is not understood: {error:?}"
                )));
            }
        };
        ensure(len > 0 && len <= input.len(), || {
            format!("it took {len} of {} bytes", input.len())
        })?;
        input.drain(..len);
        heard.extend(envelope);
    }
}
