//! A peer that says too much.

use super::raw::{Raw, encoded};
use super::service::{Seen, echo};
use super::{CallCase, Joint, cases, eventually};
use crate::dialect::samples;
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use mynah_peer::{Peer, PeerStats};
use mynah_protocol::{
    Cancel, CancelReason, Envelope, Limits, MethodName, Notification, Response, WireId,
};
use std::sync::atomic::Ordering;

pub(super) const CASES: &[CallCase] = cases! {
    f1_calls_and_cancels, f2_nonsense, f3_burst,
};

/// Calls that a peer may have in flight.
const PERMITS: u32 = 16;

fn few() -> Limits {
    Limits::DEFAULT
        .with_calls_in_flight(PERMITS)
        .with_violation_budget(100)
}

/// What a flood left: the connection is of use or has ended, nothing ran beyond the limit, nothing is left, and
/// another connection knows nothing of it.
async fn aftermath(joint: &Joint<'_>, raw: Raw, far: &Peer, seen: &Seen) -> Result<(), Failure> {
    ensure(seen.most() <= PERMITS as usize, || {
        format!("{} handlers ran where {PERMITS} may", seen.most())
    })?;
    drop(raw);
    far.closed().await;
    seen.all_over().await?;
    let idle = PeerStats::default();
    eventually(
        || far.stats() == idle,
        || format!("after its end, something is in use: {:?}", far.stats()),
    )
    .await?;
    let other = joint.join().await?;
    let answer = echo(&other.near, "another").await;
    answer.because("a call over another connection").map(drop)
}

/// Says envelopes in portions, and hears all the while. Returns the answers that came, and whether the peer ended the
/// connection.
async fn flood(
    raw: &mut Raw,
    portions: impl IntoIterator<Item = Vec<Envelope<'static>>>,
    far: &Peer,
) -> Result<(u64, bool), Failure> {
    let mut answers = 0;
    let bound = few().output_high_water_bytes * 2;
    for portion in portions {
        let wanted = portion
            .iter()
            .filter(|envelope| matches!(envelope, Envelope::Request(_)))
            .count();
        if raw.send(&portion).await.is_err() {
            return Ok((answers, true));
        }
        let output = far.stats().output_bytes;
        ensure(output <= bound, || format!("{output} bytes of output wait"))?;
        for _ in 0..wanted {
            match answer(raw).await? {
                Some(()) => answers += 1,
                None => return Ok((answers, true)),
            }
        }
    }
    Ok((answers, false))
}

/// The next answer; `None` at the end.
async fn answer(raw: &mut Raw) -> Result<Option<()>, Failure> {
    while let Some(envelope) = raw.next().await? {
        match envelope {
            Envelope::Response(_) => return Ok(Some(())),
            Envelope::GoingAway(_) => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

/// F1: a flood of calls, each cancelled at once. Every one is answered, or the connection ends.
async fn f1_calls_and_cancels(joint: &Joint<'_>) -> Verdict {
    const PORTIONS: u64 = 100;
    const PAIRS: u64 = 40;
    let (mut raw, far, seen) = joint.join_raw(&few()).await?;
    if !raw.profile().capabilities.cancel {
        return Ok(Shown::Refused);
    }
    let mut portions = Vec::new();
    for portion in 0..PORTIONS {
        let mut said = Vec::new();
        for pair in 0..PAIRS {
            let id = portion * PAIRS + pair;
            said.push(raw.call(id, "wait", "[]")?);
            said.push(Envelope::Cancel(Cancel {
                id: WireId::Uint(id),
                reason: CancelReason::Caller,
            }));
        }
        portions.push(said);
    }
    let (answers, ended) = flood(&mut raw, portions, &far).await?;
    ensure(ended || answers == PORTIONS * PAIRS, || {
        format!(
            "{answers} of {} cancelled calls were answered",
            PORTIONS * PAIRS
        )
    })?;
    aftermath(joint, raw, &far, &seen).await?;
    Ok(Shown::Holds)
}

/// F2: floods of what means nothing, each kind that the wire carries. The peer stays of use, or ends the connection.
async fn f2_nonsense(joint: &Joint<'_>) -> Verdict {
    const PORTIONS: u64 = 20;
    const EACH: usize = 100;
    let (raw, ..) = joint.join_raw(&few()).await?;
    let profile = raw.profile().clone();
    drop(raw);
    for sample in nonsense(&profile)? {
        let kind = sample.kind();
        let (mut raw, far, seen) = joint.join_raw(&few()).await?;
        let mut portions = Vec::new();
        for portion in 0..PORTIONS {
            let mut said = vec![sample.clone(); EACH];
            // Each portion ends with a call, so that the flood does not outrun the peer.
            said.push(raw.call(portion, "echo", "still there")?);
            portions.push(said);
        }
        let flooded = flood(&mut raw, portions, &far).await;
        let (answers, ended) = flooded.because(&format!("a flood of {kind}"))?;
        ensure(ended || answers == PORTIONS, || {
            format!("a flood of {kind}: {answers} of {PORTIONS} calls were answered")
        })?;
        let after = aftermath(joint, raw, &far, &seen).await;
        after.because(&format!("a flood of {kind}"))?;
    }
    Ok(Shown::Holds)
}

/// Envelopes of every kind that say something of what is not there.
fn nonsense(profile: &mynah_protocol::Profile) -> Result<Vec<Envelope<'static>>, Failure> {
    let mut nonsense = Vec::new();
    for sample in samples::of(profile)? {
        let keep = samples::carries(&profile.capabilities, &sample)
            && !matches!(
                sample,
                Envelope::Request(_) | Envelope::Hello(_) | Envelope::GoingAway(_)
            );
        if keep {
            nonsense.push(sample);
        }
    }
    nonsense.push(Envelope::Response(Response {
        id: WireId::Uint(1 << 40),
        result: Ok(encoded(profile.format, "nobody asked")?),
    }));
    if profile.capabilities.notifications {
        nonsense.push(Envelope::Notification(Notification {
            name: MethodName::from(("testkit", "nowhere")),
            id: None,
            metadata: mynah_protocol::Metadata::new(),
            params: encoded(profile.format, &[(); 0])?,
        }));
    }
    Ok(nonsense)
}

/// F3: many calls in one write. Every one is answered, some of them busy.
async fn f3_burst(joint: &Joint<'_>) -> Verdict {
    const CALLS: u64 = 5_000;
    let (mut raw, far, seen) = joint.join_raw(&few()).await?;
    let mut burst = Vec::new();
    for id in 0..CALLS {
        burst.push(raw.call(id, "echo", "x")?);
    }
    // Said in pieces, so that a carrier with little room can be heard meanwhile.
    let portions: Vec<Vec<_>> = match &raw {
        Raw::Bytes { .. } => vec![burst],
        Raw::Envelopes(_) => burst.chunks(16).map(<[_]>::to_vec).collect(),
    };
    let (answers, ended) = flood(&mut raw, portions, &far).await?;
    ensure(ended || answers == CALLS, || {
        format!("{answers} of {CALLS} calls were answered")
    })?;
    let ran = seen.echoes.load(Ordering::SeqCst);
    ensure(ran > 0, || "not one of them ran".to_owned())?;
    aftermath(joint, raw, &far, &seen).await?;
    Ok(Shown::Holds)
}
