//! L5: a conversation cut at every byte.

use super::raw::{Raw, taken};
use super::{CallCase, Joint, cases};
use crate::Failure;
use crate::failure::{Because as _, Shown, Verdict, ensure};
use mynah_protocol::{Envelope, Lane, Limits};
use tokio::io::AsyncWriteExt as _;

pub(super) const CASES: &[CallCase] = cases! { l5_fragments };

/// L5: what a caller says, in two parts at every byte and byte by byte, gets the same answer. Of what is long (padding),
/// the middle is left out.
async fn l5_fragments(joint: &Joint<'_>) -> Verdict {
    const EDGE: usize = 300;
    let mut len = usize::MAX;
    let mut cut = 1;
    let mut whole = None;
    while cut <= len {
        let (said, answer) = talk(joint, Some(cut)).await?;
        len = said;
        let whole = whole.get_or_insert_with(|| answer.clone());
        ensure(*whole == answer, || {
            format!("cut at byte {cut} of {said}, the answer was {answer:?} instead of {whole:?}")
        })?;
        cut += 1;
        if cut > EDGE && cut + EDGE < len {
            cut = len - EDGE;
        }
    }
    let (_, answer) = talk(joint, None).await?;
    ensure(whole.as_ref() == Some(&answer), || {
        format!("byte by byte, the answer was {answer:?}")
    })?;
    Ok(Shown::Holds)
}

/// Says everything that a caller has to say for one call: in two parts, or byte by byte. Returns how many bytes it
/// was, and the answer.
async fn talk(
    joint: &Joint<'_>,
    cut: Option<usize>,
) -> Result<(usize, Envelope<'static>), Failure> {
    let dialect = joint.dialect.because("there is no dialect")?;
    let (mut raw, far, _seen) = joint.join_raw(&Limits::DEFAULT).await?;
    let request = raw.call(7, "echo", "in parts")?;
    let Raw::Bytes { end, wire, out, .. } = &mut raw else {
        return Err(Failure::new(format!("{dialect:?} is spoken over no bytes")));
    };
    wire.own_output(out);
    wire.encode(&request, Lane::Data, out)
        .because("write a request")?;
    let bytes = taken(out);
    let parts: Vec<&[u8]> = match cut {
        Some(cut) => {
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            vec![one, two]
        }
        None => bytes.chunks(1).collect(),
    };
    for part in parts {
        end.write_all(part).await.because("write a part")?;
        end.flush().await.because("flush")?;
        // The other side gets its turns in between.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    let len = bytes.len();
    while let Some(envelope) = raw.next().await? {
        if matches!(envelope, Envelope::Response(_)) {
            drop(far);
            return Ok((len, envelope));
        }
    }
    Err(Failure::new("the end came where an answer was due"))
}
