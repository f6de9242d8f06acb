//! Accepting connections.

use crate::address::UnixAddress;
use crate::claim::Claim;
use crate::options::{AllowedPeers, UnixOptions, evidence};
use mynah_protocol::{Accepted, EvidenceKey, Listener, TransportError, TransportErrorKind};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::task::{Context, Poll, ready};
use tokio::net::UnixStream;

/// Accepts connections on a path or an abstract name.
///
/// - The permission bits of the file are set before anybody can connect, and on Linux before there is a file.
/// - One listener of this kind at a time has a path: it holds a lock on a file beside it, `PATH.lock`, which goes when
///   it does, also when its process is killed.
/// - A socket file that nobody listens on is replaced. One that somebody listens on, also somebody who knows nothing of
///   the lock, is left alone, and so is a file that is no socket: binding fails.
/// - When it is dropped, it removes the file if that is still the one that it made.
#[derive(Debug)]
pub struct UnixListener {
    listener: tokio::net::UnixListener,
    /// `None`: made by somebody else, and unnamed.
    address: Option<UnixAddress>,
    allowed: AllowedPeers,
    /// Declared last: the file is removed when nobody can connect any more.
    _claim: Option<Claim>,
}

impl UnixListener {
    /// Binds a path or an abstract name.
    ///
    /// # Errors
    /// [`TransportError`] when there can be no socket at the address, when it is taken, and when the file system
    /// refuses.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(address: impl Into<UnixAddress>) -> Result<Self, TransportError> {
        Self::bind_with(address, &UnixOptions::default())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As [`bind`](Self::bind); also when the mode is none, or there is one for an abstract name.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind_with(
        address: impl Into<UnixAddress>,
        options: &UnixOptions,
    ) -> Result<Self, TransportError> {
        let address = address.into();
        let bound = Self::bound(&address, options);
        let (listener, claim) = bound.map_err(|error| {
            let what = format!("cannot listen on {address}");
            TransportError::new(error.kind(), what).with_source(error)
        })?;
        Ok(Self {
            listener,
            allowed: options.peers_of(Some(&address)),
            address: Some(address),
            _claim: claim,
        })
    }

    fn bound(
        address: &UnixAddress,
        options: &UnixOptions,
    ) -> Result<(tokio::net::UnixListener, Option<Claim>), TransportError> {
        let refuse = |error: &dyn ToString| {
            TransportError::new(TransportErrorKind::Address, error.to_string())
        };
        address.check().map_err(|error| refuse(&error))?;
        if options.mode > 0o777 {
            return Err(refuse(&format!(
                "mode {:#o} is none; one is 0 to 0o777",
                options.mode
            )));
        }
        let (socket, claim) = match address {
            UnixAddress::Path(path) => {
                let mut claim = Claim::on(path)?;
                let socket = bind_path(path, options.mode)?;
                claim.made_socket()?;
                (socket, Some(claim))
            }
            UnixAddress::Abstract(name) => (bind_abstract(name)?, None),
        };
        rustix::net::listen(&socket, options.backlog).map_err(io::Error::from)?;
        let listener = std::os::unix::net::UnixListener::from(socket);
        let listener = tokio::net::UnixListener::from_std(listener)?;
        Ok((listener, claim))
    }

    /// Takes a listener that is bound already, by this program or by whoever started it. Its file is not removed.
    ///
    /// # Errors
    /// [`TransportError`] when it is no listener.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> Result<Self, TransportError> {
        Self::from_std_with(listener, &UnixOptions::default())
    }

    /// The same with other options, of which it has the peers.
    ///
    /// # Errors
    /// As [`from_std`](Self::from_std).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn from_std_with(
        listener: std::os::unix::net::UnixListener,
        options: &UnixOptions,
    ) -> Result<Self, TransportError> {
        let address = name_of(&listener.local_addr()?);
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: tokio::net::UnixListener::from_std(listener)?,
            allowed: options.peers_of(address.as_ref()),
            address,
            _claim: None,
        })
    }

    /// Where it listens; `None` when it was handed over without a name.
    #[must_use]
    pub const fn local_address(&self) -> Option<&UnixAddress> {
        self.address.as_ref()
    }

    fn take(&self, stream: UnixStream) -> Result<Accepted<UnixStream>, TransportError> {
        let mut evidence = evidence(&stream, &self.allowed)?;
        if let Some(address) = &self.address {
            evidence = evidence.with(EvidenceKey::LOCAL_ADDRESS, address.to_string());
        }
        Ok(Accepted {
            connection: stream,
            evidence,
        })
    }
}

/// A socket with a file of this mode, which nobody can connect to yet.
fn bind_path(path: &Path, mode: u32) -> Result<OwnedFd, TransportError> {
    let socket = socket()?;
    // Linux makes the file with the bits of the socket, cut by the umask; elsewhere this does nothing, or fails.
    let socket = File::from(socket);
    let early = socket.set_permissions(Permissions::from_mode(mode));
    if cfg!(any(target_os = "linux", target_os = "android")) {
        early?;
    }
    let name = SocketAddrUnix::new(path).map_err(io::Error::from)?;
    rustix::net::bind(&socket, &name).map_err(io::Error::from)?;
    // What the umask has taken away, or what was not set before. Connecting is refused until the socket listens.
    let file = path.symlink_metadata()?;
    if file.file_type().is_socket() && file.mode() & 0o777 != mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(socket.into())
}

fn bind_abstract(name: &[u8]) -> Result<OwnedFd, TransportError> {
    let socket = socket()?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let name = SocketAddrUnix::new_abstract_name(name).map_err(io::Error::from)?;
        rustix::net::bind(&socket, &name).map_err(io::Error::from)?;
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _checked = name;
    Ok(socket)
}

/// An unbound socket that does not block.
pub(crate) fn socket() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        SocketFlags::CLOEXEC,
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        SocketFlags::empty(),
        None,
    )?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

fn name_of(address: &std::os::unix::net::SocketAddr) -> Option<UnixAddress> {
    if let Some(path) = address.as_pathname() {
        return Some(UnixAddress::from(path));
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt as _;
        address
            .as_abstract_name()
            .map(|name| UnixAddress::Abstract(name.to_vec()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

impl Listener for UnixListener {
    type Connection = UnixStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<UnixStream>, TransportError>>> {
        let accepted = ready!(self.listener.poll_accept(cx));
        Poll::Ready(Some(match accepted {
            Ok((stream, _client)) => self.take(stream),
            Err(error) => Err(accept_failed(error)),
        }))
    }

    fn address(&self) -> String {
        match &self.address {
            Some(address) => address.to_string(),
            None => "unix:".to_owned(),
        }
    }
}

fn accept_failed(error: io::Error) -> TransportError {
    use rustix::io::Errno;
    let kind = match Errno::from_io_error(&error) {
        Some(Errno::NFILE | Errno::MFILE | Errno::NOBUFS | Errno::NOMEM) => {
            TransportErrorKind::Exhausted
        }
        _ => TransportErrorKind::Other,
    };
    TransportError::new(kind, "accept failed").with_source(error)
}
