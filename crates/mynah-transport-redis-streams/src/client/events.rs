//! Subscriptions: this side reads the stream of a topic, and hands it on as the results of a call.

use super::core::Core;
use crate::coding::{Coding, Said};
use crate::command::millis;
use crate::connect::{Connection, Pauses, Raw};
use crate::entry::{self, Entry, EntryId};
use crate::events::EVENT;
use mynah_protocol::{
    DecodeLimits, DeliveryStatus, Envelope, ErrorCode, Items, Payload, Request, Response, RpcError,
    StreamSide, Undelivered, Value, Window, WireId, Within,
};
use redis::{RedisResult, cmd};
use std::borrow::Cow;
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
fn asked(coding: Coding, params: &[u8]) -> Option<(String, Option<String>)> {
    let params: Value = coding
        .format()
        .decode(params, &DecodeLimits::DEFAULT)
        .ok()?;
    let param = |name, place| match &params {
        Value::Array(params) => params.get(place),
        Value::Map(params) => {
            let named = |(key, _): &&(Value, Value)| *key == Value::from(name);
            params.iter().find(named).map(|(_, value)| value)
        }
        _ => None,
    };
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    Some((text(param("topic", 0)?)?, param("lag", 1).and_then(text)))
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
        let Some((topic, lag)) = asked(self.coding, &request.params.contiguous()) else {
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
            missed: 0,
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
    /// Messages that were missed before the next one that is handed on.
    missed: u64,
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
            let patience = self.core.options.longest_read();
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
        for entry in entries {
            let last = self.last.unwrap_or_default();
            self.last = Some(entry.id);
            let Some(note) = entry.note else {
                continue;
            };
            let theirs = match Said::read(EVENT, &note.kind) {
                Said::In(coding) => Some(coding),
                Said::Unknown => None,
                Said::Other => continue,
            };
            let is_first = note.number == 1 || last == EntryId::default();
            // What its publisher has let go of before it was counted when it was heard.
            if note.call > 0 && self.was_heard(note.from, note.call) {
                continue;
            }
            if !is_first {
                self.missed += entry.id.ms.saturating_sub(last.ms).saturating_sub(1);
            }
            // Whoever may write to Redis can write anything, and a publisher of a later version in formats that are not
            // known here.
            let message = theirs.and_then(|theirs| self.in_own_format(theirs, &note.body));
            let Some(message) = message else {
                self.missed += 1;
                continue;
            };
            if self.missed > 0 && self.lag == Lag::Close {
                self.flush(count, batch);
                self.end_lagged(self.missed);
                return false;
            }
            let Some((len, item)) = self.item(self.missed, &message) else {
                continue;
            };
            self.missed = 0;
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

    /// A message as this side's program reads it; `None` when it is none.
    fn in_own_format<'m>(&self, theirs: Coding, message: &'m [u8]) -> Option<Cow<'m, [u8]>> {
        let limits = &DecodeLimits::DEFAULT;
        let own = self.core.coding;
        if own == theirs {
            own.format().scan(message, limits).ok()?;
            return Some(Cow::Borrowed(message));
        }
        let value: Value = theirs.format().decode(message, limits).ok()?;
        let mut written = Vec::with_capacity(message.len());
        match own.format().encode(&value, &mut written) {
            Ok(()) => Some(Cow::Owned(written)),
            Err(error) => {
                tracing::warn!(%error, "a message cannot be said in this side's format");
                None
            }
        }
    }

    /// An item of the stream of messages, and its length: how many were missed before it, and what it says.
    fn item(&self, missed: u64, message: &[u8]) -> Option<(u32, Vec<u8>)> {
        let mut item = Vec::with_capacity(message.len() + 12);
        // An array of two, of which the second element is encoded already.
        match self.core.coding {
            Coding::Json => item.push(b'['),
            Coding::Cbor => item.push(0x82),
            Coding::MessagePack => item.push(0x92),
        }
        self.core.coding.format().encode(&missed, &mut item).ok()?;
        if self.core.coding == Coding::Json {
            item.push(b',');
        }
        item.extend_from_slice(message);
        if self.core.coding == Coding::Json {
            item.push(b']');
        }
        Some((u32::try_from(item.len()).ok()?, item))
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
            batch: Payload::owned(self.core.coding.id(), batch.into()),
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
