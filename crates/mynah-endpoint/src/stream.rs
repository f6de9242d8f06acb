//! One type for the byte streams of every transport.

use mynah_protocol::SideLines;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An open duplex stream of bytes, of whatever type.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// An open byte stream of one of the transports.
///
/// Known transports are variants rather than boxes: what drives a connection is compiled once for all of them, and
/// finds the right one by a branch.
#[non_exhaustive]
pub enum EndpointStream {
    /// TCP.
    #[cfg(feature = "tcp")]
    Tcp(mynah_transport_tcp::TcpStream),
    /// A Unix socket.
    #[cfg(all(unix, feature = "unix"))]
    Unix(mynah_transport_unix::UnixStream),
    /// A channel of an SSH connection.
    #[cfg(all(unix, feature = "ssh"))]
    Ssh(mynah_transport_ssh::SshStream),
    /// A channel of an SSH connection that was accepted.
    #[cfg(all(unix, feature = "ssh"))]
    SshServer(mynah_transport_ssh::SshServerStream),
    /// Stdin and stdout of this process.
    #[cfg(all(unix, feature = "stdio"))]
    Stdio(mynah_transport_stdio::OwnStdio),
    /// A child process.
    #[cfg(all(unix, feature = "stdio"))]
    Child(mynah_transport_stdio::ChildProcess),
    /// Anything else.
    Other(Box<dyn ByteStream>),
}

impl EndpointStream {
    /// A stream of no known transport.
    pub fn other(stream: impl ByteStream) -> Self {
        Self::Other(Box::new(stream))
    }

    /// Takes what arrives beside the bytes, once: what a child or a remote command writes to stderr.
    #[cfg_attr(
        not(all(unix, any(feature = "ssh", feature = "stdio"))),
        allow(
            clippy::needless_pass_by_ref_mut,
            reason = "nothing is taken from the rest"
        )
    )]
    pub(crate) fn take_side_lines(&mut self) -> Option<SideLines> {
        match self {
            #[cfg(all(unix, feature = "ssh"))]
            Self::Ssh(stream) => Some(Box::pin(stream.take_lines()?)),
            #[cfg(all(unix, feature = "stdio"))]
            Self::Child(child) => Some(Box::pin(child.take_stderr()?)),
            _ => None,
        }
    }
}

impl fmt::Debug for EndpointStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "tcp")]
            Self::Tcp(stream) => f.debug_tuple("Tcp").field(stream).finish(),
            #[cfg(all(unix, feature = "unix"))]
            Self::Unix(stream) => f.debug_tuple("Unix").field(stream).finish(),
            #[cfg(all(unix, feature = "ssh"))]
            Self::Ssh(stream) => f.debug_tuple("Ssh").field(stream).finish(),
            #[cfg(all(unix, feature = "ssh"))]
            Self::SshServer(stream) => f.debug_tuple("SshServer").field(stream).finish(),
            #[cfg(all(unix, feature = "stdio"))]
            Self::Stdio(stream) => f.debug_tuple("Stdio").field(stream).finish(),
            #[cfg(all(unix, feature = "stdio"))]
            Self::Child(stream) => f.debug_tuple("Child").field(stream).finish(),
            Self::Other(_) => f.debug_tuple("Other").finish_non_exhaustive(),
        }
    }
}

#[cfg(feature = "tcp")]
impl From<mynah_transport_tcp::TcpStream> for EndpointStream {
    fn from(stream: mynah_transport_tcp::TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

#[cfg(all(unix, feature = "unix"))]
impl From<mynah_transport_unix::UnixStream> for EndpointStream {
    fn from(stream: mynah_transport_unix::UnixStream) -> Self {
        Self::Unix(stream)
    }
}

#[cfg(all(unix, feature = "ssh"))]
impl From<mynah_transport_ssh::SshStream> for EndpointStream {
    fn from(stream: mynah_transport_ssh::SshStream) -> Self {
        Self::Ssh(stream)
    }
}

#[cfg(all(unix, feature = "ssh"))]
impl From<mynah_transport_ssh::SshServerStream> for EndpointStream {
    fn from(stream: mynah_transport_ssh::SshServerStream) -> Self {
        Self::SshServer(stream)
    }
}

#[cfg(all(unix, feature = "stdio"))]
impl From<mynah_transport_stdio::OwnStdio> for EndpointStream {
    fn from(stream: mynah_transport_stdio::OwnStdio) -> Self {
        Self::Stdio(stream)
    }
}

#[cfg(all(unix, feature = "stdio"))]
impl From<mynah_transport_stdio::ChildProcess> for EndpointStream {
    fn from(stream: mynah_transport_stdio::ChildProcess) -> Self {
        Self::Child(stream)
    }
}

/// Does the same with the stream of whichever variant it is.
macro_rules! each {
    ($this:expr, $stream:ident => $what:expr) => {
        match $this {
            #[cfg(feature = "tcp")]
            EndpointStream::Tcp($stream) => $what,
            #[cfg(all(unix, feature = "unix"))]
            EndpointStream::Unix($stream) => $what,
            #[cfg(all(unix, feature = "ssh"))]
            EndpointStream::Ssh($stream) => $what,
            #[cfg(all(unix, feature = "ssh"))]
            EndpointStream::SshServer($stream) => $what,
            #[cfg(all(unix, feature = "stdio"))]
            EndpointStream::Stdio($stream) => $what,
            #[cfg(all(unix, feature = "stdio"))]
            EndpointStream::Child($stream) => $what,
            EndpointStream::Other($stream) => $what,
        }
    };
}

impl AsyncRead for EndpointStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for EndpointStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
