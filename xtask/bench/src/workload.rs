//! What is carried.

use crate::Failure;
use crate::pace::{Load, Tally};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::Notify;

/// The longest message that a contender has to take: the payload of `mixed`, and room for its head.
pub const MAX_MESSAGE: usize = 80 << 20;

/// The workload W1: this value, there and back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Echo {
    /// A number.
    pub id: u64,
    /// Sixteen characters.
    pub name: String,
    /// Two floats that a half holds too, and two that only a double does.
    pub values: [f64; 4],
}

impl Echo {
    /// A value of the workload.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self {
            id,
            name: "sixteen letters.".into(),
            values: [1.5, -2.25, std::f64::consts::PI, 0.001],
        }
    }
}

/// A contender with typed calls.
pub trait TypedEcho: Clone + Send + Sync + 'static {
    /// One call. The value is given away and comes back, so that the client makes no `String` per
    /// call besides the one that is decoded.
    fn echo(&self, value: Echo) -> impl Future<Output = Result<Echo, Failure>> + Send;
}

/// One task for each call in flight, which makes one call after the other.
///
/// # Errors
/// A call fails, or its answer is not what was sent.
pub async fn echo_tasks<C: TypedEcho>(client: &C, load: &Load) -> Result<Tally, Failure> {
    let tasks: Vec<_> = (0..load.in_flight)
        .map(|number| tokio::spawn(echo_task(client.clone(), load.clone(), number as u64)))
        .collect();
    let mut sum = Tally::default();
    for task in tasks {
        sum.add(task.await??);
    }
    Ok(sum)
}

async fn echo_task<C: TypedEcho>(client: C, load: Load, first: u64) -> Result<Tally, Failure> {
    let sent = Echo::new(first);
    let mut value = sent.clone();
    let mut tally = Tally::default();
    let mut start = Instant::now();
    while load.pace.claim(1) == 1 {
        // Another id each time, so that no answer is taken for another's.
        let id = first + (tally.calls << 16);
        value.id = id;
        value = client.echo(value).await?;
        if value.id != id {
            return Err(format!("sent {id}, got {}", value.id).into());
        }
        tally.calls += 1;
        if load.latencies {
            start = tally.time(start);
        }
    }
    if value.name != sent.name || value.values != sent.values {
        return Err("the answer is not what was sent".into());
    }
    Ok(tally)
}

/// An item of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its place in the stream, from 0.
    pub seq: u64,
    /// A tenth of its place: a value that mostly takes a whole double.
    pub value: f64,
}

impl Item {
    /// The item of this place.
    #[inline]
    #[must_use]
    pub fn at(seq: u64) -> Self {
        Self {
            seq,
            value: seq as f64 * 0.1,
        }
    }
}

/// What has come of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    /// Items.
    pub items: u64,
    /// Items that stood at another place than theirs.
    pub astray: u64,
    /// The sum of their values.
    pub values: f64,
}

impl Taken {
    /// One more item.
    #[inline]
    pub fn take(&mut self, item: Item) {
        self.astray += u64::from(item.seq != self.items);
        self.items += 1;
        self.values += item.value;
    }

    /// What a stream of so many items has to bring.
    pub(crate) fn expected(items: u64) -> Self {
        let mut taken = Self::default();
        (0..items).for_each(|seq| taken.take(Item::at(seq)));
        taken
    }
}

/// Two payloads that differ, so that one's answer is not taken for the other's.
pub(crate) fn payloads(bytes: usize) -> [Bytes; 2] {
    [17, 91].map(|step| {
        (0..bytes)
            .map(|at| (at.wrapping_mul(step) >> 3) as u8)
            .collect()
    })
}

/// Looks at length and ends only: whoever wants to look at all of it pays for that himself.
pub(crate) fn check(sent: &Bytes, came: &Bytes) -> Result<(), Failure> {
    let ends = |bytes: &Bytes| {
        let head = bytes.first_chunk::<16>().copied();
        (bytes.len(), head, bytes.last_chunk::<16>().copied())
    };
    if ends(sent) == ends(came) {
        Ok(())
    } else {
        Err("the payload is not what was sent".into())
    }
}

/// Counts what the subscribers of a client have got.
#[derive(Debug, Default)]
pub struct Seen {
    number: AtomicU64,
    goal: AtomicU64,
    reached: Notify,
}

impl Seen {
    /// A subscriber has got an event.
    #[inline]
    pub fn one(&self) {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        if number == self.goal.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }

    /// From here on, so many more are waited for.
    pub(crate) fn expect(&self, more: u64) {
        let number = self.number.load(Ordering::Relaxed);
        self.goal.store(number + more, Ordering::Relaxed);
    }

    /// Until all that were expected are there.
    pub(crate) async fn all(&self) {
        self.reached.notified().await;
    }
}
