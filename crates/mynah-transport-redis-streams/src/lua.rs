//! Scripts that Redis runs as one step.

use crate::connect::Connection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Script, ToRedisArgs, Value, cmd};
use std::sync::OnceLock;

/// A script on one key, so that it works in a cluster.
#[derive(Debug)]
pub(crate) struct Lua {
    text: &'static str,
    hash: OnceLock<String>,
}

impl Lua {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: OnceLock::new(),
        }
    }

    /// Runs it; Redis is sent its text only when it does not know it.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        key: impl AsRef<[u8]> + Sync,
        arguments: &[impl ToRedisArgs + Sync],
    ) -> RedisResult<Value> {
        let key = key.as_ref();
        match connection.run(&self.by_hash(key, arguments)).await {
            Err(error) if is_unknown(&error) => {
                connection
                    .run(&call("EVAL", self.text, key, arguments))
                    .await
            }
            answer => answer,
        }
    }

    /// Runs it for several keys in one round trip, apart from one another: what Redis refuses for one is the answer for that
    /// one only.
    pub(crate) async fn run_all(
        &self,
        connection: &mut Connection,
        calls: &[(String, Vec<impl ToRedisArgs + Sync>)],
    ) -> RedisResult<Vec<RedisResult<Value>>> {
        let mut commands = Pipeline::with_capacity(calls.len());
        for (key, arguments) in calls {
            commands.add_command(self.by_hash(key.as_bytes(), arguments));
        }
        let answers = connection.run_all(&commands).await?;
        let mut results = Vec::with_capacity(calls.len());
        for (answer, (key, arguments)) in answers.into_iter().zip(calls) {
            let refused = match answer {
                Value::ServerError(error) => RedisError::from(error),
                answer => {
                    results.push(Ok(answer));
                    continue;
                }
            };
            if !is_unknown(&refused) {
                results.push(Err(refused));
                continue;
            }
            match self.run(connection, key, arguments).await {
                // Nothing that Redis has answered: none of those behind it will be.
                Err(error) if error.code().is_none() => return Err(error),
                answer => results.push(answer),
            }
        }
        Ok(results)
    }

    /// The command that runs it, with its text: for a batch that is not looked at one by one.
    pub(crate) fn command(&self, key: &str, arguments: &[impl ToRedisArgs]) -> Cmd {
        call("EVAL", self.text, key.as_bytes(), arguments)
    }

    fn by_hash(&self, key: &[u8], arguments: &[impl ToRedisArgs]) -> Cmd {
        let hash = self
            .hash
            .get_or_init(|| Script::new(self.text).get_hash().to_owned());
        call("EVALSHA", hash, key, arguments)
    }
}

fn call(name: &str, script: &str, key: &[u8], arguments: &[impl ToRedisArgs]) -> Cmd {
    let mut call = cmd(name);
    call.arg(script).arg(1).arg(key).arg(arguments);
    call
}

fn is_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}
