//! Sockets that were opened by whoever started this process, as systemd does it.

use listenfd::ListenFd;
use mynah_protocol::{TransportError, TransportErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, PoisonError};

/// A listener that was opened before this process began: `ListenStream=` of a `.socket` unit of systemd, or what
/// `systemd-socket-activate` and `systemfd` pass.
///
/// They are found by the variables `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`, of which the first two are removed
/// when the first socket is taken. Removing a variable is not safe while another thread reads the environment by other
/// means than Rust's; so take them early, as a server does when it starts.
#[derive(Debug)]
#[non_exhaustive]
pub enum PassedSocket {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// What is there to be taken. The variables are read once.
static PASSED: Mutex<Option<Passed>> = Mutex::new(None);

struct Passed {
    sockets: ListenFd,
    names: Vec<String>,
}

impl PassedSocket {
    /// Takes the next socket of this name (`FileDescriptorName=` of the unit), or the next of any. Each is taken once.
    ///
    /// # Errors
    /// [`TransportErrorKind::Address`] when there is none left, or when it is no listener that carries a stream.
    pub fn take(name: Option<&str>) -> Result<Self, TransportError> {
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        passed.get_or_insert_with(Passed::from_env).take(name)
    }
}

impl Passed {
    fn from_env() -> Self {
        // Before the other variables are gone.
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            sockets: ListenFd::from_env(),
            names: names.split(':').map(str::to_owned).collect(),
        }
    }

    fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    fn take(&mut self, wanted: Option<&str>) -> Result<PassedSocket, TransportError> {
        for index in 0..self.sockets.len() {
            if wanted.is_some_and(|wanted| wanted != self.name(index)) {
                continue;
            }
            // Each look says as well when it has been taken.
            let unix = match self.sockets.take_unix_listener(index) {
                Ok(None) => continue,
                Ok(Some(listener)) => return Ok(PassedSocket::Unix(listener)),
                Err(error) => error,
            };
            match self.sockets.take_tcp_listener(index) {
                Ok(None) => continue,
                Ok(Some(listener)) => return Ok(PassedSocket::Tcp(listener)),
                Err(tcp) => {
                    let what = format!("socket {index} \"{}\": {unix}, {tcp}", self.name(index));
                    return Err(TransportError::new(TransportErrorKind::Address, what));
                }
            }
        }
        Err(TransportError::new(
            TransportErrorKind::Address,
            self.nothing(wanted),
        ))
    }

    fn nothing(&self, wanted: Option<&str>) -> String {
        let count = self.sockets.len();
        if count == 0 {
            return "no sockets were passed to this process (LISTEN_FDS, LISTEN_PID)".to_owned();
        }
        match wanted {
            Some(name) => format!(
                "no socket \"{name}\" is left of the {count} that were passed: {}",
                self.names.join(", ")
            ),
            None => format!("all {count} sockets that were passed are taken"),
        }
    }
}
