//! Dialers for a server of a test.

use crate::sshd::Sshd;
use mynah_protocol::{Accepted, Dialer as _, TransportError};
use mynah_transport_ssh::{
    HostKeys, Identity, Remote, RemoteCommand, SshAddress, SshDialer, SshStream,
};
use std::time::Duration;

/// Far longer than anything takes here: what has not happened by then hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

pub(crate) fn address(server: &Sshd) -> SshAddress {
    let address = SshAddress::new(server.user(), "127.0.0.1").unwrap();
    address.port(server.port())
}

pub(crate) fn dialer(server: &Sshd, remote: Remote) -> SshDialer {
    SshDialer::new(address(server), remote)
        .host_keys(HostKeys::known_hosts_in([server.known_hosts()]))
        .identity(Identity::file(server.user_key()))
}

pub(crate) fn command(text: &str) -> Remote {
    Remote::Command(RemoteCommand::shell(text))
}

pub(crate) async fn dial(dialer: &SshDialer) -> Result<Accepted<SshStream>, TransportError> {
    within(dialer.dial()).await
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let future = tokio::time::timeout(HANGS, future);
    future.await.expect("it hangs")
}

/// An error with its causes.
pub(crate) fn chain<T: std::fmt::Debug>(result: Result<T, TransportError>) -> String {
    result.unwrap_err().chain()
}
