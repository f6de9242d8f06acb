//! Connections to Redis, and what their errors mean.

mod commands;
mod cures;
mod direct;
mod open;
mod resp;

pub(crate) use commands::{Commands, Words};
pub(crate) use cures::{Cure, Pauses, cure};
pub(crate) use open::Connector;

use crate::entry::{self, Entry};
use direct::Direct;
pub(crate) use resp::Raw;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};
use std::fmt;

/// An open connection.
pub(crate) struct Connection {
    inner: Inner,
    /// Whether commands on several keys may go together.
    one_slot: bool,
}

enum Inner {
    Direct(Box<Direct>),
    Library(Library),
}

/// A connection that several may use at once: clones share it.
#[derive(Clone)]
pub(crate) struct Shared {
    inner: Library,
    one_slot: bool,
}

impl Shared {
    /// A handle of it.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            inner: Inner::Library(self.inner.clone()),
            one_slot: self.one_slot,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// One of the library: with TLS, to a Cluster, or of a client that was handed in.
#[derive(Clone)]
enum Library {
    Single(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Library {
    async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(single) => single.req_packed_command(command).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.req_packed_command(command).await,
        }
    }

    async fn run_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let (skipped, taken) = match commands.is_transaction() {
            true => (commands.len() + 1, 1),
            false => (0, commands.len()),
        };
        let mut answers = match self {
            Self::Single(single) => single.req_packed_commands(commands, skipped, taken).await?,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
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

    /// The answer to one of several commands, errors of Redis among them.
    async fn run_one(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(single) => single.req_packed_command(command).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => match cluster.req_packed_command(command).await {
                Err(error) if error.code().is_some() => as_answer(error),
                answer => answer,
            },
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    fn direct(connection: Direct) -> Self {
        Self {
            inner: Inner::Direct(Box::new(connection)),
            one_slot: true,
        }
    }

    /// The answer to one command.
    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match &mut self.inner {
            Inner::Direct(direct) => direct.run(command).await?,
            Inner::Library(library) => library.run(command).await?,
        };
        // What stands within an array is looked at by whoever reads it.
        match answer {
            Value::ServerError(error) => Err(error.into()),
            answer => Ok(answer),
        }
    }

    /// The entries in the answer to a reading of one stream. Empty when there are none.
    pub(crate) async fn entries(&mut self, command: &Cmd) -> RedisResult<Vec<Entry>> {
        if let Inner::Direct(direct) = &mut self.inner {
            return direct.entries(command).await;
        }
        let answer = self.run(command).await?;
        Ok(entry::of_streams(Raw::of(&answer)))
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
        match &mut self.inner {
            Inner::Direct(direct) => direct.run_all(commands).await,
            Inner::Library(library) => library.run_all(commands).await,
        }
    }

    /// Commands that this connection takes with [`Self::tell`].
    pub(crate) fn commands(&mut self) -> Commands {
        match &mut self.inner {
            Inner::Direct(direct) => Commands::Packed(direct.packed()),
            Inner::Library(_) => Commands::of_library(),
        }
    }

    /// As [`Self::run_all`], but that texts among the answers may be left out: ids of entries, which whoever writes does not
    /// look at.
    pub(crate) async fn tell(&mut self, commands: Commands) -> RedisResult<Vec<Value>> {
        match (commands, &mut self.inner) {
            (commands, _) if commands.is_empty() => Ok(Vec::new()),
            (Commands::Library(commands), _) => self.run_all(&commands).await,
            (Commands::Packed(packed), Inner::Direct(direct)) => direct.tell(packed).await,
            // No connection turns into another one.
            (Commands::Packed(_), Inner::Library(_)) => {
                Err((redis::ErrorKind::Client, "commands of another connection").into())
            }
        }
    }

    /// The answer to one command of words, with `OK` in place of a text.
    pub(crate) async fn tell_one(
        &mut self,
        say: impl FnOnce(&mut dyn Words),
    ) -> RedisResult<Value> {
        let mut commands = self.commands();
        commands.add(say);
        match self.tell(commands).await?.pop() {
            Some(Value::ServerError(error)) => Err(error.into()),
            answer => Ok(answer.unwrap_or(Value::Nil)),
        }
    }

    /// Where the keys are in several slots each command goes its own way, one behind the other.
    async fn run_apart(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        if let (true, Inner::Library(library)) = (commands.is_transaction(), &mut self.inner) {
            // One step on one key.
            return library.run_all(commands).await;
        }
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands.cmd_iter() {
            answers.push(match &mut self.inner {
                Inner::Direct(direct) => direct.run(command).await?,
                Inner::Library(library) => library.run_one(command).await?,
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
