//! Opening connections.

use crate::options::{TcpOptions, evidence};
use async_trait::async_trait;
use mynah_protocol::{Accepted, Dialer, TransportError, TransportErrorKind};
use tokio::net::{TcpStream, lookup_host};

/// Opens connections to one address, `host:port`.
#[derive(Clone, Debug)]
pub struct TcpDialer {
    address: String,
    options: TcpOptions,
}

impl TcpDialer {
    /// A dialer for `host:port`; a name is looked up at each attempt, and every address of it tried in order.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            options: TcpOptions::default(),
        }
    }

    /// The same with other options.
    #[must_use]
    pub fn options(mut self, options: TcpOptions) -> Self {
        self.options = options;
        self
    }

    async fn connect(&self) -> Result<TcpStream, TransportError> {
        let resolved = lookup_host(&self.address).await.map_err(|error| {
            let what = format!("cannot look up tcp://{}", self.address);
            TransportError::new(TransportErrorKind::Address, what).with_source(error)
        })?;
        let mut last = None;
        for address in resolved {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        let what = format!("cannot connect to tcp://{}", self.address);
        Err(match last {
            Some(error) => {
                let kind = TransportError::from(std::io::Error::from(error.kind())).kind();
                TransportError::new(kind, what).with_source(error)
            }
            None => TransportError::new(TransportErrorKind::Address, what),
        })
    }
}

#[async_trait]
impl Dialer for TcpDialer {
    type Connection = TcpStream;

    async fn dial(&self) -> Result<Accepted<TcpStream>, TransportError> {
        let timeout = self.options.connect_timeout;
        let stream = match tokio::time::timeout(timeout, self.connect()).await {
            Ok(connected) => connected?,
            Err(_elapsed) => {
                let what = format!("no connection to tcp://{} within {timeout:?}", self.address);
                return Err(TransportError::new(TransportErrorKind::TimedOut, what));
            }
        };
        self.options.apply(&stream)?;
        let remote = stream.peer_addr()?;
        let evidence = evidence(&stream, remote);
        Ok(Accepted {
            connection: stream,
            evidence,
        })
    }
}
