//! Publishers and subscribers of a storm.

use super::actors::{check_end, until_over};
use super::service::sleep;
use super::world::World;
use mynah::prelude::*;
use mynah::{Events, Lag};
use mynah_testkit::Dice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Topics with what their publisher declares.
pub(crate) const TOPICS: [(&str, Lag); 5] = [
    ("block", Lag::Block),
    ("oldest", Lag::DropOldest),
    ("newest", Lag::DropNewest),
    ("latest", Lag::Latest),
    ("close", Lag::Close),
];

pub(crate) fn declare(events: &Events, dice: &mut Dice) {
    for (topic, lag) in TOPICS {
        events.declare(topic, lag, usize::try_from(1 + dice.up_to(20)).unwrap());
    }
}

pub(crate) fn subscribers(events: &Events) -> usize {
    let topics = TOPICS.iter().map(|(topic, _)| *topic);
    topics.map(|topic| events.subscribers(topic)).sum()
}

/// Publishes numbers without a gap under one topic until it is told to stop.
pub(crate) async fn publish(
    world: Arc<World>,
    events: Events,
    topic: &'static str,
    mut dice: Dice,
    stop: Arc<AtomicBool>,
) {
    let mut number = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        // Long storms are not of events alone.
        sleep(dice.up_to(60 + number / 10)).await;
        for _ in 0..=dice.up_to(30) {
            let published = events.publish(topic, &(number, "x".repeat(20))).await;
            world.check(published.is_ok(), || format!("{published:?}"));
            number += 1;
        }
    }
}

/// Emits numbers without a gap, a few at a time.
pub(crate) async fn emit(world: Arc<World>, peer: Peer, mut dice: Dice, stop: Arc<AtomicBool>) {
    let mut number = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        sleep(dice.up_to(60 + number / 10)).await;
        for _ in 0..=dice.up_to(5) {
            match peer.emit("numbers", &number) {
                Ok(()) => number += 1,
                Err(CallError::Busy { .. } | CallError::Misuse(_)) => {}
                Err(CallError::Unsupported { .. } | CallError::Disconnected(_)) => return,
                Err(error) => return world.wrong(format!("emit: {error:?}")),
            }
        }
    }
}

/// Subscribes again and again.
pub(crate) async fn subscribe(world: Arc<World>, peer: Peer, mut dice: Dice, rounds: u64) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let me = NEXT.fetch_add(1, Ordering::SeqCst);
    for _ in 0..rounds {
        sleep(dice.up_to(100)).await;
        let (topic, declared) = dice.pick(&TOPICS);
        let mut subscribe = peer.subscribe::<(u64, String)>(topic);
        let mut lag = declared;
        if dice.once_in(2) {
            let own = [Lag::DropOldest, Lag::DropNewest, Lag::Latest, Lag::Close];
            lag = dice.pick(&own);
            subscribe = subscribe.lag(lag);
        }
        if dice.once_in(2) {
            subscribe = subscribe.capacity(dice.up_to(40));
        }
        let give_up = dice.once_in(5).then(|| dice.millis(50));
        let give_up = give_up.unwrap_or(Duration::from_secs(3600));
        let made = until_over(subscribe.into_future(), tokio::time::sleep(give_up)).await;
        let mut messages = match made {
            None => continue,
            Some(Ok(messages)) => messages,
            Some(Err(CallError::Busy { .. })) if world.crowded => continue,
            Some(Err(error)) => {
                let fine = world.is_over() || matches!(error, CallError::Deadline);
                world.check(fine, || format!("{me} subscribes to {topic}: {error:?}"));
                world.note("refused");
                continue;
            }
        };
        let (mut last, mut dropped) = (None, 0);
        for _ in 0..dice.up_to(60) {
            if dice.once_in(5) {
                sleep(dice.up_to(400)).await;
            }
            let next = until_over(messages.next(), tokio::time::sleep(Duration::from_secs(2)));
            match next.await {
                None => continue,
                Some(None) => {
                    world.check(world.is_over(), || format!("{topic} has an end"));
                    break;
                }
                Some(Some(Ok((number, text)))) => {
                    world.check(text.len() == 20, || format!("{topic}: {text}"));
                    let gap = messages.dropped() - dropped;
                    dropped = messages.dropped();
                    if let Some(last) = last {
                        world.check(number == last + 1 + gap, || {
                            format!("{topic} {lag:?}: {number} after {last}, {gap} dropped")
                        });
                    }
                    world.check(lag != Lag::Block || gap == 0, || {
                        format!("{topic}: {gap} dropped where the publisher waits")
                    });
                    last = Some(number);
                }
                Some(Some(Err(reason))) => {
                    check_end(&world, &(me, topic, lag), &reason, lag == Lag::Close);
                    break;
                }
            }
        }
        world.note(topic);
    }
}

/// Listens to what the other side emits.
pub(crate) async fn listen(world: Arc<World>, peer: Peer, mut dice: Dice, rounds: u64) {
    for _ in 0..rounds {
        sleep(dice.up_to(100)).await;
        let mut messages = match peer.listen::<u64>("numbers") {
            Ok(messages) => messages,
            Err(CallError::Misuse(_)) => continue,
            Err(CallError::Unsupported { .. }) => return,
            Err(error) => return world.wrong(format!("listen: {error:?}")),
        };
        let (mut last, mut dropped) = (None, 0);
        for _ in 0..dice.up_to(30) {
            sleep(dice.up_to(30)).await;
            let next = until_over(messages.next(), tokio::time::sleep(Duration::from_secs(2)));
            match next.await {
                None => continue,
                Some(Some(Ok(number))) => {
                    let gap = messages.dropped() - dropped;
                    dropped = messages.dropped();
                    if let Some(last) = last {
                        world.check(number == last + 1 + gap, || {
                            format!("emitted {number} after {last}, {gap} dropped")
                        });
                    }
                    last = Some(number);
                }
                Some(Some(Err(reason))) => {
                    check_end(&world, &"listener", &reason, false);
                    break;
                }
                Some(None) => {
                    world.check(world.is_over(), || "a listener has an end".to_owned());
                    break;
                }
            }
        }
    }
}
