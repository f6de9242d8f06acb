//! A connection of our own to one Redis, for one command or pipeline at a time.
//!
//! The library's connections are shared by many callers, through a task each and two channels; here every connection has one
//! caller. Commands are the library's, and so are values and errors.

use super::commands::Packed;
use super::resp::{self, Answer, Raw};
use crate::entry::{self, Entry};
use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline, ProtocolVersion, RedisError,
    RedisResult, ServerError, Value, cmd,
};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What a buffer keeps once it is empty.
const KEPT: usize = 256 << 10;
/// The least room for what is read.
const ROOM: usize = 16 << 10;

/// Where it leads.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Tcp(String, u16),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Place {
    /// Of a Redis that can be spoken to without the library: in the clear, and in version 2 of the protocol.
    pub(super) fn of(info: &ConnectionInfo) -> Option<Self> {
        if !matches!(info.redis_settings().protocol(), ProtocolVersion::RESP2) {
            return None;
        }
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => Some(Self::Tcp(host.clone(), *port)),
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Some(Self::Unix(path.clone())),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(buffer).await,
            #[cfg(unix)]
            Self::Unix(stream) => stream.read_buf(buffer).await,
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Direct {
    stream: Stream,
    /// What has come; up to `taken` it was read.
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    response_timeout: Option<Duration>,
    /// Something was sent, and not all of its answers were read.
    owes: bool,
}

impl Direct {
    /// Connects and signs in. `response_timeout`: how long Redis may take for answers; `None` as long as it likes.
    pub(super) async fn open(
        place: &Place,
        info: &ConnectionInfo,
        connect_timeout: Duration,
        response_timeout: Option<Duration>,
    ) -> RedisResult<Self> {
        let opened = timeout(connect_timeout, async {
            let mut direct = match place {
                Place::Tcp(host, port) => {
                    let addresses = lookup_host((&**host, *port)).await?;
                    Self::open_any(addresses.collect(), info).await?
                }
                #[cfg(unix)]
                Place::Unix(path) => {
                    Self::signed_in(Stream::Unix(UnixStream::connect(path).await?), info).await?
                }
            };
            direct.response_timeout = response_timeout;
            Ok(direct)
        });
        opened.await.unwrap_or_else(|_elapsed| Err(too_slow()))
    }

    /// Opens whichever address of a host Redis answers at first. Each is tried a little behind the one before, or once that
    /// has failed: one that is silent, though it takes connections, delays nobody for long.
    async fn open_any(addresses: Vec<SocketAddr>, info: &ConnectionInfo) -> RedisResult<Self> {
        const BEHIND: Duration = Duration::from_millis(250);
        if let [only] = *addresses {
            return Self::open_at(only, info).await;
        }
        let mut waiting = addresses.into_iter();
        let mut attempts = JoinSet::new();
        let mut failed = None;
        loop {
            if let Some(address) = waiting.next() {
                let info = info.clone();
                attempts.spawn(async move { Self::open_at(address, &info).await });
            }
            let ended = match waiting.len() {
                0 => attempts.join_next().await,
                _ => match timeout(BEHIND, attempts.join_next()).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => continue,
                },
            };
            match ended.map(|ended| ended.map_err(io::Error::other)) {
                Some(Ok(Ok(direct))) => return Ok(direct),
                // That is an answer as well.
                Some(Ok(Err(error))) if !error.is_io_error() => return Err(error),
                Some(Ok(Err(error))) => failed = failed.or(Some(error)),
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let unknown =
                        || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
                    return Err(failed.unwrap_or_else(|| unknown().into()));
                }
            }
        }
    }

    async fn open_at(address: SocketAddr, info: &ConnectionInfo) -> RedisResult<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::signed_in(Stream::Tcp(stream), info).await
    }

    async fn signed_in(stream: Stream, info: &ConnectionInfo) -> RedisResult<Self> {
        let mut direct = Self {
            stream,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            response_timeout: None,
            owes: false,
        };
        direct.sign_in(info).await?;
        Ok(direct)
    }

    async fn sign_in(&mut self, info: &ConnectionInfo) -> RedisResult<()> {
        let settings = info.redis_settings();
        if let Some(password) = settings.password() {
            let mut auth = cmd("AUTH");
            if let Some(username) = settings.username() {
                auth.arg(username);
            }
            auth.arg(password);
            if let Value::ServerError(error) = self.run(&auth).await? {
                // It may have none to spare: that comes first, whatever was asked.
                if is_about_room(&error) {
                    return Err(error.into());
                }
                return Err(refused(&error));
            }
        }
        if settings.db() != 0 {
            let mut select = cmd("SELECT");
            select.arg(settings.db());
            if let Value::ServerError(error) = self.run(&select).await? {
                return Err(error.into());
            }
        }
        // A connection that was accepted is not one that is served: Redis may be stopped, or have no room.
        if let Value::ServerError(error) = self.run(&cmd("PING")).await? {
            return match error.code() {
                "NOAUTH" => Err(refused(&error)),
                _ if is_about_room(&error) => Err(error.into()),
                // It may be loading, or this user may not ask. Whoever has something to say hears of it.
                _ => Ok(()),
            };
        }
        Ok(())
    }

    /// The answer to one command, errors of Redis among them.
    ///
    /// Not cancel safe: dropped before it is done, the connection is of no use any more, and says so.
    pub(super) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.begin()?;
        command.write_packed_command(&mut self.output);
        in_time(self.response_timeout, async {
            self.send(0).await?;
            self.answer(value).await
        })
        .await
        .inspect(|_| self.end())?
    }

    /// The entries in the answer to a reading of one stream. Cancel safety as [`Self::run`].
    pub(super) async fn entries(&mut self, command: &Cmd) -> RedisResult<Vec<Entry>> {
        self.begin()?;
        command.write_packed_command(&mut self.output);
        in_time(self.response_timeout, async {
            self.send(0).await?;
            if self.input.is_empty() {
                self.fill(1).await?;
            }
            let input = self.input.get(self.taken..).unwrap_or_default();
            // What comes in parts is not looked at again and again.
            if let Some((entries, len)) = resp::entries(input) {
                self.pass(len);
                return Ok(Ok(entries));
            }
            let answer = |answer: Raw<'_>| match answer {
                error @ Raw::Error(_) => error.into_value().map(|error| (error, Vec::new())),
                answer => Ok((Value::Nil, entry::of_streams(answer))),
            };
            match self.answer(answer).await?? {
                (Value::ServerError(error), _) => Ok(Err(error.into())),
                (_, entries) => Ok(Ok(entries)),
            }
        })
        .await
        .inspect(|_| self.end())?
    }

    /// The answers to all commands, errors of Redis among them. Of a transaction those of the commands within it.
    ///
    /// # Errors
    /// Besides what is wrong with the connection: why Redis did nothing of a transaction.
    ///
    /// Not cancel safe, as [`Self::run`].
    pub(super) async fn run_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.begin()?;
        self.output = commands.get_packed_pipeline();
        let transaction = commands.is_transaction();
        let answers = in_time(self.response_timeout, async {
            self.send(0).await?;
            match transaction {
                true => self.transaction(commands.len(), value).await,
                false => self.answers(commands.len(), value).await.map(Ok),
            }
        });
        let answers = answers.await?;
        self.end();
        answers
    }

    /// Commands for [`Self::tell`], in the room of those before.
    pub(super) fn packed(&mut self) -> Packed {
        Packed::within(std::mem::take(&mut self.output))
    }

    /// As [`Self::run_all`], with `OK` in place of the texts in the answers, unless they are wanted.
    pub(super) async fn tell(&mut self, commands: Packed) -> RedisResult<Vec<Value>> {
        self.begin()?;
        let (count, transaction) = (commands.len(), commands.is_atomic());
        let make: Make = match commands.wants_texts() {
            true => value,
            false => brief,
        };
        let (bytes, from) = commands.into_bytes();
        self.output = bytes;
        let answers = in_time(self.response_timeout, async {
            self.send(from).await?;
            match transaction {
                true => self.transaction(count, make).await,
                false => self.answers(count, make).await.map(Ok),
            }
        });
        let answers = answers.await?;
        self.end();
        answers
    }

    async fn answers(&mut self, count: usize, make: Make) -> RedisResult<Vec<Value>> {
        let mut answers = Vec::with_capacity(count);
        for _ in 0..count {
            answers.push(self.answer(make).await??);
        }
        Ok(answers)
    }

    /// Within: what Redis says of the transaction.
    async fn transaction(
        &mut self,
        count: usize,
        make: Make,
    ) -> RedisResult<RedisResult<Vec<Value>>> {
        let mut refused = None;
        // That it begins, and that each command waits for its end.
        for _ in 0..=count {
            let error = self.answer(error_in).await??;
            refused = refused.or(error);
        }
        let done = match self.answer(make).await?? {
            Value::Array(answers) => Ok(answers),
            Value::ServerError(error) => Err(error.into()),
            _ => Ok(Vec::new()),
        };
        // Of the two the first says why.
        Ok(refused.map_or(done, Err))
    }

    fn begin(&mut self) -> RedisResult<()> {
        if std::mem::replace(&mut self.owes, true) {
            let what = "an answer on this connection was not waited for";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, what).into());
        }
        self.output.clear();
        Ok(())
    }

    fn end(&mut self) {
        self.owes = false;
        self.output.clear();
        self.output.shrink_to(KEPT);
    }

    async fn send(&mut self, from: usize) -> io::Result<()> {
        let bytes = self.output.get(from..).unwrap_or_default();
        self.stream.write_all(bytes).await
    }

    async fn answer<T>(&mut self, make: impl FnOnce(Raw<'_>) -> T) -> RedisResult<T> {
        loop {
            let input = self.input.get(self.taken..).unwrap_or_default();
            let missing = match resp::read(input).map_err(broken)? {
                Answer::Whole(raw, len) => {
                    let value = make(raw);
                    self.pass(len);
                    return Ok(value);
                }
                Answer::Part(missing) => missing,
            };
            self.fill(missing).await?;
        }
    }

    /// So many bytes of the input were read.
    fn pass(&mut self, len: usize) {
        self.taken += len;
        if self.taken >= self.input.len() {
            self.taken = 0;
            self.input.clear();
            self.input.shrink_to(KEPT);
        }
    }

    /// Reads until so much more is there.
    async fn fill(&mut self, missing: usize) -> io::Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let wanted = self.input.len() + missing;
        while self.input.len() < wanted {
            // No more than comes is made room for: a length is a number.
            let room = self.input.len().clamp(ROOM, 1 << 20);
            self.input.reserve(room);
            if self.stream.read(&mut self.input).await? == 0 {
                let what = "redis closed the connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
        }
        Ok(())
    }
}

fn refused(error: &ServerError) -> RedisError {
    let what = "redis refuses user or password";
    (ErrorKind::AuthenticationFailed, what, error.to_string()).into()
}

/// More connections than Redis takes are told so, and closed.
fn is_about_room(error: &ServerError) -> bool {
    error.to_string().contains("max number of clients")
}

/// What is made of an answer.
type Make = fn(Raw<'_>) -> RedisResult<Value>;

fn value(answer: Raw<'_>) -> RedisResult<Value> {
    answer.into_value()
}

/// Without the texts.
fn brief(answer: Raw<'_>) -> RedisResult<Value> {
    match answer {
        Raw::Text(_) => Ok(Value::Okay),
        Raw::Array(answers) => {
            let answers: RedisResult<_> = answers.into_iter().map(brief).collect();
            Ok(Value::Array(answers?))
        }
        other => other.into_value(),
    }
}

fn error_in(answer: Raw<'_>) -> RedisResult<Option<RedisError>> {
    match answer {
        error @ Raw::Error(_) => match error.into_value()? {
            Value::ServerError(error) => Ok(Some(error.into())),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

async fn in_time<T>(
    limit: Option<Duration>,
    answer: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    match limit {
        None => answer.await,
        Some(limit) => timeout(limit, answer)
            .await
            .unwrap_or_else(|_elapsed| Err(too_slow())),
    }
}

fn too_slow() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, "redis does not answer in time").into()
}

fn broken(why: &'static str) -> RedisError {
    io::Error::new(io::ErrorKind::InvalidData, why).into()
}

#[cfg(test)]
mod tests;
