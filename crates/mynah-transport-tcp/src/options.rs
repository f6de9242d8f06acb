//! What is set on every socket.

use mynah_protocol::{Evidence, EvidenceKey};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// What is set on every socket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Silence after which the kernel asks for a sign of life; `None` switches it off. Default 60 s.
    pub keep_alive: Option<Duration>,
    /// Time between two such questions. Default 15 s.
    pub keep_alive_interval: Duration,
    /// Questions without an answer after which the connection is broken. Default 4.
    pub keep_alive_retries: u32,
    /// Time for opening a connection. Default 10 s.
    pub connect_timeout: Duration,
    /// Connections that the kernel holds until they are accepted. Default 1024.
    pub backlog: u32,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            keep_alive: Some(Duration::from_secs(60)),
            keep_alive_interval: Duration::from_secs(15),
            keep_alive_retries: 4,
            connect_timeout: Duration::from_secs(10),
            backlog: 1024,
        }
    }
}

impl TcpOptions {
    /// Sets the silence after which the kernel asks for a sign of life.
    #[must_use]
    pub const fn with_keep_alive(mut self, silence: Option<Duration>) -> Self {
        self.keep_alive = silence;
        self
    }

    /// Sets the time for opening a connection.
    #[must_use]
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how many connections the kernel holds until they are accepted.
    #[must_use]
    pub const fn with_backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    pub(crate) fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if let Some(silence) = self.keep_alive {
            let keep_alive = TcpKeepalive::new()
                .with_time(silence)
                .with_interval(self.keep_alive_interval)
                .with_retries(self.keep_alive_retries);
            SockRef::from(stream).set_tcp_keepalive(&keep_alive)?;
        }
        Ok(())
    }
}

pub(crate) fn evidence(stream: &TcpStream, remote: SocketAddr) -> Evidence {
    let evidence = Evidence::new()
        .with(EvidenceKey::TRANSPORT, "tcp")
        .with(EvidenceKey::REMOTE_ADDRESS, remote.to_string());
    match stream.local_addr() {
        Ok(local) => evidence.with(EvidenceKey::LOCAL_ADDRESS, local.to_string()),
        Err(_unknown) => evidence,
    }
}
