//! Who serves what: keys that servers keep alive, and what clients conclude from them.
//!
//! `<prefix>:servers:<service>` is a sorted set: each instance with the time, by the clock of Redis, until which it counts as
//! alive, which is over for one that drains; and [`MARK`], which says that the service is one of ours even when nobody serves it. `<prefix>:server:<instance>`
//! tells what an instance is, as JSON, and ends by itself.

mod living;

pub(crate) use living::{Abilities, Living, SUSPICION, abilities, living};

use crate::coding::Coding;
use crate::command::{all_well, millis};
use crate::connect::{Connection, Connector};
use crate::entry;
use crate::keys::Keys;
use crate::lua::Lua;
use crate::options::RedisOptions;
use mynah_protocol::TransportError;
use redis::{Pipeline, RedisResult, Value, cmd};
use std::time::Duration;

/// How often a server says that it is alive.
pub(crate) const BEAT: Duration = Duration::from_secs(3);

/// How long it counts as alive after that.
pub(crate) const TTL: Duration = Duration::from_secs(12);

/// How long it is remembered that a service is one of ours.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The member that is no instance.
const MARK: &str = "-";

/// The number of instances that are alive.
static ALIVE: Lua = Lua::new(
    r"
local now = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000), '+inf')
",
);

/// Removes a consumer that has nothing pending.
static LEAVE: Lua = Lua::new(
    r"
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if #pending > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
",
);

/// What a server says of itself.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) instance: String,
    pub(crate) services: Vec<CardService>,
    /// Milliseconds, by the clock of Redis.
    pub(crate) started_ms: u64,
    /// It takes nothing new.
    pub(crate) draining: bool,
}

/// One of the services of a server.
#[derive(Debug)]
pub(crate) struct CardService {
    pub(crate) name: String,
    pub(crate) contract: Option<String>,
    pub(crate) running: usize,
    pub(crate) concurrency: usize,
}

impl Card {
    fn json(&self) -> String {
        let services: serde_json::Map<String, serde_json::Value> = self
            .services
            .iter()
            .map(|service| {
                let about = serde_json::json!({
                    "contract": service.contract,
                    "running": service.running,
                    "concurrency": service.concurrency,
                });
                (service.name.clone(), about)
            })
            .collect();
        serde_json::json!({
            "version": crate::VERSION,
            "formats": Coding::ALL.map(Coding::name),
            "claims": true,
            "started_ms": self.started_ms,
            "draining": self.draining,
            "services": services,
        })
        .to_string()
    }

    /// Says that it is alive. One that drains is there, and does not count: it keeps its place among those that are known, so
    /// that its consumers are known as well.
    pub(crate) async fn announce(
        &self,
        keys: &Keys,
        now_ms: u64,
        connection: &mut Connection,
    ) -> RedisResult<()> {
        let until = match self.draining {
            true => now_ms.saturating_sub(1),
            false => now_ms.saturating_add(millis(TTL)),
        };
        let mut commands = Pipeline::with_capacity(self.services.len() * 2 + 1);
        for service in &self.services {
            let key = keys.servers(&service.name);
            commands.cmd("ZADD").arg(&key);
            commands.arg(until).arg(&self.instance).arg(0).arg(MARK);
            commands.cmd("PEXPIRE").arg(&key).arg(millis(REMEMBERED));
        }
        commands.cmd("SET").arg(keys.server(&self.instance));
        commands.arg(self.json()).arg("PX").arg(millis(TTL));
        all_well(connection.run_all(&commands).await?).map(drop)
    }

    /// Says that it is not.
    pub(crate) async fn withdraw(
        &self,
        keys: &Keys,
        connection: &mut Connection,
    ) -> RedisResult<()> {
        let mut commands = Pipeline::new();
        for service in &self.services {
            commands.cmd("ZREM").arg(keys.servers(&service.name));
            commands.arg(&self.instance);
        }
        commands.cmd("DEL").arg(keys.server(&self.instance));
        all_well(connection.run_all(&commands).await?).map(drop)
    }
}

/// Whether anybody may serve a service now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// Somebody, or somebody of whom nothing can be known: servers of clamator say nothing of themselves.
    Maybe,
    /// Nobody.
    ByNobody,
}

/// Whether servers of ours serve these services now. In one round trip.
pub(crate) async fn alive(
    keys: &Keys,
    services: &[String],
    connection: &mut Connection,
) -> RedisResult<Vec<bool>> {
    let found = ALIVE.run_all(connection, &of_each(keys, services)).await?;
    let any = |found: RedisResult<Value>| found.ok().and_then(entry::integer) > Some(0);
    Ok(found.into_iter().map(any).collect())
}

/// What a script is run with for each service.
fn of_each(keys: &Keys, services: &[impl AsRef<str>]) -> Vec<(String, Vec<&'static str>)> {
    let services = services.iter();
    services
        .map(|service| (keys.servers(service.as_ref()), Vec::new()))
        .collect()
}

/// Looks whether anybody serves a service.
pub(crate) async fn look(
    keys: &Keys,
    service: &str,
    connection: &mut Connection,
) -> RedisResult<Served> {
    let servers = keys.servers(service);
    let alive = ALIVE.run(connection, &servers, &[""; 0]).await?;
    if entry::integer(alive).unwrap_or(0) > 0 {
        return Ok(Served::Maybe);
    }
    let mut range = cmd("ZRANGE");
    range.arg(&servers).arg(0).arg(-1);
    let known = texts(connection.run(&range).await?);
    let stream = keys.commands(service);
    let ours = known.iter().any(|name| name == MARK.as_bytes());
    if !ours {
        // Never one of ours: it is served if somebody has made the group.
        return Ok(
            if groups(&stream, connection)
                .await?
                .iter()
                .any(|name| name == service.as_bytes())
            {
                Served::Maybe
            } else {
                Served::ByNobody
            },
        );
    }
    let mut consumers = cmd("XINFO");
    consumers.arg("CONSUMERS").arg(&stream).arg(service);
    let consumers = match connection.run(&consumers).await {
        Ok(consumers) => names(consumers),
        // There is no such stream, or no such group.
        Err(error) if matches!(error.code(), Some("NOGROUP" | "ERR")) => {
            return Ok(Served::ByNobody);
        }
        Err(error) => return Err(error),
    };
    let is_ours = |consumer: &Vec<u8>| {
        let instance = consumer.strip_prefix(service.as_bytes());
        let instance = instance.and_then(|rest| rest.strip_prefix(b":"));
        instance.is_some_and(|instance| known.iter().any(|name| name == instance))
    };
    Ok(if consumers.iter().all(is_ours) {
        Served::ByNobody
    } else {
        Served::Maybe
    })
}

async fn groups(stream: &str, connection: &mut Connection) -> RedisResult<Vec<Vec<u8>>> {
    let mut groups = cmd("XINFO");
    groups.arg("GROUPS").arg(stream);
    match connection.run(&groups).await {
        Ok(groups) => Ok(names(groups)),
        Err(error) if error.code() == Some("ERR") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn texts(list: Value) -> Vec<Vec<u8>> {
    match list {
        Value::Array(list) => list.into_iter().filter_map(entry::text).collect(),
        _ => Vec::new(),
    }
}

/// The names of what a list of descriptions describes.
fn names(list: Value) -> Vec<Vec<u8>> {
    let Value::Array(list) = list else {
        return Vec::new();
    };
    let name = |one| match one {
        Value::Array(fields) => {
            let mut fields = fields.into_iter();
            while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
                if entry::text(key)? == b"name" {
                    return entry::text(value);
                }
            }
            None
        }
        // As version 3 of the protocol has it.
        Value::Map(fields) => {
            let mut fields = fields.into_iter();
            fields.find_map(|(key, value)| {
                (entry::text(key)? == b"name").then(|| entry::text(value))?
            })
        }
        _ => None,
    };
    list.into_iter().filter_map(name).collect()
}

/// Takes a consumer out of the group of a service, if nothing is pending for it: that would be lost. Whether it has.
pub(crate) async fn leave(
    stream: &str,
    service: &str,
    consumer: &str,
    connection: &mut Connection,
) -> RedisResult<bool> {
    let arguments = [service.to_owned(), consumer.to_owned()];
    match LEAVE.run(connection, stream, &arguments).await {
        Ok(left) => Ok(entry::integer(left) == Some(1)),
        // The group is gone, and the consumer with it.
        Err(error) if error.code() == Some("NOGROUP") => Ok(true),
        Err(error) => Err(error),
    }
}

/// No server counts as alive for longer than it would from now on: the clock of Redis may have been set back, or another
/// Redis with another clock has taken over, and those that are dead do not say so again.
static CUT: Lua = Lua::new(
    r"
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1]
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', until_ms), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', until_ms), instance)
end
return 0
",
);

/// Removes what dead instances have left in the group of a service. They are forgotten only when nothing is pending for
/// them any more: that is taken over first.
pub(crate) async fn clean_up(
    keys: &Keys,
    service: &str,
    now_ms: u64,
    connection: &mut Connection,
) -> RedisResult<()> {
    /// How many in one turn.
    const MOST: usize = 100;
    let servers = keys.servers(service);
    CUT.run(connection, &servers, &[millis(TTL * 2)]).await?;
    let mut dead = cmd("ZRANGEBYSCORE");
    // Not those that may only be late.
    dead.arg(&servers)
        .arg(1)
        .arg(now_ms.saturating_sub(millis(TTL * 2)));
    dead.arg("LIMIT").arg(0).arg(MOST);
    let stream = keys.commands(service);
    for instance in texts(connection.run(&dead).await?) {
        let Ok(instance) = String::from_utf8(instance) else {
            continue;
        };
        let consumer = Keys::consumer(service, &instance);
        if leave(&stream, service, &consumer, connection).await? {
            let mut forget = cmd("ZREM");
            forget.arg(&servers).arg(&instance);
            connection.run(&forget).await?;
            tracing::info!(service, instance = %instance.escape_debug(), "a dead instance is forgotten");
        }
    }
    Ok(())
}

/// One server of a fleet, as it says of itself. Whoever may write to Redis can say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerPresence {
    /// The name of its instance.
    pub instance: String,
    /// The version of this crate that it runs.
    pub version: String,
    /// When it started, in milliseconds since 1970 by the clock of Redis.
    pub started_ms: u64,
    /// It takes nothing new, and goes away once what it runs has ended.
    pub draining: bool,
    /// How many calls of the service it runs.
    pub running: usize,
    /// How many it runs at most.
    pub concurrency: usize,
    /// The hash of its contract of the service, in hexadecimal digits, if it announces one.
    pub contract: Option<String>,
}

/// Who serves a service under a prefix now. Servers of clamator say nothing of themselves, and are not among them.
///
/// Cancel safety: may be dropped at any time.
///
/// # Errors
/// [`TransportError`] when Redis cannot be reached or refuses.
pub async fn servers(
    options: &RedisOptions,
    service: &str,
) -> Result<Vec<ServerPresence>, TransportError> {
    let connector = Connector::new(options)?;
    let keys = Keys::new(&options.prefix);
    let listed = list(&connector, &keys, service).await;
    listed.map_err(|error| connector.error("cannot list servers", error))
}

async fn list(
    connector: &Connector,
    keys: &Keys,
    service: &str,
) -> RedisResult<Vec<ServerPresence>> {
    let mut connection = connector.open().await?;
    let mut range = cmd("ZRANGE");
    range.arg(keys.servers(service)).arg(0).arg(-1);
    let mut found = Vec::new();
    for instance in texts(connection.run(&range).await?) {
        let Ok(instance) = String::from_utf8(instance) else {
            continue;
        };
        let mut card = cmd("GET");
        card.arg(keys.server(&instance));
        let card = entry::text(connection.run(&card).await?);
        found.extend(card.and_then(|card| read(instance, service, &card)));
    }
    Ok(found)
}

fn read(instance: String, service: &str, card: &[u8]) -> Option<ServerPresence> {
    let card: serde_json::Value = serde_json::from_slice(card).ok()?;
    let about = card.get("services")?.get(service)?;
    let count = |name: &str| usize::try_from(about.get(name)?.as_u64()?).ok();
    Some(ServerPresence {
        instance,
        version: card.get("version")?.as_str()?.to_owned(),
        started_ms: card.get("started_ms")?.as_u64()?,
        draining: card.get("draining").and_then(serde_json::Value::as_bool) == Some(true),
        running: count("running")?,
        concurrency: count("concurrency")?,
        contract: about.get("contract")?.as_str().map(str::to_owned),
    })
}
