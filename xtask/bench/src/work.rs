//! What one connection does, again and again, until the phase is over.

use crate::pace::{Amount, Load, Pace, Tally};
use crate::workload::{self, Seen, Taken};
use crate::{Contender, Failure};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn one_call<C: Contender>(connection: &C) -> Result<(), Failure> {
    let load = Load {
        in_flight: 1,
        pace: Arc::new(Pace::new(Amount::Calls(1))),
        latencies: false,
    };
    connection.load(&load).await.map(drop)
}

/// One stream after the other.
pub(crate) async fn streams<C: Contender>(
    connection: C,
    load: Load,
    expected: Taken,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while load.pace.claim(1) == 1 {
        let taken = connection.numbers(expected.items).await?;
        if taken != expected {
            return Err(format!("a stream brought {taken:?}, not {expected:?}").into());
        }
        tally.calls += taken.items;
    }
    Ok(tally)
}

/// One task for each payload in flight.
pub(crate) async fn blobs<C: Contender>(
    connection: C,
    load: Load,
    payloads: [Bytes; 2],
) -> Result<Tally, Failure> {
    let tasks: Vec<_> = (0..load.in_flight)
        .map(|_| {
            let (connection, pace) = (connection.clone(), load.pace.clone());
            let payloads = payloads.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                let mut payloads = payloads.iter().cycle();
                while let Some(payload) = payloads.next().filter(|_| pace.claim(1) == 1) {
                    let came = connection.blob(payload.clone()).await?;
                    workload::check(payload, &came)?;
                    calls += 1;
                }
                Ok::<u64, Failure>(calls)
            })
        })
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        tally.calls += task.await??;
    }
    Ok(tally)
}

/// Payloads to the server, one after the other; `done` is told of each that was answered.
pub(crate) async fn uploads<C: Contender>(
    connection: C,
    pace: Arc<Pace>,
    payload: Bytes,
    done: impl Fn() + Send,
) -> Result<(), Failure> {
    while pace.claim(1) == 1 {
        let length = connection.upload(payload.clone()).await?;
        if length != payload.len() as u64 {
            return Err(format!("of {} bytes {length} have come", payload.len()).into());
        }
        done();
    }
    Ok(())
}

/// One task for each call in flight, and in each call so many callbacks.
pub(crate) async fn callbacks<C: Contender>(
    connection: C,
    load: Load,
    times: u64,
) -> Result<Tally, Failure> {
    let tasks: Vec<_> = (0..load.in_flight)
        .map(|_| {
            let (connection, pace) = (connection.clone(), load.pace.clone());
            tokio::spawn(async move {
                let mut calls = 0;
                while pace.claim(1) == 1 {
                    connection.callbacks(times).await?;
                    calls += times;
                }
                Ok::<u64, Failure>(calls)
            })
        })
        .collect();
    let mut tally = Tally::default();
    for task in tasks {
        tally.calls += task.await??;
    }
    Ok(tally)
}

/// One event at a time, until every subscriber has got it.
pub(crate) async fn events<C: Contender>(
    connection: C,
    load: Load,
    subscribers: u64,
    seen: Arc<Seen>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut start = Instant::now();
    while load.pace.claim(1) == 1 {
        seen.expect(subscribers);
        connection.publish(tally.calls).await?;
        seen.all().await;
        tally.calls += 1;
        if load.latencies {
            start = tally.time(start);
        }
    }
    Ok(tally)
}
