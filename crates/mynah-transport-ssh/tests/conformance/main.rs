//! What every transport must do, over a command that a real OpenSSH server runs, which passes on what it reads. A socket
//! behind the server is among the tests of `it`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

#[path = "../sshd/mod.rs"]
mod sshd;

use crate::sshd::Sshd;
use mynah_protocol::{Accepted, Dialer as _, Evidence, EvidenceKey, TransportError};
use mynah_testkit::transport::ByteTransport;
use mynah_transport_ssh::{
    HostKeys, Identity, Remote, RemoteCommand, SshAddress, SshDialer, SshOptions, SshStream,
    StopTimes,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// What the command does: its stdin goes to the socket, and what comes from there to its stdout. Each way ends by
/// itself.
const BRIDGE: &str = r#"
import os, socket, sys, threading
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
def there():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
thread = threading.Thread(target=there, daemon=True)
thread.start()
try:
    while data := peer.recv(65536):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    # sshd passes the end of stdout on once stderr has ended too.
    os.close(1)
    os.close(2)
    thread.join()
except OSError:
    pass
"#;

/// A server and what it is used for.
struct Bench {
    server: Sshd,
    sockets: AtomicUsize,
}

impl Bench {
    /// The one of the tests that run now, or a new one.
    fn take() -> Arc<Self> {
        static SHARED: Mutex<Weak<Bench>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let bench = Arc::new(Self {
                server: Sshd::start(""),
                sockets: AtomicUsize::new(0),
            });
            *shared = Arc::downgrade(&bench);
            bench
        })
    }

    async fn open(
        &self,
        remote: impl FnOnce(String) -> Remote,
    ) -> Result<(Accepted<SshStream>, Accepted<UnixStream>), TransportError> {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        let path = self.server.path(&format!("socket{number}"));
        let listener = UnixListener::bind(&path)?;
        let address = SshAddress::new(self.server.user(), "127.0.0.1")?.port(self.server.port());
        // What a command passes on when nobody reads it any more goes on until it is told to end.
        let times = StopTimes::default()
            .with_after_eof(Duration::from_millis(100))
            .with_after_term(Duration::from_millis(100))
            .with_after_kill(Duration::from_millis(100));
        let near = SshDialer::new(address, remote(path.display().to_string()))
            .host_keys(HostKeys::known_hosts_in([self.server.known_hosts()]))
            .identity(Identity::file(self.server.user_key()))
            .options(SshOptions::default().with_stop(times))
            .dial()
            .await?;
        let (far, _address) = listener.accept().await?;
        let far = Accepted {
            connection: far,
            evidence: Evidence::new().with(EvidenceKey::TRANSPORT, "unix"),
        };
        Ok((near, far))
    }
}

/// A command that the server runs.
fn command() -> ByteTransport {
    let bench = Bench::take();
    ByteTransport::paired("ssh command", move || {
        let bench = Arc::clone(&bench);
        async move {
            let command = |path: String| {
                Remote::Command(RemoteCommand::new("python3").args(["-c", BRIDGE, &path]))
            };
            bench.open(command).await
        }
    })
}

/// The cases of bytes; calls are the same as over a socket.
#[tokio::test]
async fn over_a_command() {
    let transport = command();
    // Those behind are for transports that are dialled.
    for case in ByteTransport::cases().take_while(|case| *case != "address") {
        let checked = transport.check(case).await;
        checked.unwrap_or_else(|failure| panic!("{case}: {failure}"));
    }
}
