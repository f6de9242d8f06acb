//! The store of effects: an effect and the id of its operation in one step.

use super::effect::{Committed, Effect, EffectReply};
use crate::command::{self, millis};
use crate::connect::{self, Connector, Cure, cure};
use crate::entry;
use crate::lua::Lua;
use crate::options::RedisOptions;
use mynah_protocol::TransportError;
use redis::{Cmd, RedisError, Value};
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Runs the commands, unless the operation is known, and keeps their replies under its id.
///
/// Redis runs a script alone and to its end, and writes it to its log as one: it happens whole or not at all, whatever
/// is killed. A command that Redis refuses stops it: the first is as if nothing had been asked for, a later one leaves
/// what was done before it, so that is kept, with the refusal, and never done again.
static ONCE: Lua = Lua::new(
    r"
local known = redis.call('GET', KEYS[1])
if known then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return {0, cmsgpack.unpack(known)}
end
local replies, at = {}, 2
for i = 1, tonumber(ARGV[2]) do
  local count = tonumber(ARGV[at + 1])
  local reply = redis.pcall(unpack(ARGV, at + 2, at + 1 + count))
  at = at + 1 + count
  if type(reply) == 'table' and reply.err then
    if i == 1 then return {2, reply.err} end
    replies[i] = {1, reply.err}
    break
  end
  replies[i] = {0, reply}
end
redis.call('SET', KEYS[1], cmsgpack.pack(replies), 'PX', ARGV[1])
return {1, replies}
",
);

/// How long it is known that an effect has happened, unless told otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of the id of an operation.
pub(crate) const MAX_ID: usize = 256;

/// Commits effects in Redis together with the ids of their operations, so that an operation that is run again does
/// nothing again.
///
/// Cheap to clone; the connection is shared.
#[derive(Clone)]
pub struct Operations {
    shared: Arc<Shared>,
    ttl: Duration,
}

struct Shared {
    connector: Connector,
    /// How many replicas are to have an effect before it counts, and how Redis is asked for that.
    replicas: u32,
    wait: Cmd,
    /// `None` after it failed.
    connection: Mutex<Option<Arc<Open>>>,
    prefix: String,
}

/// A connection, and what replicas have of what was written on it.
struct Open {
    shared: connect::Shared,
    /// How many effects Redis has answered on it.
    answered: AtomicU64,
    asked: tokio::sync::Mutex<Replicated>,
}

/// What Redis said when it was last asked. While it waits for replicas it answers nothing else on the connection, so it is asked
/// once for all effects that were answered before.
#[derive(Debug, Default)]
struct Replicated {
    /// It was asked for the first so many effects.
    effects: u64,
    /// Enough replicas have them.
    enough: bool,
}

impl Open {
    fn new(shared: connect::Shared) -> Arc<Self> {
        Arc::new(Self {
            shared,
            answered: AtomicU64::new(0),
            asked: tokio::sync::Mutex::default(),
        })
    }
}

/// Why an effect was not committed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OperationError {
    /// It cannot be asked for like this; nothing has happened. The text says why.
    Misuse(String),
    /// Redis refused its first command; nothing has happened. The text is Redis's.
    Refused(String),
    /// Redis was not reached or did not answer: it may have happened. Asking again with the same id does no harm, and
    /// tells.
    Unknown(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(why) => write!(f, "this effect cannot be committed: {why}"),
            Self::Refused(why) => write!(f, "redis refused the effect: {}", why.escape_debug()),
            Self::Unknown(_) => f.write_str("redis did not say whether the effect happened"),
        }
    }
}

impl Error for OperationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unknown(source) => Some(&**source),
            Self::Misuse(_) | Self::Refused(_) => None,
        }
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("prefix", &self.shared.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl Operations {
    /// Connects to the Redis of these options, under their prefix.
    ///
    /// # Errors
    /// The URL cannot be used, or Redis is not there.
    ///
    /// # Cancel safety
    /// Dropped, nothing stays open.
    pub async fn connect(options: RedisOptions) -> Result<Self, TransportError> {
        let connector = Connector::new(&options)?;
        let connection = connector.open_shared().await;
        let connection = connection.map_err(|error| connector.error("connecting", error))?;
        Ok(Self {
            shared: Arc::new(Shared {
                connector,
                connection: Mutex::new(Some(Open::new(connection))),
                replicas: options.wait_replicas,
                wait: command::wait(&options),
                prefix: options.prefix,
            }),
            ttl: DEFAULT_TTL,
        })
    }

    /// How long it is known that an effect has happened; one day unless told otherwise. Longer than any call may come
    /// again: its deadline, and the time for which entries are claimed.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Commits an effect once for an operation. `scope` tells the effects of one operation apart, and is as a rule the
    /// method that has them: an operation that calls two methods has an effect in each.
    ///
    /// The same operation and scope again does nothing, and gives what Redis answered the first time.
    ///
    /// # Errors
    /// - [`OperationError::Misuse`]: the effect is empty or too large, or the id is empty or longer than 256 bytes.
    /// - [`OperationError::Refused`]: Redis refused the first command, or keys that are in different slots of a Cluster.
    /// - [`OperationError::Unknown`]: the connection failed, or not as many replicas have it as
    ///   [`RedisOptions::with_wait_replicas`] asks for; ask again with the same id. While there are too few replicas that is said
    ///   within three times [`RedisOptions::wait_timeout`], however many effects are under way.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have happened; asked for again, it happens no second time.
    pub async fn once(
        &self,
        scope: &str,
        operation: &str,
        effect: Effect,
    ) -> Result<Committed, OperationError> {
        let key = self.key(scope, operation, &effect)?;
        let numbers: Vec<String> = std::iter::once(millis(self.ttl).to_string())
            .chain([effect.commands().len().to_string()])
            .chain(
                effect
                    .commands()
                    .iter()
                    .map(|command| command.len().to_string()),
            )
            .collect();
        let mut numbers = numbers.iter().map(String::as_bytes);
        let mut arguments: Vec<&[u8]> = numbers.by_ref().take(2).collect();
        for (length, command) in numbers.zip(effect.commands()) {
            arguments.push(length);
            arguments.extend(command.iter().map(Vec::as_slice));
        }
        let open = self.shared.connection().await.map_err(unknown)?;
        let mut connection = open.shared.connection();
        let answer = ONCE.run(&mut connection, &key, &arguments);
        match answer.await {
            Ok(answer) => match read(answer) {
                // Whoever gives an answer may give it to another primary than this one.
                Ok(committed) => self.shared.replicated(&open).await.map(|()| committed),
                // A primary that has become a replica: nothing has happened, and the next attempt finds the new one.
                Err(OperationError::Refused(why)) if why.starts_with("READONLY") => {
                    self.shared.forget();
                    Err(OperationError::Unknown(why.into()))
                }
                read => read,
            },
            Err(error) => {
                if cure(&error) == Cure::Reconnect {
                    self.shared.forget();
                }
                Err(failed(error))
            }
        }
    }

    fn key(
        &self,
        scope: &str,
        operation: &str,
        effect: &Effect,
    ) -> Result<Vec<u8>, OperationError> {
        let misuse = |why: String| Err(OperationError::Misuse(why));
        if operation.is_empty() || operation.len() > MAX_ID {
            let length = operation.len();
            return misuse(format!(
                "the operation's id has {length} bytes of 1 to {MAX_ID}"
            ));
        }
        let commands = effect.commands();
        if commands.is_empty() || commands.len() > Effect::MAX_COMMANDS {
            let (count, most) = (commands.len(), Effect::MAX_COMMANDS);
            return misuse(format!("it has {count} commands of 1 to {most}"));
        }
        for command in commands {
            if command.is_empty() || command.len() > Effect::MAX_PARTS {
                let (count, most) = (command.len(), Effect::MAX_PARTS);
                return misuse(format!("a command has {count} parts of 1 to {most}"));
            }
        }
        let mut key = format!("{}:once:{{", self.shared.prefix).into_bytes();
        key.extend_from_slice(tag(effect.first_key().unwrap_or_default()));
        key.extend_from_slice(format!("}}:{scope}:{operation}").as_bytes());
        Ok(key)
    }
}

/// What decides the slot of a key: what stands in its first braces, or all of it.
fn tag(key: &[u8]) -> &[u8] {
    let inside = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = key.get(open.saturating_add(1)..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    };
    inside().unwrap_or(key)
}

impl Shared {
    /// Waits until replicas have what was committed, where that is asked for.
    async fn replicated(&self, open: &Open) -> Result<(), OperationError> {
        if self.replicas == 0 {
            return Ok(());
        }
        let own = open.answered.fetch_add(1, Ordering::AcqRel) + 1;
        let mut asked = open.asked.lock().await;
        if asked.effects < own {
            let effects = open.answered.load(Ordering::Acquire);
            let have = open.shared.connection().run(&self.wait).await;
            let have = have.map_err(|error| {
                self.forget();
                unknown(error)
            })?;
            *asked = Replicated {
                effects,
                enough: entry::integer(have).is_some_and(|have| have >= u64::from(self.replicas)),
            };
        }
        if asked.enough {
            return Ok(());
        }
        let why = "fewer replicas than were asked for have the effect";
        Err(OperationError::Unknown(why.into()))
    }

    async fn connection(&self) -> Result<Arc<Open>, RedisError> {
        let known = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(open) = known {
            return Ok(open);
        }
        let opened = Open::new(self.connector.open_shared().await?);
        let mut known = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been quicker.
        Ok(Arc::clone(known.get_or_insert(opened)))
    }

    fn forget(&self) {
        *self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What failed is not the script's first command: that is an answer. Redis refuses the rest before it runs anything.
fn failed(error: RedisError) -> OperationError {
    match error.code() {
        Some("CROSSSLOT" | "NOPERM" | "OOM" | "MISCONF") => {
            OperationError::Refused(error.to_string())
        }
        _ => unknown(error),
    }
}

fn unknown(error: RedisError) -> OperationError {
    OperationError::Unknown(Box::new(error))
}

fn read(reply: Value) -> Result<Committed, OperationError> {
    let strange = || OperationError::Unknown("an answer of another shape".into());
    let Value::Array(parts) = reply else {
        return Err(strange());
    };
    let mut parts = parts.into_iter();
    let (Some(Value::Int(kind)), Some(what)) = (parts.next(), parts.next()) else {
        return Err(strange());
    };
    match (kind, what) {
        (2, Value::BulkString(why)) => {
            let why = String::from_utf8_lossy(&why).into_owned();
            Err(OperationError::Refused(why))
        }
        (0 | 1, Value::Array(replies)) => {
            let replies: Option<Vec<_>> = replies.into_iter().map(one).collect();
            let replies = replies.ok_or_else(strange)?;
            Ok(Committed {
                now: kind == 1,
                replies,
            })
        }
        _ => Err(strange()),
    }
}

/// The reply of a command: whether it was refused, and what it says. A nil at the end is not there.
fn one(reply: Value) -> Option<EffectReply> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    let kind = parts.next()?;
    let what = EffectReply::read(parts.next().unwrap_or(Value::Nil));
    match (kind, what) {
        (Value::Int(0), reply) => Some(reply),
        (Value::Int(1), EffectReply::Bytes(why)) => Some(EffectReply::Refused(
            String::from_utf8_lossy(&why).into_owned(),
        )),
        _ => None,
    }
}
