//! Fetching the calls of one service: only what can start now, on a connection of its own.

use super::core::{Core, Fetching};
use super::desk::{Begun, Desk};
use super::guard::{Asked, Guard};
use super::{reclaim, upkeep};
use crate::command::millis;
use crate::connect::{Connection, Cure, Pauses, cure};
use crate::entry::{self, Entry};
use mynah_codec::dialect::jsonrpc::{JsonRpc, Messages};
use redis::{Cmd, RedisError, RedisResult, cmd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The most entries of one reading.
const MOST: usize = 512;

/// Fetches the calls of one service until the server stops.
pub(super) struct Fetcher {
    core: Arc<Core>,
    desk: usize,
    guard: Guard,
    /// By this Redis knows the connection, so that its blocking read can be ended. Zero: there is none.
    client: Arc<AtomicU64>,
    /// When entries of others are looked for next.
    reclaims: Instant,
    /// A read may have been lost with its connection: then entries are this consumer's, and never arrived.
    lost: bool,
    /// Operations of which Redis has not said yet what is known. They count as running, and are asked for again first.
    waiting: Vec<Asked>,
    _fetching: Fetching,
}

impl Fetcher {
    pub(super) fn new(core: &Arc<Core>, desk: usize, client: Arc<AtomicU64>) -> Self {
        let limits = core.limits();
        Self {
            guard: Guard {
                core: Arc::clone(core),
                desk,
                messages: Messages::new(JsonRpc::clamator(), &limits),
                limits,
            },
            core: Arc::clone(core),
            desk,
            client,
            reclaims: Instant::now(),
            // An earlier process of this name may have left something: it is gone, and nobody need wait for it.
            lost: core.options.instance.is_some(),
            waiting: Vec::new(),
            _fetching: core.begin_to_fetch(),
        }
    }

    /// Runs to the end.
    pub(super) async fn run(mut self, connection: Connection) {
        let core = Arc::clone(&self.core);
        let Some(desk) = core.desks().get(self.desk) else {
            return;
        };
        let mut connection = Some(connection);
        let mut pauses = Pauses::new();
        while !core.is_stopping() {
            let Some(open) = &mut connection else {
                connection = self.reconnect(&mut pauses).await;
                continue;
            };
            match self.turn(desk, open).await {
                Ok(()) => pauses.reset(),
                Err(error) => self.cure(desk, &error, &mut connection, &mut pauses).await,
            }
        }
        self.client.store(0, Ordering::Release);
        for asked in std::mem::take(&mut self.waiting) {
            self.guard.give_back(&asked);
        }
    }

    async fn cure(
        &mut self,
        desk: &Desk,
        error: &RedisError,
        connection: &mut Option<Connection>,
        pauses: &mut Pauses,
    ) {
        if self.core.is_stopping() {
            return;
        }
        tracing::warn!(service = %desk.service, %error, "calls cannot be fetched");
        match (cure(error), connection.as_mut()) {
            (Cure::CreateGroup, Some(open)) => {
                let created = upkeep::create_group_again(&self.core, open, desk);
                if let Err(error) = in_time(self.core.options.response_timeout, created).await {
                    tracing::warn!(service = %desk.service, %error, "the group cannot be created again");
                    self.close(connection);
                    self.pause(pauses).await;
                }
            }
            (Cure::Reconnect, _) => {
                self.close(connection);
                self.pause(pauses).await;
            }
            _ => self.pause(pauses).await,
        }
    }

    async fn pause(&self, pauses: &mut Pauses) {
        // A stop need not wait for it.
        drop(timeout(pauses.next(), self.core.wait_for_stop()).await);
    }

    fn close(&mut self, connection: &mut Option<Connection>) {
        self.client.store(0, Ordering::Release);
        self.lost = true;
        *connection = None;
    }

    async fn reconnect(&self, pauses: &mut Pauses) -> Option<Connection> {
        let opened = self.core.connector.open_blocking().await;
        match opened {
            Ok(mut connection) => {
                if self.core.connector.can_unblock() {
                    let patience = self.core.options.response_timeout;
                    let id = client_id(&mut connection, patience).await;
                    self.client.store(id, Ordering::Release);
                }
                Some(connection)
            }
            Err(error) => {
                tracing::warn!(%error, "no connection to fetch calls on");
                self.pause(pauses).await;
                None
            }
        }
    }

    /// Fetches once.
    async fn turn(&mut self, desk: &Desk, connection: &mut Connection) -> RedisResult<()> {
        self.ask(desk, connection, Vec::new()).await?;
        if std::mem::take(&mut self.lost) {
            self.lost = true;
            let own = reclaim::own(desk, connection, desk.free());
            let found = in_time(self.core.options.response_timeout, own).await?;
            self.lost = found.more;
            self.admit(desk, connection, found.entries).await?;
        }
        let Some(mut room) = self.room(desk).await else {
            return Ok(());
        };
        let now = Instant::now();
        if self.reclaims <= now {
            let others = reclaim::others(&self.core, desk, connection, room);
            let found = in_time(self.core.options.response_timeout, others).await?;
            // More than one turn takes: the next one looks again.
            if !found.more {
                self.reclaims = now + upkeep::period(&self.core.options);
            }
            self.admit(desk, connection, found.entries).await?;
            room = desk.free();
            if room == 0 {
                return Ok(());
            }
        }
        let patience = self.core.options.longest_read();
        let entries = in_time(patience, self.read(desk, connection, room.min(MOST))).await?;
        // One that was given back has a new id, and brings along how often it was delivered before.
        let entries = entries.into_iter().map(|entry| (entry, 1));
        self.admit(desk, connection, entries).await
    }

    /// Asks what is known of operations, and goes on with them. Those that Redis does not answer for now wait for the next
    /// time: they have not begun, and it is no new delivery.
    async fn ask(
        &mut self,
        desk: &Desk,
        connection: &mut Connection,
        asked: Vec<Asked>,
    ) -> RedisResult<()> {
        self.waiting.extend(asked);
        if self.waiting.is_empty() {
            return Ok(());
        }
        let operations = self.waiting.iter();
        let operations = operations.map(|asked| (&*asked.operation, &asked.digest));
        let begun = in_time(
            self.core.options.response_timeout,
            desk.seals.begin(connection, operations),
        )
        .await?;
        let mut failed = None;
        for (asked, begun) in std::mem::take(&mut self.waiting).into_iter().zip(begun) {
            match begun {
                Ok(begun) => self.guard.resolve(asked, begun),
                // This one's key cannot be used; its neighbours' can.
                Err(error) if cure(&error) == Cure::None => self.guard.refuse(asked, &error),
                Err(error) => {
                    self.waiting.push(asked);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// How much may be fetched; `None` when nothing is to be fetched any more.
    async fn room(&self, desk: &Desk) -> Option<usize> {
        match desk.free() {
            0 => {}
            free if desk.may_fetch() => return Some(free),
            _ => {}
        }
        let mut stop = std::pin::pin!(self.core.wait_for_stop());
        let mut room = std::pin::pin!(desk.wait_for_room());
        std::future::poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(None);
            }
            room.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Hands on entries, each with which delivery under its id this is; one that comes too often is given up.
    async fn admit(
        &mut self,
        desk: &Desk,
        connection: &mut Connection,
        entries: impl IntoIterator<Item = (Entry, u32)>,
    ) -> RedisResult<()> {
        let mut asked = Vec::new();
        let redis_ms = self.core.redis_ms();
        for (entry, attempt) in entries {
            let begun = desk.begin(entry.id, redis_ms);
            let attempt = attempt.saturating_add(entry.attempts);
            match begun {
                Begun::Now => {}
                Begun::Before => continue,
                // Somebody else may have room for it. That delivery does not count.
                Begun::NoRoom => {
                    self.guard.release(entry.id, attempt.saturating_sub(1));
                    continue;
                }
            }
            if attempt > self.core.options.max_deliveries.max(1) {
                reclaim::bury(&self.guard, entry, attempt);
            } else {
                asked.extend(self.guard.admit(entry, attempt));
            }
        }
        self.ask(desk, connection, asked).await
    }

    async fn read(
        &self,
        desk: &Desk,
        connection: &mut Connection,
        most: usize,
    ) -> RedisResult<Vec<Entry>> {
        let mut read = Cmd::with_capacity(11, 192);
        read.arg("XREADGROUP")
            .arg("GROUP")
            .arg(&*desk.service)
            .arg(&*desk.consumer);
        read.arg("COUNT").arg(most);
        let options = &self.core.options;
        let mut block = options.block.min(upkeep::period(options));
        if !self.core.connector.can_unblock() {
            // A stop waits for it.
            block = block.min(Duration::from_secs(1));
        }
        read.arg("BLOCK").arg(millis(block));
        read.arg("STREAMS").arg(&*desk.stream).arg(">");
        connection.entries(&read).await
    }
}

/// Bounds what has a bound of its own. One that does not keep it has lost its connection, which is dropped as a whole: what
/// Redis may have delivered to it is claimed back.
async fn in_time<T>(
    patience: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    match timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err((redis::ErrorKind::Io, "redis says nothing").into()),
    }
}

/// By what number Redis knows the connection; zero where it does not say, or not in time.
pub(super) async fn client_id(connection: &mut Connection, patience: Duration) -> u64 {
    let mut id = cmd("CLIENT");
    id.arg("ID");
    let id = timeout(patience, connection.run(&id)).await;
    let id = id.ok().and_then(Result::ok).and_then(entry::integer);
    id.unwrap_or(0)
}
