//! Listening: a reader for each service, and what they share.

use super::accepted::RedisRemote;
use super::control;
use super::core::{Core, Standing};
use super::desk::Desk;
use super::fetch::{self, Fetcher};
use super::inbox;
use super::outbox::Place;
use super::publish::EventsRemote;
use super::write::LAST_WORDS;
use super::{reclaim, scripts, upkeep, write};
use crate::client::check_options;
use crate::connect::{Connection, Connector};
use crate::keys::{self, Keys};
use crate::options::RedisOptions;
use crate::presence;
use crate::random;
use crate::sealed::Seals;
use async_trait::async_trait;
use mynah_protocol::{
    Accepted, Listener, Offer, OfferedService, Transport as _, TransportError, TransportErrorKind,
};
use redis::cmd;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How often a reader that is to end is asked to.
const UNBLOCK_AGAIN: Duration = Duration::from_millis(50);

/// How long a reader has to end before it is left alone. Redis does not answer then.
const UNBLOCK_PATIENCE: Duration = Duration::from_secs(6);

/// Serves the services of a program under a prefix.
///
/// Each client that calls is a connection. Dropped, or closed by a server that drains, it fetches nothing any more and gives
/// back at once what has not begun; what runs goes on, and is answered.
#[derive(Debug)]
pub struct RedisListener {
    core: Arc<Core>,
    /// The connection that it was bound with, until it is used.
    opened: Option<Connection>,
    /// It was told what is served, and serves it.
    serving: bool,
    /// How Redis knows the connections of the readers.
    readers: Vec<Arc<AtomicU64>>,
}

impl RedisListener {
    /// Connects. Nothing is fetched before [`Listener::open`].
    ///
    /// # Errors
    /// - [`TransportErrorKind::Address`] when the URL, the name of the instance or the format cannot be used.
    /// - [`TransportErrorKind::Refused`], [`TransportErrorKind::Denied`] and others when Redis cannot be reached.
    pub async fn bind(options: RedisOptions) -> Result<Self, TransportError> {
        let connector = Connector::new(&options)?;
        check_options(&options)?;
        let opened = connector.open().await;
        let opened = opened.map_err(|error| connector.error("cannot connect", error))?;
        let instance = options.instance.clone().unwrap_or_else(random::uuid);
        let keys = Keys::new(&options.prefix);
        Ok(Self {
            core: Arc::new(Core::new(options, connector, keys, instance)),
            opened: Some(opened),
            serving: false,
            readers: Vec::new(),
        })
    }

    async fn connection(&self) -> Result<Connection, TransportError> {
        let opened = self.core.connector.open().await;
        opened.map_err(|error| self.failed("cannot connect", error))
    }

    async fn blocking_connection(&self) -> Result<Connection, TransportError> {
        let opened = self.core.connector.open_blocking().await;
        opened.map_err(|error| self.failed("cannot connect", error))
    }

    fn failed(&self, what: &str, error: redis::RedisError) -> TransportError {
        self.core.connector.error(what, error)
    }

    /// The services of an offer, by the names of their keys.
    fn desks(&self, offer: &Offer) -> Result<Box<[Desk]>, TransportError> {
        let core = &self.core;
        let desk = |service: &OfferedService| {
            let contract = service.contract.as_deref().map(hexadecimal);
            let service = &*service.name;
            if !keys::is_service(service) {
                let what = format!(
                    "\"{}\" cannot be the name of a service on Redis Streams: it is [a-z][a-z0-9-]*",
                    service.escape_debug()
                );
                return Err(TransportError::new(TransportErrorKind::Address, what));
            }
            let stream = core.keys.commands(service);
            let consumer = Keys::consumer(service, &core.instance);
            let concurrency = core.options.concurrency_for(service);
            let options = &core.options;
            let seals = Seals::new(&options.prefix, service, options.seal_ttl);
            Ok(Desk::new(
                service,
                contract,
                stream,
                consumer,
                concurrency,
                seals,
            ))
        };
        let services = offer.services.iter().map(desk);
        services.collect()
    }
}

#[async_trait]
impl Listener for RedisListener {
    type Connection = RedisRemote;

    async fn open(&mut self, offer: &Offer) -> Result<(), TransportError> {
        if self.serving {
            return Ok(());
        }
        let desks = self.desks(offer)?;
        let mut commands = match self.opened.take() {
            Some(opened) => opened,
            // It was opened before, in vain.
            None => self.connection().await?,
        };
        let now = upkeep::time(&mut commands).await;
        let now = now.map_err(|error| self.failed("cannot ask for the time", error))?;
        self.core.set_clock(now);
        let from = upkeep::early(&self.core.options, now);
        let mut readers = Vec::new();
        for desk in &desks {
            desk.saw(from);
            let created = upkeep::create_group(&mut commands, desk, from).await;
            let what = "cannot create the consumer group";
            created.map_err(|error| self.failed(what, error))?;
            readers.push(self.blocking_connection().await?);
        }
        let upkeep = self.connection().await?;
        let what = "cannot make the control stream";
        let heard = control::open(&self.core, &mut commands).await;
        let heard = heard.map_err(|error| self.failed(what, error))?;
        let ears = self.blocking_connection().await?;
        let inbox = inbox::open(&self.core, &mut commands).await;
        inbox.map_err(|error| self.failed("cannot make the inbox", error))?;
        let inbox_ears = self.blocking_connection().await?;
        // Whoever calls from now on finds somebody. What fails until here leaves nothing that serves.
        let card = upkeep::card(&self.core, &desks, now);
        let announced = card.announce(&self.core.keys, now, &mut commands).await;
        announced.map_err(|error| self.failed("cannot announce the server", error))?;
        self.serving = true;
        let core = &self.core;
        let _first = core.limits.set(offer.limits.clone());
        let _first = core.desks.set(desks);
        let hearing = tokio::spawn(control::listen(Arc::clone(core), ears, heard));
        let reading = tokio::spawn(inbox::listen(Arc::clone(core), inbox_ears));
        for (index, mut reader) in readers.into_iter().enumerate() {
            let client = match core.connector.can_unblock() {
                true => fetch::client_id(&mut reader, core.options.response_timeout).await,
                false => 0,
            };
            let client = Arc::new(AtomicU64::new(client));
            self.readers.push(Arc::clone(&client));
            tokio::spawn(Fetcher::new(core, index, client).run(reader));
        }
        tokio::spawn(write::write_all(Arc::clone(core), commands));
        tokio::spawn(upkeep::keep_up(Arc::clone(core), upkeep));
        if core.options.publish_events {
            core.accept(RedisRemote::events(EventsRemote::new(Arc::clone(core))));
        }
        let listening = [hearing, reading];
        tokio::spawn(finish(Arc::clone(core), self.readers.clone(), listening));
        Ok(())
    }

    async fn close(&mut self) {
        self.core.stop();
        if self.core.desks.get().is_some() {
            self.core.wait_for_end().await;
        }
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<RedisRemote>, TransportError>>> {
        let connection = ready!(self.core.poll_arrived(cx));
        let evidence = connection.evidence().clone();
        Poll::Ready(Some(Ok(Accepted {
            connection,
            evidence,
        })))
    }

    fn address(&self) -> String {
        let core = &self.core;
        format!(
            "redis://{}?prefix={}",
            core.connector.address(),
            core.options.prefix
        )
    }
}

impl Drop for RedisListener {
    fn drop(&mut self) {
        self.core.stop();
    }
}

/// Once the server stops: ends the readers, waits until what runs is settled, and leaves nothing behind.
async fn finish(core: Arc<Core>, readers: Vec<Arc<AtomicU64>>, listening: [JoinHandle<()>; 2]) {
    core.wait_for_stop().await;
    let mut connection = core.connector.open().await.ok();
    let ended = timeout(UNBLOCK_PATIENCE, async {
        while core.fetches() {
            if let Some(open) = &mut connection {
                unblock(open, &readers).await;
            }
            drop(timeout(UNBLOCK_AGAIN, core.wait_for_fetchers()).await);
        }
    });
    if ended.await.is_err() {
        tracing::warn!("a blocking read does not end; what it fetches is left to others");
    }
    // Nobody accepts them any more: what they hold is given back.
    drop(core.take_arrived());
    core.wait_until_settled().await;
    for ears in listening {
        ears.abort();
        // From then on it is certain what was heard.
        drop(ears.await);
    }
    // Another one than at the beginning: a drain may take longer than a connection lives.
    let left = timeout(LAST_WORDS, async {
        inbox::leave(&core, &mut core.connector.open().await?).await
    });
    match left.await {
        Ok(Ok(())) => drop(timeout(LAST_WORDS, core.wait_until_settled()).await),
        Ok(Err(error)) => tracing::debug!(%error, "the inbox ends by itself"),
        Err(_elapsed) => tracing::debug!("the inbox ends by itself"),
    }
    let left = timeout(LAST_WORDS, async {
        let mut open = core.connector.open().await?;
        give_back(&mut open, &core).await;
        leave(&mut open, &core).await;
        redis::RedisResult::Ok(())
    });
    if !matches!(left.await, Ok(Ok(()))) {
        tracing::warn!("redis does not answer; the consumer stays in its groups");
    }
    core.set_ended();
}

async fn unblock(connection: &mut Connection, readers: &[Arc<AtomicU64>]) {
    for reader in readers {
        let client = reader.load(Ordering::Acquire);
        if client == 0 {
            continue;
        }
        let mut unblock = cmd("CLIENT");
        unblock.arg("UNBLOCK").arg(client);
        if let Err(error) = connection.run(&unblock).await {
            tracing::debug!(%error, "a blocking read ends by itself");
        }
    }
}

/// Gives back what Redis has delivered to readers that never heard of it.
async fn give_back(connection: &mut Connection, core: &Core) {
    for (index, desk) in core.desks().iter().enumerate() {
        let found = match reclaim::own(desk, connection, reclaim::MOST).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "what never arrived is left to others");
                continue;
            }
        };
        for (entry, attempt) in found.entries {
            // Neither that delivery nor this one counts.
            let attempts = attempt.saturating_sub(2).saturating_add(entry.attempts);
            let place = Place {
                desk: index,
                id: entry.id,
            };
            if let Err(error) = scripts::release(connection, desk, place, attempts).await {
                tracing::debug!(%error, entry = %entry.id, "an entry is left to others");
            }
        }
    }
}

/// Says that this server is gone, and takes it out of its groups.
async fn leave(connection: &mut Connection, core: &Core) {
    *core.standing.lock().await = Standing::Gone;
    let card = upkeep::card(core, core.desks(), 0);
    if let Err(error) = card.withdraw(&core.keys, connection).await {
        tracing::debug!(%error, "presence ends by itself");
    }
    for desk in core.desks() {
        let Desk {
            stream,
            service,
            consumer,
            ..
        } = desk;
        match presence::leave(stream, service, consumer, connection).await {
            Ok(true) => {}
            Ok(false) => tracing::info!(%service, "something is pending, the consumer stays"),
            Err(error) => tracing::debug!(%error, "the consumer stays in the group"),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes everything.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
