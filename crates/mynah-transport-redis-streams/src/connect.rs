//! Connections to Redis, and what their errors mean.

mod cures;
mod open;

pub(crate) use cures::{Cure, Pauses, cure};
pub(crate) use open::Connector;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};
use std::fmt;

/// An open connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: Inner,
    /// Whether commands on several keys may go together.
    one_slot: bool,
}

#[derive(Clone)]
enum Inner {
    Single(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    const fn single(connection: MultiplexedConnection) -> Self {
        Self {
            inner: Inner::Single(connection),
            one_slot: true,
        }
    }

    /// The answer to one command.
    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match &mut self.inner {
            Inner::Single(single) => single.req_packed_command(command).await?,
            #[cfg(feature = "cluster")]
            Inner::Cluster(cluster) => cluster.req_packed_command(command).await?,
        };
        // What stands within an array is looked at by whoever reads it.
        match answer {
            Value::ServerError(error) => Err(error.into()),
            answer => Ok(answer),
        }
    }

    /// One answer to each command, errors of Redis among them. Of a transaction, one answer to each command within it;
    /// an error when none of them was carried out.
    pub(crate) async fn run_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        if !self.one_slot {
            return self.run_apart(commands).await;
        }
        let (skipped, taken) = match commands.is_transaction() {
            true => (commands.len() + 1, 1),
            false => (0, commands.len()),
        };
        let mut answers = match &mut self.inner {
            Inner::Single(single) => single.req_packed_commands(commands, skipped, taken).await?,
            #[cfg(feature = "cluster")]
            Inner::Cluster(cluster) => {
                cluster
                    .req_packed_commands(commands, skipped, taken)
                    .await?
            }
        };
        if !commands.is_transaction() {
            return Ok(answers);
        }
        match answers.pop() {
            Some(Value::Array(answers)) => Ok(answers),
            Some(Value::ServerError(error)) => Err(error.into()),
            _ => Ok(Vec::new()),
        }
    }

    /// Where the keys are in several slots each command goes its own way, one behind the other.
    async fn run_apart(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands.cmd_iter() {
            answers.push(match &mut self.inner {
                Inner::Single(single) => single.req_packed_command(command).await?,
                #[cfg(feature = "cluster")]
                Inner::Cluster(cluster) => match cluster.req_packed_command(command).await {
                    Err(error) if error.code().is_some() => as_answer(error)?,
                    answer => answer?,
                },
            });
        }
        Ok(answers)
    }
}

/// Makes an answer of an error that Redis has answered with.
#[cfg(feature = "cluster")]
fn as_answer(error: redis::RedisError) -> RedisResult<Value> {
    redis::ServerError::try_from(error).map(Value::ServerError)
}
