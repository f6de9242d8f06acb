//! `systemd:` and `systemd:NAME`.

use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::passed::PassedSocket;
use crate::place::{Dialing, Listening, Place};
use mynah_protocol::{TransportError, TransportErrorKind};
use mynah_transport_tcp::TcpListener;
use mynah_transport_unix::{UnixListener, UnixOptions};
use std::fmt;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    let name = Some(url.address).filter(|name| !name.is_empty());
    let name = name.map(str::to_owned);
    let mut options = UnixOptions::default();
    options.peers = super::unix::take_peers(url)?;
    Ok(Box::new(Systemd { name, options }))
}

/// A socket that whoever started this process has opened.
#[derive(Debug)]
struct Systemd {
    /// `None`: whichever there is.
    name: Option<String>,
    options: UnixOptions,
}

impl fmt::Display for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "systemd:{}", self.name.as_deref().unwrap_or_default())
    }
}

impl Place for Systemd {
    fn dial(&self) -> Result<Dialing, TransportError> {
        let what = format!("{self} can only be listened on");
        Err(TransportError::new(TransportErrorKind::Address, what))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let (name, options) = (self.name.clone(), self.options.clone());
        Ok(Listening::Bytes(Box::pin(async move {
            Ok(match PassedSocket::take(name.as_deref())? {
                PassedSocket::Tcp(listener) => {
                    listener.set_nonblocking(true)?;
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    erase::listener(TcpListener::from_bound(listener)?)
                }
                PassedSocket::Unix(listener) => {
                    erase::listener(UnixListener::from_std_with(listener, &options)?)
                }
            })
        })))
    }
}
