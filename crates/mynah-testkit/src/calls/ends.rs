//! How calls and connections end.

use super::service::{echo, grow, hold, wait};
use super::{CallCase, Far, Joint, cases};
use crate::Failure;
use crate::failure::{Because as _, Shown, Verdict, ensure};
use mynah_codec::Side;
use mynah_peer::{CallError, Peer};
use mynah_protocol::{Envelope, Limits};
use std::future::{IntoFuture as _, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

pub(super) const CASES: &[CallCase] = cases! {
    cancel, drain, limits, vanishing_caller, vanishing_callee, close,
};

/// A call that is dropped stops its handler, where the wire says it.
async fn cancel(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let calls: Vec<_> = (0..10).map(|_| wait(&joined.near).start()).collect();
    joined.far_seen.waiting(10).await?;
    drop(calls);
    let answer = echo(&joined.near, "and on").await;
    answer.because("a call after others were dropped")?;
    let waiting = joined.near.stats().calls_waiting;
    ensure(waiting == 0, || {
        format!("{waiting} dropped calls still wait")
    })?;
    if !joined.profile.capabilities.cancel {
        return Ok(Shown::Kept);
    }
    joined.far_seen.all_over().await?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// A server that drains finishes what runs, and takes nothing new.
async fn drain(joint: &Joint<'_>) -> Verdict {
    let (near, server, seen) = joint.serve().await?;
    let held = hold(&near).start();
    seen.waiting(1).await?;
    let mut drained = pin!(server.drain(Duration::from_secs(60)));
    for _ in 0..20 {
        let early = poll_fn(|cx| Poll::Ready(drained.as_mut().poll(cx))).await;
        ensure(early.is_pending(), || {
            "the drain was over while a call ran".to_owned()
        })?;
        tokio::task::yield_now().await;
    }
    seen.gate.send_replace(true);
    let (report, held) = tokio::join!(drained, held);
    let held = held.because("a call that ran when the drain began")?;
    ensure(held, || "its result was changed".to_owned())?;
    ensure(report.is_complete(), || format!("it was cut: {report}"))?;
    // Behind a group nobody may ever come who takes it.
    let refused = echo(&near, "new").deadline(Duration::from_secs(1)).await;
    ensure(refused.is_err(), || {
        "a call was answered after the drain".to_owned()
    })?;
    if joint.group.is_none() {
        near.closed().await;
    }
    Ok(Shown::Holds)
}

/// A message above the limit of who receives it reaches nobody, either way, and nothing hangs.
async fn limits(joint: &Joint<'_>) -> Verdict {
    const LIMIT: usize = 64 << 10;
    let small = Limits::DEFAULT.with_max_message_bytes(LIMIT);
    let joined = joint.join_within(&Limits::DEFAULT, &small).await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let large = echo(&joined.near, "x".repeat(1 << 20)).await;
    ensure(large.is_err(), || {
        format!("params of 1 MiB were taken by a side whose limit is {LIMIT}")
    })?;
    let ran = joined.far_seen.echoes.load(Ordering::SeqCst);
    ensure(ran == 1, || {
        "a message above the limit ran a handler".to_owned()
    })?;
    still_of_use(&joined.near).await?;

    let joined = joint.join_within(&small, &Limits::DEFAULT).await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let large = grow(&joined.near, 1 << 20).await;
    ensure(large.is_err(), || {
        format!("an answer of 1 MiB was taken by a side whose limit is {LIMIT}")
    })?;
    still_of_use(&joined.near).await?;
    Ok(Shown::Holds)
}

/// The connection goes on, or it has ended: a call on it does not hang.
async fn still_of_use(peer: &Peer) -> Result<(), Failure> {
    match echo(peer, "and on").await {
        Ok(answer) => ensure(answer == "and on", || format!("the answer was {answer:?}")),
        Err(CallError::Disconnected(_) | CallError::Indeterminate(_)) => {
            peer.closed().await;
            Ok(())
        }
        Err(other) => Err(Failure::new(format!(
            "after a message above the limit, a small call ended with {other:?}"
        ))),
    }
}

/// A caller that vanishes without a word stops its handlers.
async fn vanishing_caller(joint: &Joint<'_>) -> Verdict {
    let (mut raw, far, seen) = joint.join_raw(&Limits::DEFAULT).await?;
    raw.request(1, "wait", "[]").await?;
    seen.waiting(1).await?;
    drop(raw);
    far.closed().await;
    seen.all_over().await?;
    Ok(Shown::Holds)
}

/// A callee that vanishes without a word ends the calls that wait for it, as such whose outcome nobody knows.
async fn vanishing_callee(joint: &Joint<'_>) -> Verdict {
    let (near, far) = (joint.open)().await?;
    let near = near.peer(Side::Dial).start().because("start a peer")?;
    let mut raw = super::Raw::new(far, Side::Accept);
    let mut call = wait(&near).into_future();
    {
        let mut arrived = pin!(async {
            while let Some(envelope) = raw.next().await? {
                if matches!(envelope, Envelope::Request(_)) {
                    return Ok::<_, Failure>(());
                }
            }
            Err(Failure::new("the end came where a request was due"))
        });
        poll_fn(|cx| {
            // Polled, it is sent; it does not end, or ends too early.
            if let Poll::Ready(ended) = std::pin::Pin::new(&mut call).poll(cx) {
                let what = format!("the call ended with {ended:?} while its peer was there");
                return Poll::Ready(Err(Failure::new(what)));
            }
            arrived.as_mut().poll(cx)
        })
        .await?;
    }
    drop(raw);
    let ended = call.await;
    ensure(matches!(ended, Err(CallError::Indeterminate(_))), || {
        format!("a call whose peer vanished ended with {ended:?}")
    })?;
    near.closed().await;
    Ok(Shown::Holds)
}

/// A side that closes says what waits, and the other side hears the end.
async fn close(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join().await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let (running, callee) = match &joined.far {
        Far::One(far) => (wait(far).start(), &joined.near_seen),
        Far::Group(_) => (wait(&joined.near).start(), &joined.far_seen),
    };
    callee.waiting(1).await?;
    joined.near.close();
    let ended = running.await;
    ensure(ended.is_err(), || {
        "a call was answered by a side that is closed".to_owned()
    })?;
    joined.near.closed().await;
    if let Far::One(far) = &joined.far {
        far.closed().await;
        joined.near_seen.all_over().await?;
    }
    Ok(Shown::Holds)
}
