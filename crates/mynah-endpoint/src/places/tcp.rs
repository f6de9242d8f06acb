//! `tcp://host:port`.

use crate::endpoint::Url;
use crate::erase;
use crate::error::EndpointError;
use crate::place::{Dialing, Listening, Place};
use mynah_protocol::TransportError;
use mynah_transport_tcp::{TcpDialer, TcpListener};
use std::fmt;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    let host = url.address.strip_prefix("//").unwrap_or_default();
    let host = host.strip_suffix('/').unwrap_or(host);
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && is_port(port) => {
            Ok(Box::new(Tcp(host.to_owned())))
        }
        _ => Err(url.wrong("tcp needs a host and a port, tcp://host:port")),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// `host:port`.
#[derive(Debug)]
struct Tcp(String);

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}", self.0)
    }
}

impl Place for Tcp {
    fn dial(&self) -> Result<Dialing, TransportError> {
        let dialer = TcpDialer::new(self.0.clone());
        Ok(Dialing::Bytes(erase::dialer(dialer)))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        let address = self.0.clone();
        Ok(Listening::Bytes(Box::pin(async move {
            let listener = TcpListener::bind(&address).await?;
            Ok(erase::listener(listener))
        })))
    }
}
