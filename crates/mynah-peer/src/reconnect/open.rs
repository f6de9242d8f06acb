//! Ways to open a connection.

use crate::peer::{Peer, PeerBuilder};
use crate::router::RegisterError;
use mynah_codec::Dialect;
use mynah_protocol::{Accepted, Dialer, Transport, TransportError};
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why the first connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The transport could not connect.
    #[error("{}", .0.chain())]
    Transport(#[from] TransportError),
    /// A service of this side cannot be registered.
    #[error("service cannot be registered")]
    Register(#[from] RegisterError),
}

type Opening = Pin<Box<dyn Future<Output = Result<PeerBuilder, TransportError>> + Send>>;
/// Opens one connection. Dropping its future gives up and leaves nothing open.
pub(super) type Open = Box<dyn Fn() -> Opening + Send + Sync>;

pub(super) fn closure<F, Fut>(open: F) -> Open
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<PeerBuilder, TransportError>> + Send + 'static,
{
    Box::new(move || Box::pin(open()))
}

pub(super) fn bytes<D>(dialer: D, dialect: &impl Dialect) -> Open
where
    D: Dialer<Connection: AsyncRead + AsyncWrite + Unpin>,
{
    let dialer = std::sync::Arc::new(dialer);
    let dialect = dialect.clone_box();
    Box::new(move || {
        let dialer = std::sync::Arc::clone(&dialer);
        let dialect = dialect.clone_box();
        Box::pin(async move {
            let Accepted {
                mut connection,
                evidence,
            } = dialer.dial().await?;
            let side_lines = dialer.take_side_lines(&mut connection);
            let builder = Peer::over(connection, &dialect).evidence(evidence);
            Ok(match side_lines {
                Some(lines) => builder.side_lines(lines),
                None => builder,
            })
        })
    })
}

pub(super) fn carrier<D>(dialer: D) -> Open
where
    D: Dialer<Connection: Transport>,
{
    let dialer = std::sync::Arc::new(dialer);
    Box::new(move || {
        let dialer = std::sync::Arc::clone(&dialer);
        Box::pin(async move {
            let Accepted {
                connection,
                evidence,
            } = dialer.dial().await?;
            Ok(Peer::over_transport(connection).evidence(evidence))
        })
    })
}
