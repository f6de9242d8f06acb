//! Accepting connections.

use crate::options::{TcpOptions, evidence};
use mynah_protocol::{Accepted, Listener, TransportError, TransportErrorKind};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Accepts connections on one address.
#[derive(Debug)]
pub struct TcpListener {
    listener: tokio::net::TcpListener,
    local: SocketAddr,
    options: TcpOptions,
}

impl TcpListener {
    /// Binds `host:port`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`TransportError`] when the address cannot be looked up or bound.
    pub async fn bind(address: &str) -> Result<Self, TransportError> {
        Self::bind_with(address, TcpOptions::default()).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// [`TransportError`] when the address cannot be looked up or bound.
    pub async fn bind_with(address: &str, options: TcpOptions) -> Result<Self, TransportError> {
        let fail = |error: io::Error| {
            let kind = TransportError::from(io::Error::from(error.kind())).kind();
            let what = format!("cannot listen on tcp://{address}");
            TransportError::new(kind, what).with_source(error)
        };
        let mut last = None;
        for candidate in lookup_host(address).await.map_err(fail)? {
            match bind(candidate, options.backlog) {
                Ok(listener) => {
                    let local = listener.local_addr().map_err(fail)?;
                    return Ok(Self {
                        listener,
                        local,
                        options,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(
            || {
                TransportError::new(
                    TransportErrorKind::Address,
                    format!("{address} has no address"),
                )
            },
            fail,
        ))
    }

    /// Takes a listener that is bound already.
    ///
    /// # Errors
    /// [`TransportError`] when it has no local address.
    pub fn from_bound(listener: tokio::net::TcpListener) -> Result<Self, TransportError> {
        let local = listener.local_addr()?;
        Ok(Self {
            listener,
            local,
            options: TcpOptions::default(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }
}

fn bind(address: SocketAddr, backlog: u32) -> io::Result<tokio::net::TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

impl Listener for TcpListener {
    type Connection = TcpStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<TcpStream>, TransportError>>> {
        let accepted = ready!(self.listener.poll_accept(cx));
        Poll::Ready(Some(accepted.map_err(accept_failed).and_then(
            |(stream, remote)| {
                self.options.apply(&stream)?;
                let evidence = evidence(&stream, remote);
                Ok(Accepted {
                    connection: stream,
                    evidence,
                })
            },
        )))
    }

    fn address(&self) -> String {
        format!("tcp://{}", self.local)
    }
}

fn accept_failed(error: io::Error) -> TransportError {
    // ENFILE, EMFILE, ENOBUFS, ENOMEM: this machine has no more of something.
    let kind = match error.raw_os_error() {
        Some(23 | 24 | 105 | 12) => TransportErrorKind::Exhausted,
        _ => TransportErrorKind::Other,
    };
    TransportError::new(kind, "accept failed").with_source(error)
}
