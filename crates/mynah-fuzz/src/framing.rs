//! What framings hold true of any byte stream.

use mynah_codec::framing::{
    CborSequence, Cut, HeaderFraming, JsonSequence, LastLine, LengthFraming, LineFraming,
    MessagePackSequence,
};
use mynah_codec::{FrameError, Framing};
use mynah_protocol::DecodeLimits;

/// Small enough for inputs of the fuzzer to reach it.
const LIMIT: usize = 512;

/// The frames do not depend on how the bytes arrive, and what was cut out can be enclosed and cut out again.
///
/// The first byte says which framing; the second, in how many bytes at a time the rest arrives.
pub fn framing(bytes: &[u8]) {
    let Some((&[choice, size], stream)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let make = || make(choice);
    let at_once = frames(&mut *make(), stream, stream.len());
    let in_parts = frames(&mut *make(), stream, size.into());
    assert_eq!(at_once, in_parts, "at once, and {size} bytes at a time");

    let mut again = Vec::new();
    for frame in &at_once.0 {
        let start = again.len();
        again.extend_from_slice(frame);
        let enclosed = make().enclose(&mut again, start);
        assert!(enclosed.is_ok(), "{frame:02x?}: {enclosed:?}");
    }
    let (frames, error) = frames(&mut *make(), &again, again.len());
    assert_eq!((frames, error), (at_once.0, None), "enclosed again");
}

fn make(choice: u8) -> Box<dyn Framing> {
    let limits = DecodeLimits {
        max_message_bytes: LIMIT,
        ..DecodeLimits::DEFAULT
    };
    match choice % 7 {
        0 => Box::new(LengthFraming::new(LIMIT)),
        1 => Box::new(LineFraming::new(LIMIT)),
        2 => Box::new(LineFraming::new(LIMIT).with_last_line(LastLine::MayBeOpen)),
        3 => Box::new(HeaderFraming::new(LIMIT)),
        4 => Box::new(CborSequence::new(limits)),
        5 => Box::new(JsonSequence::new(limits)),
        _ => Box::new(MessagePackSequence::new(limits)),
    }
}

/// All frames, and what ended them if not the end of the stream.
fn frames(framing: &mut dyn Framing, stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Option<String>) {
    let (mut start, mut there) = (0, 0);
    let mut frames = Vec::new();
    loop {
        let mut cut = framing.cut(&stream[start..there]);
        if let Ok(Cut::Need(more)) = cut {
            assert!(more > 0, "needs nothing and does not go on");
            if there < stream.len() {
                there = stream.len().min(there + size.max(1));
                continue;
            }
            cut = match framing.finish(&stream[start..]) {
                Ok(Some(cut)) => Ok(cut),
                Ok(None) => return (frames, None),
                Err(error) => Err(error),
            };
        }
        match cut {
            Ok(Cut::Need(_)) => panic!("the end of a stream needs no more"),
            Ok(Cut::Skip(blank)) => {
                assert!(blank > 0 && start + blank <= there);
                start += blank;
            }
            Ok(Cut::Frame {
                start: from,
                content_end,
                end,
            }) => {
                assert!(end > 0 && from <= content_end && content_end <= end);
                assert!(content_end - from <= LIMIT, "beyond the limit");
                frames.push(stream[start + from..start + content_end].to_vec());
                start += end;
            }
            Err(error) => return (frames, Some(kind(&error))),
        }
    }
}

/// The error without what depends on how much had come.
fn kind(error: &FrameError) -> String {
    match error {
        FrameError::TooLarge { .. } => "too large".to_owned(),
        FrameError::Value(error) => format!("{:?}", error.kind()),
        other => other.to_string(),
    }
}
