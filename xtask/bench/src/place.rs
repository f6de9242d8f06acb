//! Where client and server meet.

use crate::Failure;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::io::Join;
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

/// An open connection.
pub type Stream = Either<TcpStream, Either<UnixStream, Pair>>;

/// A pipe for each direction, as the stdin and stdout of a child are.
pub type Pair = Join<pipe::Receiver, pipe::Sender>;

/// Where a server listens. Displayed, it is a URL of Mynah's, but for pipes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    /// The abstract name of a Unix socket: no file is left behind, however a server ends.
    Unix(String),
    /// Pipes of the server's process, by their numbers there: one to be read and one to be written for each connection.
    Pipes {
        pid: u32,
        pairs: Vec<(i32, i32)>,
    },
    /// A redis-server on a Unix socket of this path.
    Redis(String),
}

/// A server's listener.
#[derive(Debug)]
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
    Pipes(Pipes),
    Redis(String),
}

/// The server's ends of its pipes, until they are taken; and the client's, which stay open here, so that it finds them.
#[derive(Debug, Default)]
pub struct Pipes {
    near: Mutex<Vec<Pair>>,
    far: Vec<(OwnedFd, OwnedFd)>,
}

/// As many connections as any scenario needs in which pipes take part.
const PAIRS: usize = 8;
/// Where the redis-server of the transport `redis` is, which the harness starts.
const REDIS: &str = "MYNAH_BENCH_REDIS";
/// The next pair that a client of this process takes.
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Address {
    /// For contenders that know TCP only.
    ///
    /// # Errors
    /// It is something else.
    pub fn tcp(self) -> Result<SocketAddr, Failure> {
        match self {
            Self::Tcp(address) => Ok(address),
            Self::Unix(_) | Self::Pipes { .. } | Self::Redis(_) => {
                Err("it speaks over tcp only".into())
            }
        }
    }

    /// The URL of a redis-server.
    ///
    /// # Errors
    /// It is something else.
    pub fn redis(self) -> Result<String, Failure> {
        match self {
            Self::Redis(path) => Ok(redis(&path)),
            Self::Tcp(_) | Self::Unix(_) | Self::Pipes { .. } => {
                Err("it speaks over redis only".into())
            }
        }
    }

    /// Connects, with nodelay set where there is such a thing.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Self::Unix(name) => {
                let stream = UnixStream::connect(path(name)).await?;
                Ok(Either::Right(Either::Left(stream)))
            }
            Self::Pipes { pid, pairs } => {
                let next = NEXT.fetch_add(1, Ordering::Relaxed);
                let Some((read, written)) = pairs.get(next) else {
                    return Err(io::Error::other("all pipes are in use"));
                };
                let options = pipe::OpenOptions::new();
                let reader = options.open_receiver(format!("/proc/{pid}/fd/{read}"))?;
                let writer = options.open_sender(format!("/proc/{pid}/fd/{written}"))?;
                Ok(Either::Right(Either::Right(tokio::io::join(
                    reader, writer,
                ))))
            }
            Self::Redis(_) => Err(io::Error::other("redis is no peer")),
        }
    }
}

impl Listening {
    /// On a free port, or under a free name.
    pub(crate) async fn bind(transport: &str) -> Result<(Self, Address), Failure> {
        match transport {
            // SSH is a matter of those who speak over it.
            "tcp" | "ssh" => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
            "unix" => {
                let name = format!("mynah-bench-{}", std::process::id());
                let listener = UnixListener::bind(path(&name))?;
                Ok((Self::Unix(listener), Address::Unix(name)))
            }
            "pipes" => {
                let pipes = Pipes::open()?;
                let address = Address::Pipes {
                    pid: std::process::id(),
                    pairs: pipes.numbers(),
                };
                Ok((Self::Pipes(pipes), address))
            }
            "redis" => {
                let path = std::env::var(REDIS)?;
                let path = path
                    .strip_prefix("redis+unix://")
                    .unwrap_or(&path)
                    .to_owned();
                Ok((Self::Redis(path.clone()), Address::Redis(path)))
            }
            other => Err(format!("unknown transport {other}").into()),
        }
    }

    /// For contenders that know TCP only.
    ///
    /// # Errors
    /// It is something else.
    pub fn tcp(self) -> Result<TcpListener, Failure> {
        match self {
            Self::Tcp(listener) => Ok(listener),
            Self::Unix(_) | Self::Pipes(_) | Self::Redis(_) => {
                Err("it speaks over tcp only".into())
            }
        }
    }

    /// The URL of the redis-server where calls meet their server.
    ///
    /// # Errors
    /// It is something else.
    pub fn redis(self) -> Result<String, Failure> {
        match self {
            Self::Redis(path) => Ok(redis(&path)),
            Self::Tcp(_) | Self::Unix(_) | Self::Pipes(_) => {
                Err("it speaks over redis only".into())
            }
        }
    }

    /// The next connection, with nodelay set where there is such a thing.
    ///
    /// # Errors
    /// There is none.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Either::Right(Either::Left(stream)))
            }
            Self::Pipes(pipes) => match pipes.take() {
                Some(pair) => Ok(Either::Right(Either::Right(pair))),
                None => std::future::pending().await,
            },
            Self::Redis(_) => Err(io::Error::other("redis is no peer")),
        }
    }
}

impl Pipes {
    fn open() -> io::Result<Self> {
        let mut pipes = Self::default();
        let mut near = Vec::new();
        for _ in 0..PAIRS {
            let (theirs_to_read, write) = io::pipe()?;
            let (read, theirs_to_write) = io::pipe()?;
            near.push(tokio::io::join(
                pipe::Receiver::from_owned_fd(read.into())?,
                pipe::Sender::from_owned_fd(write.into())?,
            ));
            let far = (theirs_to_read.into(), theirs_to_write.into());
            pipes.far.push(far);
        }
        pipes.near = Mutex::new(near);
        Ok(pipes)
    }

    /// The client's ends.
    fn numbers(&self) -> Vec<(i32, i32)> {
        let pairs = self.far.iter();
        pairs
            .map(|(read, written)| (read.as_raw_fd(), written.as_raw_fd()))
            .collect()
    }

    /// The server's ends of one connection more.
    pub fn take(&self) -> Option<Pair> {
        let mut near = self.near.lock().unwrap_or_else(PoisonError::into_inner);
        near.pop()
    }
}

/// A path as a URL.
fn redis(path: &str) -> String {
    format!("redis+unix://{path}")
}

/// An abstract name as tokio wants it.
fn path(name: &str) -> String {
    format!("\0{name}")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(name) => write!(f, "unix:@{name}"),
            Self::Redis(path) => f.write_str(&redis(path)),
            Self::Pipes { pid, pairs } => {
                write!(f, "pipes:{pid}")?;
                pairs
                    .iter()
                    .try_for_each(|(read, written)| write!(f, "/{read},{written}"))
            }
        }
    }
}

impl FromStr for Address {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if let Some(name) = text.strip_prefix("unix:@") {
            return Ok(Self::Unix(name.to_owned()));
        }
        if let Some(path) = text.strip_prefix("redis+unix://") {
            return Ok(Self::Redis(path.to_owned()));
        }
        if let Some(pipes) = text.strip_prefix("pipes:") {
            let mut parts = pipes.split('/');
            let pid = parts.next().unwrap_or_default().parse()?;
            let pair = |text: &str| -> Result<(i32, i32), Failure> {
                let (read, written) = text.split_once(',').ok_or("a pair of numbers")?;
                Ok((read.parse()?, written.parse()?))
            };
            let pairs = parts.map(pair).collect::<Result<_, _>>()?;
            return Ok(Self::Pipes { pid, pairs });
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text);
        Ok(Self::Tcp(address.parse()?))
    }
}
