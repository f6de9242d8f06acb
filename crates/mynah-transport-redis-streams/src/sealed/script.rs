//! A script that Redis keeps under its hash.

use crate::connect::Connection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value, cmd};

/// A script, and what Redis knows it by.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        let hash = redis::Script::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// Runs it for one key: by its hash, and whole where Redis does not have it.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        key: &[u8],
        arguments: &[&[u8]],
    ) -> RedisResult<Value> {
        match connection
            .run(&call("EVALSHA", &self.hash, key, arguments))
            .await
        {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                connection
                    .run(&call("EVAL", self.text, key, arguments))
                    .await
            }
            answer => answer,
        }
    }

    /// Runs it for several keys in one round trip, apart from one another.
    pub(crate) async fn run_all<const N: usize>(
        &self,
        connection: &mut Connection,
        calls: &[(&[u8], [&[u8]; N])],
    ) -> RedisResult<Vec<Value>> {
        let mut commands = Pipeline::with_capacity(calls.len());
        for (key, arguments) in calls {
            commands.add_command(call("EVALSHA", &self.hash, key, arguments));
        }
        let mut answers = connection.run_all(&commands).await?;
        for (answer, (key, arguments)) in answers.iter_mut().zip(calls) {
            let refused = match answer {
                Value::ServerError(error) => RedisError::from(error.clone()),
                _ => continue,
            };
            if refused.code() != Some("NOSCRIPT") {
                return Err(refused);
            }
            *answer = self.run(connection, key, arguments).await?;
        }
        Ok(answers)
    }
}

fn call(name: &str, script: &str, key: &[u8], arguments: &[&[u8]]) -> Cmd {
    let mut call = cmd(name);
    call.arg(script).arg(1).arg(key);
    for argument in arguments {
        call.arg(*argument);
    }
    call
}
