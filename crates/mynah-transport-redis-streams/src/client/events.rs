//! Subscriptions: this side reads the stream of a topic, and hands it on as the results of a call.

use super::core::Core;
use super::replies::SILENCE;
use crate::command::millis;
use crate::connect::{Connection, Pauses, Raw};
use crate::entry::{self, Entry, EntryId};
use crate::events::EVENT;
use mynah_protocol::{
    DeliveryStatus, Envelope, ErrorCode, FormatId, Items, Payload, Request, Response, RpcError,
    StreamSide, Undelivered, Value, Window, WireId, Within,
};
use redis::{RedisResult, cmd};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The most messages of one reading.
const MOST: u64 = 64;

/// The subscriptions of a client, by the numbers that the peer gave them.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    table: Mutex<HashMap<u64, Subscription>>,
}

#[derive(Debug)]
struct Subscription {
    credit: Arc<Credit>,
    task: AbortHandle,
}

/// What the program takes of one.
#[derive(Debug)]
struct Credit {
    left: Mutex<Window>,
    more: Notify,
}

impl Credit {
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for credit: for how many messages there is.
    async fn wait(&self) -> u64 {
        loop {
            let more = self.more.notified();
            let left = *self.lock();
            if left.items > 0 && left.bytes > 0 {
                return left.items;
            }
            more.await;
        }
    }
}

/// What becomes of a subscriber that is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lag {
    /// It misses the oldest.
    DropOldest,
    /// It gets the newest.
    Latest,
    /// It ends.
    Close,
}

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Subscription>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// More may come for a subscription; `false`: it is none.
    pub(super) fn grant(&self, id: &WireId, more: Window) -> bool {
        let WireId::Uint(number) = id else {
            return false;
        };
        let table = self.lock();
        let Some(subscription) = table.get(number) else {
            return false;
        };
        let mut left = subscription.credit.lock();
        left.items = left.items.saturating_add(more.items);
        left.bytes = left.bytes.saturating_add(more.bytes);
        drop(left);
        subscription.credit.more.notify_one();
        true
    }

    /// Ends a subscription; `false`: it is none.
    pub(super) fn cancel(&self, id: &WireId) -> bool {
        let WireId::Uint(number) = id else {
            return false;
        };
        let removed = self.lock().remove(number);
        if let Some(subscription) = &removed {
            subscription.task.abort();
        }
        removed.is_some()
    }

    /// Ends all of them.
    pub(super) fn close(&self) {
        for (_, subscription) in std::mem::take(&mut *self.lock()) {
            subscription.task.abort();
        }
    }
}

/// The topic of a request, and what becomes of a slow subscriber.
fn asked(params: &[u8]) -> Option<(String, Option<String>)> {
    let params: serde_json::Value = serde_json::from_slice(params).ok()?;
    let topic = params.get("topic").or_else(|| params.get(0))?.as_str()?;
    let lag = params.get("lag").or_else(|| params.get(1));
    let lag = lag.and_then(serde_json::Value::as_str).map(str::to_owned);
    Some((topic.to_owned(), lag))
}

impl Core {
    /// Begins to read a topic.
    pub(super) fn subscribe(self: &Arc<Self>, request: &Request<'_>) {
        let id = request.id.clone();
        let (WireId::Uint(number), Some(window)) = (&id, request.streams.window) else {
            return;
        };
        let unsupported = |feature| {
            let why = DeliveryStatus::Failed(Undelivered::Unsupported(feature));
            self.report([id.clone()], why);
        };
        let Some((topic, lag)) = asked(&request.params.contiguous()) else {
            return self.fail(id, ErrorCode::INVALID_PARAMS, "a topic is wanted");
        };
        if topic == "*" {
            return unsupported("a subscription to all topics");
        }
        let lag = match lag.as_deref() {
            None | Some("drop-oldest") => Lag::DropOldest,
            Some("latest") => Lag::Latest,
            Some("close") => Lag::Close,
            Some("block") => {
                let what = "the publisher of this topic waits for nobody";
                return self.fail(id, ErrorCode::INVALID_PARAMS, what);
            }
            Some(_) => return unsupported("a subscription that drops the newest"),
        };
        let credit = Arc::new(Credit {
            left: Mutex::new(window),
            more: Notify::new(),
        });
        let mut table = self.subscriptions.lock();
        let reading = Reading {
            core: Arc::clone(self),
            id: id.clone(),
            key: self.keys.events(&topic),
            lag,
            credit: Arc::clone(&credit),
            last: None,
            publishers: HashMap::new(),
        };
        let task = tokio::spawn(reading.run()).abort_handle();
        table.insert(*number, Subscription { credit, task });
    }
}

/// One subscription, as it reads.
struct Reading {
    core: Arc<Core>,
    id: WireId,
    key: String,
    lag: Lag,
    credit: Arc<Credit>,
    /// The last message that was read; `None` before it is known where to begin.
    last: Option<EntryId>,
    /// The number of the last message of each publisher.
    publishers: HashMap<Vec<u8>, u64>,
}

impl Reading {
    /// Reads until it is cancelled, or has missed what it may not miss. It goes on where it was when Redis was away.
    async fn run(mut self) {
        let mut pauses = Pauses::new();
        let mut connection = None;
        loop {
            let open = match &mut connection {
                Some(open) => open,
                None => match self.core.connector.open_blocking().await {
                    Ok(opened) => connection.insert(opened),
                    Err(error) => {
                        tracing::warn!(%error, "no connection to read a topic on");
                        pauses.wait().await;
                        continue;
                    }
                },
            };
            let patience = self.core.options.block + SILENCE;
            match timeout(patience, self.turn(open)).await {
                Ok(Ok(true)) => pauses.reset(),
                Ok(Ok(false)) => {
                    self.core.subscriptions.cancel(&self.id);
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a topic cannot be read");
                    connection = None;
                    pauses.wait().await;
                }
                Err(_elapsed) => connection = None,
            }
            // A program that takes nothing is no silence of Redis.
            let _items = self.credit.wait().await;
            self.core.wait_for_room().await;
        }
    }

    /// Reads once. `false`: it has ended.
    async fn turn(&mut self, connection: &mut Connection) -> RedisResult<bool> {
        let Some(last) = self.last else {
            self.last = Some(
                self.newest(connection)
                    .await?
                    .map_or_else(EntryId::default, |it| it.id),
            );
            self.core.hear([Envelope::Accepted(self.id.clone())]);
            return Ok(true);
        };
        let most = self.credit.lock().items.min(MOST);
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(most.max(1));
        read.arg("BLOCK").arg(millis(self.core.options.block));
        read.arg("STREAMS").arg(&self.key).arg(last.to_string());
        let mut entries = connection.entries(&read).await?;
        if self.lag == Lag::Latest && !entries.is_empty() {
            entries = self.newest(connection).await?.into_iter().collect();
        }
        Ok(self.hand_on(entries))
    }

    async fn newest(&self, connection: &mut Connection) -> RedisResult<Option<Entry>> {
        let mut range = cmd("XREVRANGE");
        range.arg(&self.key).arg("+").arg("-").arg("COUNT").arg(1);
        Ok(entry::of_list(&Raw::of(&connection.run(&range).await?))
            .into_iter()
            .next())
    }

    /// Hands messages on, each with how many before it were missed.
    fn hand_on(&mut self, entries: Vec<Entry>) -> bool {
        let mut batch = Vec::new();
        let mut count = 0;
        let mut missed = 0;
        for entry in entries {
            let last = self.last.unwrap_or_default();
            let Some(note) = entry.note.filter(|note| note.kind == EVENT.as_bytes()) else {
                self.last = Some(entry.id);
                continue;
            };
            self.last = Some(entry.id);
            let is_first = note.number == 1 || last == EntryId::default();
            if !is_first {
                missed += entry.id.ms.saturating_sub(last.ms).saturating_sub(1);
            }
            if note.call > 0 && self.was_heard(note.from, note.call) {
                continue;
            }
            // Whoever may write to Redis can write anything.
            if serde_json::from_slice::<serde_json::Value>(&note.body).is_err() {
                continue;
            }
            if missed > 0 && self.lag == Lag::Close {
                self.flush(count, batch);
                self.end_lagged(missed);
                return false;
            }
            let mut item = format!("[{missed},").into_bytes();
            missed = 0;
            item.extend_from_slice(&note.body);
            item.push(b']');
            let Ok(len) = u32::try_from(item.len()) else {
                continue;
            };
            batch.extend_from_slice(&len.to_be_bytes());
            batch.extend_from_slice(&item);
            count += 1;
        }
        self.flush(count, batch);
        true
    }

    /// Whether a message was written again, by a publisher that could not know that it had been written.
    fn was_heard(&mut self, publisher: Vec<u8>, number: u64) -> bool {
        /// Publishers that are remembered.
        const MOST: usize = 1024;
        if self.publishers.len() >= MOST {
            self.publishers.clear();
        }
        let last = self.publishers.entry(publisher).or_default();
        let heard = number <= *last;
        *last = number.max(*last);
        heard
    }

    fn flush(&self, count: u64, batch: Vec<u8>) {
        if count == 0 {
            return;
        }
        let mut left = self.credit.lock();
        left.items = left.items.saturating_sub(count);
        left.bytes = left.bytes.saturating_sub(batch.len() as u64);
        drop(left);
        let envelope = Envelope::Items(Items {
            id: self.id.clone(),
            stream: StreamSide::Result,
            count,
            batch: Payload::owned(FormatId::Json, batch.into()),
        });
        // What a publisher writes can end this subscription, and nothing else.
        let call = self.id.clone();
        self.core
            .hear([Envelope::Within(Box::new(Within { call, envelope }))]);
    }

    fn end_lagged(&self, missed: u64) {
        let dropped = vec![(Value::from("dropped"), Value::from(missed))];
        let error = RpcError::from_code(ErrorCode::LAGGED).with_data(Value::Map(dropped));
        self.core.hear([Envelope::Response(Response {
            id: self.id.clone(),
            result: Err(Box::new(error)),
        })]);
    }
}
