//! Seals: what a server asks before a call with an operation id runs, and leaves when it is answered.

use super::Digest;
use crate::command::millis;
use crate::connect::Connection;
use crate::lua::Lua;
use redis::{Cmd, RedisError, RedisResult, Value};
use std::time::Duration;

/// Remembers the arguments of an operation, or says what is known of it.
///
/// A conflict is found even while the first call still runs: its arguments are there before it begins.
static BEGIN: Lua = Lua::new(
    r"
local known = redis.call('HMGET', KEYS[1], 'args', 'reply')
if known[1] and known[1] ~= ARGV[1] then return {2, known[1]} end
if known[2] then return {1, known[2]} end
redis.call('HSET', KEYS[1], 'args', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {0}
",
);

/// The seals of one service.
#[derive(Debug)]
pub(crate) struct Seals {
    /// `PREFIX:op:SERVICE:`.
    prefix: Box<str>,
    ttl: Duration,
}

/// What is known of an operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nothing: it is to run.
    New,
    /// It was answered with this, an envelope or a frame under the id that it had then.
    Answered(Vec<u8>),
    /// It was called with other arguments, of which this is the digest.
    Conflict(Vec<u8>),
}

impl Seals {
    /// Of a service under this prefix of keys; a seal stays for `ttl`.
    pub(crate) fn new(prefix: &str, service: &str, ttl: Duration) -> Self {
        Self {
            prefix: format!("{prefix}:op:{service}:").into_boxed_str(),
            ttl,
        }
    }

    /// Where the seal of an operation is.
    pub(crate) fn key(&self, operation: &str) -> String {
        format!("{}{operation}", self.prefix)
    }

    /// Asks for operations, in one round trip; an answer for each, in order, or why there is none for it.
    pub(crate) async fn begin<'a>(
        &self,
        connection: &mut Connection,
        operations: impl Iterator<Item = (&'a str, &'a Digest)>,
    ) -> RedisResult<Vec<RedisResult<Begun>>> {
        let ttl = millis(self.ttl).to_string();
        let calls: Vec<_> = operations
            .map(|(operation, digest)| {
                let arguments = vec![digest.as_str().to_owned(), ttl.clone()];
                (self.key(operation), arguments)
            })
            .collect();
        let answers = BEGIN.run_all(connection, &calls).await?;
        let read = |answer: RedisResult<Value>| answer.and_then(Begun::read);
        Ok(answers.into_iter().map(read).collect())
    }

    /// The commands that seal an answer, for the step that writes it: `HSET`, and the time from which it counts.
    ///
    /// The key is made anew where it has gone meanwhile, so that a call that runs for longer than a seal stays is sealed
    /// all the same.
    pub(crate) fn seal(&self, operation: &str, digest: &Digest, reply: &[u8]) -> [Cmd; 2] {
        let key = self.key(operation);
        let mut set = redis::cmd("HSET");
        set.arg(&key).arg("args").arg(digest.as_str());
        set.arg("reply").arg(reply);
        let mut expire = redis::cmd("PEXPIRE");
        expire.arg(&key).arg(millis(self.ttl));
        [set, expire]
    }
}

impl Begun {
    fn read(reply: Value) -> RedisResult<Self> {
        let Value::Array(parts) = reply else {
            return Err(strange());
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next()) {
            (Some(Value::Int(0)), None) => Ok(Self::New),
            (Some(Value::Int(1)), Some(Value::BulkString(reply))) => Ok(Self::Answered(reply)),
            (Some(Value::Int(2)), Some(Value::BulkString(args))) => Ok(Self::Conflict(args)),
            _ => Err(strange()),
        }
    }
}

/// The script answers with nothing else.
fn strange() -> RedisError {
    (
        redis::ErrorKind::UnexpectedReturnType,
        "a seal of another shape",
    )
        .into()
}
