//! Opening connections.

use crate::address::UnixAddress;
use crate::options::{UnixOptions, evidence};
use async_trait::async_trait;
use mynah_protocol::{Accepted, Dialer, EvidenceKey, TransportError, TransportErrorKind};
use std::io;
use std::time::Duration;
use tokio::net::UnixStream;

/// Opens connections to one socket.
#[derive(Clone, Debug)]
pub struct UnixDialer {
    address: UnixAddress,
    options: UnixOptions,
}

/// How long to wait before another attempt at a listener that is busy, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

impl UnixDialer {
    /// A dialer for a path or an abstract name.
    pub fn new(address: impl Into<UnixAddress>) -> Self {
        Self {
            address: address.into(),
            options: UnixOptions::default(),
        }
    }

    /// The same with other options.
    #[must_use]
    pub fn options(mut self, options: UnixOptions) -> Self {
        self.options = options;
        self
    }

    /// Connects, and tries again while the kernel holds as many connections for the listener as it asked for: Unix
    /// sockets have no other way to wait for it.
    async fn connect(&self) -> io::Result<UnixStream> {
        let path = self.address.as_tokio_path();
        let [mut pause, most] = PAUSES;
        loop {
            match UnixStream::connect(&path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(most);
                }
                done => return done,
            }
        }
    }
}

#[async_trait]
impl Dialer for UnixDialer {
    type Connection = UnixStream;

    async fn dial(&self) -> Result<Accepted<UnixStream>, TransportError> {
        let Self { address, options } = self;
        let failed = |kind| TransportError::new(kind, format!("cannot connect to {address}"));
        address
            .check()
            .map_err(|error| failed(TransportErrorKind::Address).with_source(error))?;
        let timeout = options.connect_timeout;
        let stream = match tokio::time::timeout(timeout, self.connect()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let kind = TransportError::from(io::Error::from(error.kind())).kind();
                return Err(failed(kind).with_source(error));
            }
            Err(_elapsed) => {
                let what = format!("no connection to {address} within {timeout:?}");
                return Err(TransportError::new(TransportErrorKind::TimedOut, what));
            }
        };
        let allowed = options.peers_of(Some(address));
        let evidence = evidence(&stream, &allowed)
            .map_err(|error| failed(error.kind()).with_source(error))?
            .with(EvidenceKey::REMOTE_ADDRESS, address.to_string());
        Ok(Accepted {
            connection: stream,
            evidence,
        })
    }
}
