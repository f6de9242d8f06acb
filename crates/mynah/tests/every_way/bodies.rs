//! What is said through the methods of the desk. Each body gives what it has seen.

use super::links::There;
use super::said::{Answer, AtDesk, Items, until};
use super::service::{DeskError, LONG, Order};
use futures::StreamExt as _;
use mynah::prelude::*;
use std::fmt::Debug;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a body has seen, in order.
pub(crate) type Seen = Vec<String>;

/// Soon, and never the reason for which something else does not happen.
const SOON: Duration = Duration::from_millis(40);

/// How a call has ended.
fn end<T: Debug, E: mynah::DomainError>(answer: Result<T, CallError<E>>) -> String {
    let error = match answer {
        Ok(value) => return format!("{value:?}"),
        Err(error) => error.map_application(mynah::DomainError::into_rpc),
    };
    let says = |who: &str, error: &RpcError| {
        let data = error.data().map(|data| format!(" {data:?}"));
        let text = format!("{}{}", error.message(), data.unwrap_or_default());
        format!("{who} {} {}", error.code().value(), unnumbered(&text))
    };
    // Whichever of the two it is.
    if let CallError::Application(said) | CallError::Remote(said) = &error {
        assert_eq!(error.rpc_error(), Some(said));
        assert_eq!(error.code(), Some(said.code()));
    }
    match &error {
        CallError::Application(error) => says("application", error),
        CallError::Remote(error) => says("remote", error),
        CallError::Unsupported { feature, .. } => format!("no {feature}"),
        CallError::Decode(error) => format!("decode: {}", error.detail()),
        other => format!("{other:?}"),
    }
}

/// Without what is another number each time, or in another spelling of the params.
fn unnumbered(text: &str) -> String {
    let mut said = text.to_owned();
    for (what, placeholder) in [("incident ", "INCIDENT"), (" at byte ", "")] {
        while let Some((before, number)) = said.split_once(what) {
            let after = number.trim_start_matches(|it: char| it.is_ascii_hexdigit() || it == '-');
            said = format!("{before}{placeholder}{after}");
        }
    }
    said
}

async fn all<T: Debug>(mut items: Items<T>) -> Seen {
    let mut seen = Vec::new();
    while let Some(item) = items.next().await {
        seen.push(end(item));
        assert!(seen.len() < 100, "it has no end: {seen:?}");
    }
    // It stays over.
    assert!(items.next().await.is_none());
    seen
}

pub(crate) async fn unary(desk: &impl AtDesk, _: &There) -> Seen {
    let order = Order {
        item: "tea".to_owned(),
        count: 2,
    };
    vec![
        end(desk.add(5, 10).await),
        end(desk.greet("Ada", None).await),
        end(desk.greet("Ada", Some("Dr")).await),
        end(desk.order(&order).await),
        end(desk.digest(vec![1, 2, 3]).await),
        end(desk.back(1, 2).await),
    ]
}

/// What was started runs once, however it is waited for.
pub(crate) async fn started(desk: &impl AtDesk, there: &There) -> Seen {
    let added = || there.clerk.added.load(Ordering::SeqCst);
    let before = added();
    let mut seen = vec![end(desk.add_started(1, 2).await)];
    // Behind whatever else was said.
    seen.push(end(desk.digest(Vec::new()).await));
    seen.push(format!("{} times", added() - before));
    seen
}

pub(crate) async fn errors(desk: &impl AtDesk, _: &There) -> Seen {
    let opened = desk.open("hall").await;
    if let Err(CallError::Application(error)) = &opened {
        let DeskError::Closed { what } = error;
        assert_eq!(what, "hall");
    }
    vec![
        end(desk.add(i64::MAX, 1).await),
        end(opened),
        end(desk.panics().await),
        end(desk.back(i64::MAX, 1).await),
        // The handler says so of calls that it has made itself.
        end(desk.fails(ErrorCode::DEADLINE_EXCEEDED).await),
        end(desk.fails(ErrorCode::CANCELLED).await),
        end(desk.fails(ErrorCode::BUSY).await),
        end(desk.fails(ErrorCode::INVALID_PARAMS).await),
    ]
}

pub(crate) async fn mistakes(desk: &impl AtDesk, _: &There) -> Seen {
    let mut seen = vec![
        end(desk.nope().await),
        end(desk.elsewhere().await),
        end(desk.misread().await),
        end(desk.count_once().await),
        end(desk.misheard().await),
    ];
    seen.extend(all(desk.nopes()).await);
    // A method with one result, called for a stream of them.
    seen.extend(all(desk.adds()).await);
    seen
}

pub(crate) async fn cancel(desk: &impl AtDesk, there: &There) -> Seen {
    let hanging = &there.clerk.hanging;
    let before = hanging.load(Ordering::SeqCst);
    let runs = || hanging.load(Ordering::SeqCst) == before + 1;
    let mut seen = vec![end(desk.hang_cancelled(&runs).await)];
    seen.push(still(there, before).await);
    let before = hanging.load(Ordering::SeqCst);
    let runs = || hanging.load(Ordering::SeqCst) == before + 1;
    desk.hang_dropped(&runs).await;
    seen.push(still(there, before).await);
    seen
}

/// Whether a handler runs on whose caller has gone.
async fn still(there: &There, before: usize) -> String {
    let hanging = || there.clerk.hanging.load(Ordering::SeqCst);
    if there.hears_cancel {
        until("it is stopped", &|| hanging() == before).await;
        return "stopped".to_owned();
    }
    assert_eq!(hanging(), before + 1);
    "runs on".to_owned()
}

pub(crate) async fn deadline(desk: &impl AtDesk, there: &There) -> Seen {
    let hanging = || there.clerk.hanging.load(Ordering::SeqCst);
    let before = hanging();
    let mut seen = vec![end(desk.hang_within(SOON).await)];
    if there.hears_cancel || there.hears_deadline {
        until("it is stopped", &|| hanging() == before).await;
    }
    let added = there.clerk.added.load(Ordering::SeqCst);
    seen.push(end(desk.add_within(Duration::ZERO).await));
    assert_eq!(there.clerk.added.load(Ordering::SeqCst), added);
    seen.push(end(desk.add_within(LONG).await));
    // The default of a client, one that is named, and none.
    let about = |left: Answer<Option<u64>>| match left.unwrap() {
        None => "none".to_owned(),
        Some(20_001..=30_000) => "thirty seconds".to_owned(),
        Some(1..=20_000) => "twenty seconds".to_owned(),
        Some(other) => format!("{other} ms"),
    };
    seen.push(about(desk.budget().await));
    seen.push(about(desk.budget_within(Some(LONG)).await));
    seen.push(about(desk.budget_within(None).await));
    seen
}

pub(crate) async fn streams(desk: &impl AtDesk, there: &There) -> Seen {
    let mut seen = all(desk.count(3)).await;
    seen.push(format!("{} items", all(desk.count(0)).await.len()));
    seen.extend(all(desk.breaks(2)).await);
    // Nobody takes the rest.
    let mut count = desk.count(u64::MAX);
    seen.push(format!("{:?}", count.next().await.map(end)));
    drop(count);
    let streaming = || there.clerk.streaming.load(Ordering::SeqCst);
    until("the producer is gone", &|| streaming() == 0).await;
    // No first item comes in time.
    seen.extend(all(desk.stalls(SOON)).await);
    until("the producer is gone", &|| streaming() == 0).await;
    seen
}

pub(crate) async fn inputs(desk: &impl AtDesk, _: &There) -> Seen {
    let mut seen = vec![
        end(desk.sum(2, vec![1, 2, 3]).await),
        end(desk.sum(2, Vec::new()).await),
        end(desk.sum(1, (1..=10_000).collect()).await),
        // It has no end; the other side takes one of it.
        end(desk.first(7..).await),
    ];
    seen.extend(all(desk.double(vec![1, 2, 3])).await);
    seen
}

pub(crate) async fn callbacks(desk: &impl AtDesk, _: &There) -> Seen {
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut seen = vec![end(desk.tell(3, 9, Arc::clone(&told)).await)];
    seen.push(format!("{:?}", told.lock().unwrap()));
    seen.push(end(desk.tell(3, 1, Arc::clone(&told)).await));
    seen.push(format!("{:?}", told.lock().unwrap()));
    seen
}

pub(crate) async fn events(desk: &impl AtDesk, _: &There) -> Seen {
    let mut seen = Vec::new();
    let mut rang = match desk.rang().await {
        Ok(rang) => rang,
        Err(error) => return vec![end(Err::<(), _>(error))],
    };
    let mut latest = desk.rang_latest().await.unwrap();
    // There at once, and ahead of the call that follows.
    let mut at_once = desk.rings();
    seen.push(end(desk.ring(3).await));
    for _ in 0..3 {
        seen.push(format!("{:?}", rang.next().await));
    }
    seen.push(format!("{:?}", at_once.next_within(LONG).await));
    // Nothing comes, and what comes later is not lost by that.
    seen.push(format!("{:?}", rang.next_within(SOON).await));
    seen.push(end(desk.ring(1).await));
    seen.push(format!("{:?}", rang.next_within(LONG).await));
    // What was heard and what was dropped add up.
    seen.push(end(desk.ring(1000).await));
    let mut heard = 0;
    while let Some(message) = latest.next().await {
        heard += 1;
        if message == Ok(999) {
            break;
        }
    }
    seen.push(format!("{}", heard + latest.dropped()));
    seen
}

pub(crate) async fn beside(desk: &impl AtDesk, _: &There) -> Seen {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ended = end(desk.steps(2, Arc::clone(&seen)).await);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.push(ended);
    seen.push(end(desk.label("team", "blue").await));
    seen
}

pub(crate) async fn notes(desk: &impl AtDesk, _: &There) -> Seen {
    let before = desk.noted().await.unwrap().len();
    if let Err(error) = desk.note("a").await {
        return vec![end(Err::<(), _>(error))];
    }
    let second = end(desk.note("b").await);
    // A notification is handled in the order of its connection, and another one in process may be slower.
    let began = std::time::Instant::now();
    loop {
        let noted = desk.noted().await.unwrap();
        if noted.len() == before + 2 {
            return vec![second, noted[before..].join(" ")];
        }
        assert!(began.elapsed() < LONG, "{noted:?}");
    }
}
