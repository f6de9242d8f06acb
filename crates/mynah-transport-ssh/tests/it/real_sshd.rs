//! What every transport must do: the client of this crate through a real OpenSSH server, to a Unix socket behind it.

use crate::sshd::Sshd;
use mynah_protocol::{Accepted, Dialer as _, Evidence, EvidenceKey, TransportError};
use mynah_testkit::transport::ByteTransport;
use mynah_transport_ssh::{HostKeys, Identity, Remote, SshAddress, SshDialer, SshStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::net::{UnixListener, UnixStream};

/// A server that ends with the test.
#[derive(Default)]
struct Behind {
    server: OnceLock<Sshd>,
    sockets: AtomicUsize,
}

impl Behind {
    async fn open(&self) -> Result<(Accepted<SshStream>, Accepted<UnixStream>), TransportError> {
        let server = self.server.get_or_init(|| Sshd::start(""));
        let number = self.sockets.fetch_add(1, Ordering::SeqCst);
        let path = server.path(&format!("socket_{number}"));
        let listener = UnixListener::bind(&path)?;
        let address = SshAddress::new(server.user(), "127.0.0.1")?.port(server.port());
        let remote = Remote::Socket(path.display().to_string());
        let dialer = SshDialer::new(address, remote)
            .host_keys(HostKeys::known_hosts_in([server.known_hosts()]))
            .identity(Identity::file(server.user_key()));
        let accepting = async { Ok(listener.accept().await?) };
        let (near, (far, _)) = tokio::try_join!(dialer.dial(), accepting)?;
        let far = Accepted {
            connection: far,
            evidence: Evidence::new().with(EvidenceKey::TRANSPORT, "unix"),
        };
        Ok((near, far))
    }
}

mynah_testkit::transport_suite! {
    bytes paired openssh => {
        let behind = Arc::new(Behind::default());
        ByteTransport::paired("sshd", move || {
            let behind = Arc::clone(&behind);
            async move { behind.open().await }
        })
    }
}
