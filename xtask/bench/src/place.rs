//! Where client and server meet.

use crate::Failure;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

/// An open connection.
pub type Stream = Either<TcpStream, UnixStream>;

/// Where a server listens. Displayed, it is a URL of Mynah's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    /// The abstract name of a Unix socket: no file is left behind, however a server ends.
    Unix(String),
}

/// A server's listener.
#[derive(Debug)]
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Address {
    /// For contenders that know TCP only.
    ///
    /// # Errors
    /// It is something else.
    pub fn tcp(self) -> Result<SocketAddr, Failure> {
        match self {
            Self::Tcp(address) => Ok(address),
            Self::Unix(_) => Err("it speaks over tcp only".into()),
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
            Self::Unix(name) => Ok(Either::Right(UnixStream::connect(path(name)).await?)),
        }
    }
}

impl Listening {
    /// On a free port, or under a free name.
    pub(crate) async fn bind(transport: &str) -> Result<(Self, Address), Failure> {
        match transport {
            "tcp" => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = listener.local_addr()?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
            "unix" => {
                let name = format!("mynah-bench-{}", std::process::id());
                let listener = UnixListener::bind(path(&name))?;
                Ok((Self::Unix(listener), Address::Unix(name)))
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
            Self::Unix(_) => Err("it speaks over tcp only".into()),
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
            Self::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
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
        }
    }
}

impl FromStr for Address {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if let Some(name) = text.strip_prefix("unix:@") {
            return Ok(Self::Unix(name.to_owned()));
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text);
        Ok(Self::Tcp(address.parse()?))
    }
}
