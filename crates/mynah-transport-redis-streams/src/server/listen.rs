//! Listening: a reader for each service, and what they share.

use super::core::Core;
use super::desk::Desk;
use super::fetch::{self, Fetcher};
use super::remote::RedisRemote;
use super::{upkeep, write};
use crate::client::check_instance;
use crate::connect::{Connection, Connector};
use crate::keys::{self, Keys};
use crate::options::RedisOptions;
use crate::random;
use async_trait::async_trait;
use mynah_protocol::{
    Accepted, Listener, Offer, Transport as _, TransportError, TransportErrorKind,
};
use redis::cmd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
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
    /// Until it is told what is served.
    opened: Option<Connection>,
    /// How Redis knows the connections of the readers.
    readers: Vec<Arc<AtomicU64>>,
}

impl RedisListener {
    /// Connects. Nothing is fetched before [`Listener::open`].
    ///
    /// # Errors
    /// - [`TransportErrorKind::Address`] when the URL or the name of the instance cannot be used.
    /// - [`TransportErrorKind::Refused`], [`TransportErrorKind::Denied`] and others when Redis cannot be reached.
    pub async fn bind(options: RedisOptions) -> Result<Self, TransportError> {
        let connector = Connector::new(&options)?;
        check_instance(&options)?;
        let opened = connector.open().await;
        let opened = opened.map_err(|error| connector.error("cannot connect", error))?;
        let instance = options.instance.clone().unwrap_or_else(random::uuid);
        let keys = Keys::new(&options.prefix);
        Ok(Self {
            core: Arc::new(Core::new(options, connector, keys, instance)),
            opened: Some(opened),
            readers: Vec::new(),
        })
    }

    fn failed(&self, what: &str, error: redis::RedisError) -> TransportError {
        self.core.connector.error(what, error)
    }

    /// The services of an offer, by the names of their keys.
    fn desks(&self, offer: &Offer) -> Result<Box<[Desk]>, TransportError> {
        let core = &self.core;
        let desk = |service: &str| {
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
            Ok(Desk::new(service, stream, consumer, concurrency))
        };
        let services = offer.services.iter().map(|service| desk(&service.name));
        services.collect()
    }
}

#[async_trait]
impl Listener for RedisListener {
    type Connection = RedisRemote;

    async fn open(&mut self, offer: &Offer) -> Result<(), TransportError> {
        let Some(mut commands) = self.opened.take() else {
            return Ok(());
        };
        let desks = self.desks(offer)?;
        let now = upkeep::time(&mut commands).await;
        let now = now.map_err(|error| self.failed("cannot ask for the time", error))?;
        self.core.set_clock(now);
        let early = u64::try_from(self.core.options.early_calls.as_millis()).unwrap_or(0);
        let from = now.saturating_sub(early);
        let mut readers = Vec::new();
        for desk in &desks {
            desk.saw(from);
            let created = upkeep::create_group(&mut commands, desk, &from.to_string()).await;
            let what = "cannot create the consumer group";
            created.map_err(|error| self.failed(what, error))?;
            let opened = self.core.connector.open_blocking().await;
            readers.push(opened.map_err(|error| self.failed("cannot connect", error))?);
        }
        let upkeep = self.core.connector.open().await;
        let upkeep = upkeep.map_err(|error| self.failed("cannot connect", error))?;
        // Nothing fails any more.
        let core = &self.core;
        let _first = core.limits.set(offer.limits.clone());
        let _first = core.desks.set(desks);
        for (index, mut reader) in readers.into_iter().enumerate() {
            let client = fetch::client_id(&mut reader).await;
            let client = Arc::new(AtomicU64::new(client));
            self.readers.push(Arc::clone(&client));
            tokio::spawn(Fetcher::new(core, index, client).run(reader));
        }
        tokio::spawn(write::write_all(Arc::clone(core), commands));
        tokio::spawn(upkeep::keep_up(Arc::clone(core), upkeep));
        tokio::spawn(finish(Arc::clone(core), self.readers.clone()));
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
async fn finish(core: Arc<Core>, readers: Vec<Arc<AtomicU64>>) {
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
    if let Some(open) = &mut connection {
        for desk in core.desks() {
            leave(open, desk).await;
        }
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

/// Takes this side out of the group, unless something is still pending: that would be lost.
async fn leave(connection: &mut Connection, desk: &Desk) {
    let mut pending = cmd("XPENDING");
    pending.arg(&*desk.stream).arg(&*desk.service);
    pending.arg("-").arg("+").arg(1).arg(&*desk.consumer);
    match connection.run(&pending).await {
        Ok(redis::Value::Array(rows)) if rows.is_empty() => {}
        _ => return,
    }
    let mut delete = cmd("XGROUP");
    delete.arg("DELCONSUMER").arg(&*desk.stream);
    delete.arg(&*desk.service).arg(&*desk.consumer);
    if let Err(error) = connection.run(&delete).await {
        tracing::debug!(%error, "the consumer stays in the group");
    }
}
