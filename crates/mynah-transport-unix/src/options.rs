//! What can be chosen, and what is known of a peer.

use crate::address::UnixAddress;
use mynah_protocol::{Evidence, EvidenceKey, TransportError, TransportErrorKind};
use std::time::Duration;
use tokio::net::UnixStream;

/// What can be chosen for Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixOptions {
    /// Who may use a socket file, as its permission bits: who may connect may write. Default `0o600`: its owner.
    pub mode: u32,
    /// Whose connections are taken, by the user that the kernel names, and to whose sockets connections are opened.
    /// `None`, the default: [`AllowedPeers::Any`] where a file's mode guards the socket, and
    /// [`AllowedPeers::SameUser`] for an abstract name, which has no mode.
    pub peers: Option<AllowedPeers>,
    /// Time for opening a connection. Default 10 s.
    pub connect_timeout: Duration,
    /// Connections that the kernel holds until they are accepted. Default 1024.
    pub backlog: i32,
}

/// Which users may be on the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllowedPeers {
    /// Whoever can connect.
    Any,
    /// The user that this process runs as, and root.
    SameUser,
    /// These users, by number.
    Users(Vec<u32>),
}

impl Default for UnixOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            peers: None,
            connect_timeout: Duration::from_secs(10),
            backlog: 1024,
        }
    }
}

impl UnixOptions {
    /// Sets the permission bits of the socket file.
    #[must_use]
    pub const fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets which users may be on the other side.
    #[must_use]
    pub fn with_peers(mut self, peers: AllowedPeers) -> Self {
        self.peers = Some(peers);
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
    pub const fn with_backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    pub(crate) fn peers_of(&self, address: Option<&UnixAddress>) -> AllowedPeers {
        match (&self.peers, address) {
            (Some(peers), _) => peers.clone(),
            (None, Some(UnixAddress::Abstract(_))) => AllowedPeers::SameUser,
            (None, _) => AllowedPeers::Any,
        }
    }
}

impl AllowedPeers {
    fn allow(&self, user: u32) -> bool {
        match self {
            Self::Any => true,
            Self::SameUser => user == 0 || user == rustix::process::geteuid().as_raw(),
            Self::Users(users) => users.contains(&user),
        }
    }
}

/// What the kernel knows of the other side, if it may be there at all.
///
/// The user and group are those that it had when it connected, or began to listen. The process may have ended since, and
/// its number may have been given to another.
pub(crate) fn evidence(
    stream: &UnixStream,
    allowed: &AllowedPeers,
) -> Result<Evidence, TransportError> {
    let peer = stream.peer_cred().map_err(|error| {
        let what = "cannot ask the kernel who the peer is";
        TransportError::new(TransportErrorKind::Denied, what).with_source(error)
    })?;
    if !allowed.allow(peer.uid()) {
        let what = format!("user {} may not be on the other side", peer.uid());
        return Err(TransportError::new(TransportErrorKind::Denied, what));
    }
    let mut evidence = Evidence::new()
        .with(EvidenceKey::TRANSPORT, "unix")
        .with(EvidenceKey::USER_ID, peer.uid())
        .with(EvidenceKey::GROUP_ID, peer.gid());
    if let Some(process) = peer.pid() {
        evidence = evidence.with(EvidenceKey::PROCESS_ID, process);
    }
    Ok(evidence)
}
