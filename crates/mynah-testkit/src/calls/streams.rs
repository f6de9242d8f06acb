//! Streams, callbacks and events.

use super::kinds::refused;
use super::service::{Each, ask, count, double, echo, next, sum, tell};
use super::{CallCase, Far, Joint, cases, eventually};
use crate::Failure;
use crate::failure::{Because as _, Shown, Verdict, ensure};
use mynah_protocol::Limits;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) const CASES: &[CallCase] = cases! {
    result_streams, input_streams, two_way_streams, callbacks, events,
};

const ITEMS: u64 = 3_000;

/// Windows that are used up many times.
fn narrow() -> Limits {
    Limits::DEFAULT.with_stream_items(64)
}

/// Items of a result arrive in order, and all of them; dropped in the middle, the stream ends on both sides.
async fn result_streams(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join_within(&narrow(), &narrow()).await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let mut items = count(&joined.near, ITEMS);
    if !joined.profile.capabilities.streams {
        let first = next(&mut items).await;
        return refused("a stream", first.because("a stream that is not carried")?);
    }
    for expected in 0..ITEMS {
        let item = next(&mut items).await;
        let item = item.because(&format!("the stream ended where {expected} was due"))?;
        let item = item.because("an item")?;
        ensure(item == expected, || {
            format!("{item} came where {expected} was due")
        })?;
    }
    let end = next(&mut items).await;
    ensure(end.is_none(), || {
        format!("{end:?} came where the end was due")
    })?;

    let mut endless = count(&joined.near, u64::MAX);
    for _ in 0..200 {
        let item = next(&mut endless).await;
        item.because("an endless stream ended")?
            .because("an item")?;
    }
    drop(endless);
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// Items of the caller arrive in order, and all of them.
async fn input_streams(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join_within(&narrow(), &narrow()).await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let summed = sum(&joined.near, Each(0..ITEMS)).await;
    if !joined.profile.capabilities.streams {
        return refused("a stream of the caller", summed);
    }
    let summed = summed.because("a call with a stream")?;
    ensure(summed == ITEMS * (ITEMS - 1) / 2, || {
        format!("the sum of the items was {summed}")
    })?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// Both at once.
async fn two_way_streams(joint: &Joint<'_>) -> Verdict {
    let joined = joint.join_within(&narrow(), &narrow()).await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let mut doubled = double(&joined.near, Each(0..ITEMS));
    if !joined.profile.capabilities.streams {
        let first = next(&mut doubled).await;
        return refused(
            "streams both ways",
            first.because("streams that are not carried")?,
        );
    }
    for number in 0..ITEMS {
        let item = next(&mut doubled).await;
        let item = item.because(&format!("the stream ended where {} was due", number * 2))?;
        let item = item.because("an item")?;
        ensure(item == number * 2, || {
            format!("{item} came where {} was due", number * 2)
        })?;
    }
    let end = next(&mut doubled).await;
    ensure(end.is_none(), || {
        format!("{end:?} came where the end was due")
    })?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// Functions that are passed as params are told something, and asked for something.
async fn callbacks(joint: &Joint<'_>) -> Verdict {
    const COUNT: u64 = 200;
    let joined = joint.join().await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let teller = {
        let told = Arc::clone(&told);
        move |number| {
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(number);
        }
    };
    let ended = tell(&joined.near, COUNT, teller).await;
    if !joined.profile.capabilities.callbacks {
        return refused("a callback", ended);
    }
    ended.because("a call with a callback")?;
    // What is told comes before the result.
    let told = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure(told == (0..COUNT).collect::<Vec<_>>(), || {
        format!(
            "{} of {COUNT} were told before the end, or out of order",
            told.len()
        )
    })?;
    let answer = ask(&joined.near, 41).await;
    let answer = answer.because("a call with a callback that answers")?;
    ensure(answer == 42, || {
        format!("the callback's answer was {answer}")
    })?;
    joined.idle().await?;
    Ok(Shown::Carried)
}

/// What one side publishes reaches who subscribed, in order.
async fn events(joint: &Joint<'_>) -> Verdict {
    const COUNT: u64 = 100;
    let joined = joint.join().await?;
    echo(&joined.near, "ready").await.because("a call")?;
    let subscribed = joined.near.subscribe::<u64>("ticks").await;
    if !joined.profile.capabilities.events {
        return refused("an event", subscribed);
    }
    let mut heard = subscribed.because("subscribe")?;
    for number in 0..COUNT {
        match &joined.far {
            Far::One(far) if joined.profile.capabilities.streams => {
                let published = far.publisher().publish("ticks", &number).await;
                published.because("publish")?;
            }
            // A wire on which nobody subscribes: what is emitted is heard.
            Far::One(far) => far.emit("ticks", &number).because("emit")?,
            Far::Group(servers) => {
                let server = servers.first().because("there is a server")?;
                let published = server.broadcast("ticks", &number).await;
                published.because("publish")?;
            }
        }
    }
    for expected in 0..COUNT {
        match heard.next().await {
            Some(Ok(number)) if number == expected => {}
            other => {
                return Err(Failure::new(format!(
                    "{other:?} was heard where {expected} was due"
                )));
            }
        }
    }
    drop(heard);
    if let Far::One(far) = &joined.far {
        let left = || far.publisher().subscribers("ticks");
        eventually(
            || left() == 0,
            || format!("{} are still subscribed", left()),
        )
        .await?;
    }
    joined.idle().await?;
    Ok(Shown::Carried)
}
