//! Cases of transports that are dialled.

use super::ends::{End, Listening, Source, accept};
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use mynah_protocol::EvidenceKey;
use std::future::poll_fn;
use std::task::Poll;

/// The listener says where it is, in words that name its transport; both sides know an address.
pub(super) async fn address<E: End>(source: &Source<E>) -> Verdict {
    let mut listening = source.listen().await?;
    let address = listening.listener.address();
    let (_near, far) = listening.connect().await?;
    let kind = far.evidence().text(EvidenceKey::TRANSPORT);
    let kind = kind.because("the far side has no evidence of its transport")?;
    let behind = address.strip_prefix(kind);
    ensure(
        behind.is_some_and(|behind| behind.len() > 1 && behind.starts_with(':')),
        || format!("\"{address}\" is no address of {kind}: it begins with {kind}: and goes on"),
    )?;
    ensure(!address.chars().any(char::is_control), || {
        format!("{address:?} has control characters")
    })?;
    ensure(address == listening.listener.address(), || {
        "the address changes".to_owned()
    })?;
    Ok(Shown::Holds)
}

/// A dial that comes before anybody accepts is accepted later, and so is the one after it.
pub(super) async fn dial_before_accept<E: End>(source: &Source<E>) -> Verdict {
    let mut listening = source.listen().await?;
    for number in 0..2 {
        let mut dial = listening.dialer.dial();
        let early = poll_fn(|cx| Poll::Ready(dial.as_mut().poll(cx))).await;
        let listener = &mut *listening.listener;
        let (mut near, mut far) = match early {
            Poll::Ready(near) => (near?, accept(listener).await?),
            Poll::Pending => Listening::meet(dial, listener).await?,
        };
        check_pair(&mut near, &mut far, number).await?;
    }
    Ok(Shown::Holds)
}

/// Whoever stops to wait for a connection loses none.
pub(super) async fn accept_dropped<E: End>(source: &Source<E>) -> Verdict {
    let mut listening = source.listen().await?;
    for number in 0..4 {
        for _ in 0..3 {
            let early = poll_fn(|cx| Poll::Ready(listening.listener.poll_accept(cx))).await;
            ensure(early.is_pending(), || {
                "something was accepted that nobody dialled".to_owned()
            })?;
        }
        let (mut near, mut far) = listening.connect().await?;
        check_pair(&mut near, &mut far, number).await?;
    }
    Ok(Shown::Holds)
}

/// A dial that is given up at any await leaves nothing open.
pub(super) async fn dial_dropped<E: End>(source: &Source<E>) -> Verdict {
    const MOST: u32 = 20;
    for polls in 1..=MOST {
        let mut listening = source.listen().await?;
        let mut dial = listening.dialer.dial();
        let mut done = None;
        for _ in 0..polls {
            let polled = poll_fn(|cx| Poll::Ready(dial.as_mut().poll(cx))).await;
            if let Poll::Ready(dialled) = polled {
                done = Some(dialled);
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(dial);
        let finished = done.is_some();
        // Done or not, nobody has it any more.
        drop(done);

        let (mut near, first) = listening.connect().await?;
        near.say(42).await?;
        let mut next = Some(first);
        let mut found = false;
        for _ in 0..2 {
            let mut far = match next.take() {
                Some(far) => far,
                None => listening.accept().await?,
            };
            match far.hear().await {
                Some(42) => {
                    found = true;
                    break;
                }
                Some(other) => return Err(Failure::new(format!("42 was said, {other} heard"))),
                // The one that was given up: it is at its end.
                None => {}
            }
        }
        ensure(found, || {
            format!("the dial after one that was dropped after {polls} polls reached nobody")
        })?;
        if finished {
            break;
        }
    }
    Ok(Shown::Holds)
}

/// Many at once, each with a peer of its own.
pub(super) async fn many_dials<E: End>(source: &Source<E>) -> Verdict {
    const MANY: u8 = 50;
    let mut listening = source.listen().await?;
    let mut seen = [false; MANY as usize];
    let mut ends = Vec::new();
    for number in 0..MANY {
        let (mut near, far) = listening.connect().await?;
        near.say(number).await?;
        ends.push((near, far));
    }
    for (_, far) in &mut ends {
        let number = far.hear().await.because("an accepted connection is dead")?;
        let slot = seen.get_mut(usize::from(number));
        let slot = slot.because("a number was heard that nobody said")?;
        ensure(!std::mem::replace(slot, true), || {
            format!("{number} was heard by two")
        })?;
        far.say(number).await?;
    }
    for (number, (near, _)) in (0..MANY).zip(&mut ends) {
        let heard = near.hear().await;
        ensure(heard == Some(number), || {
            format!("{number} was said, and {heard:?} came back")
        })?;
    }
    Ok(Shown::Holds)
}

/// Where nobody listens any more, a dial fails.
pub(super) async fn nobody_listens<E: End>(source: &Source<E>) -> Verdict {
    /// Somebody else may take an address that has become free; hardly so often.
    const TRIES: u32 = 3;
    for _ in 0..TRIES {
        let mut listening = source.listen().await?;
        let ends = listening.connect().await?;
        drop(ends);
        drop(listening.listener);
        if listening.dialer.dial().await.is_err() {
            return Ok(Shown::Holds);
        }
    }
    Err(Failure::new("a dial succeeds where nobody listens"))
}

/// What one says, the other hears, both ways.
async fn check_pair<E: End>(near: &mut E, far: &mut E, number: u8) -> Result<(), Failure> {
    near.say(number).await?;
    let heard = far.hear().await;
    ensure(heard == Some(number), || {
        format!("{number} was said, and {heard:?} was heard")
    })?;
    far.say(number).await?;
    let heard = near.hear().await;
    ensure(heard == Some(number), || {
        format!("{number} was said, and {heard:?} came back")
    })
}
