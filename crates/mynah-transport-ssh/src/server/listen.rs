//! Accepting connections.

use super::authorized::AuthorizedKeys;
use super::door::Door;
use super::handler::read_file;
use super::host_keys;
use super::open::{Common, open};
use super::options::SshServerOptions;
use super::rate::Rate;
use super::stream::SshServerStream;
use mynah_protocol::{Accepted, Listener, TransportError, TransportErrorKind};
use russh::keys::{HashAlg, PrivateKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Connections that are let in and wait to be taken.
const MAX_READY: usize = 32;

/// Sockets that are taken before others get their turn.
const MAX_ACCEPTS: usize = 32;

type Opened = Result<Accepted<SshServerStream>, TransportError>;

/// Lets peers in that authorized_keys lists, each with one channel for the subsystem `mynah`.
///
/// An accepted connection is authenticated. Its evidence says who it is: the user, the type and the fingerprint of the
/// key, the address, and, where the line of the key says so (`mynah-methods="arith.*"`), what it may call. The name of
/// the user is one that the operator has written down, in [`SshServerOptions::users`] or in the line of the key.
///
/// Attempts that fail are errors of [`Listener::poll_accept`], with the reasons, for the log.
///
/// Dropped, it closes what is not let in yet; what was accepted stays.
pub struct SshListener {
    listener: TcpListener,
    local: SocketAddr,
    common: Arc<Common>,
    opening: JoinSet<()>,
    ready: mpsc::Receiver<Opened>,
    sender: mpsc::Sender<Opened>,
    fingerprints: Vec<String>,
    rate: Option<Rate>,
}

impl fmt::Debug for SshListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshListener")
            .field("local", &self.local)
            .field("options", &self.common.options)
            .finish_non_exhaustive()
    }
}

impl SshListener {
    /// Binds `host:port`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`TransportError`] when the address cannot be looked up or bound, when a host key cannot be read, or made, or is
    /// open to others, and when authorized_keys cannot be read or may be written by others. A line in it that is wrong
    /// is no error here: it lets nobody in, and is reported as a failed attempt.
    ///
    /// Cancel safety: dropped before its end, it leaves nothing bound; a host key may have been made.
    pub async fn bind(address: &str, options: SshServerOptions) -> Result<Self, TransportError> {
        let read = read_files(&options).await?;
        let listener = listen(address, options.backlog).await?;
        Ok(Self::start_on(listener, options, read))
    }

    /// Takes a listener that is bound already; [`SshServerOptions::backlog`] is of no account.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind), but for the address.
    ///
    /// Cancel safety: dropped before its end, it closes the listener; a host key may have been made.
    pub async fn from_bound(
        listener: TcpListener,
        options: SshServerOptions,
    ) -> Result<Self, TransportError> {
        let read = read_files(&options).await?;
        let local = listener.local_addr()?;
        Ok(Self::start_on((listener, local), options, read))
    }

    fn start_on(
        (listener, local): (TcpListener, SocketAddr),
        options: SshServerOptions,
        (keys, authorized): (Vec<PrivateKey>, AuthorizedKeys),
    ) -> Self {
        let path = options.authorized_keys.display();
        let (sender, ready) = mpsc::channel(MAX_READY);
        for fault in authorized.faults() {
            let what = format!("authorized_keys {path}, {fault}");
            // As many as there is room for.
            let _full = sender.try_send(Err(TransportError::new(TransportErrorKind::Denied, what)));
        }
        let fingerprints = keys.iter().map(|key| {
            let fingerprint = key.public_key().fingerprint(HashAlg::Sha256);
            fingerprint.to_string()
        });
        let fingerprints = fingerprints.collect();
        let door = Door::new(options.max_unauthenticated, options.max_authenticated);
        let rate = options.connections_per_minute.map(Rate::new);
        let common = Common {
            config: Arc::new(config(&options, keys)),
            options: Arc::new(options),
            door,
        };
        Self {
            listener,
            local,
            common: Arc::new(common),
            opening: JoinSet::new(),
            ready,
            sender,
            fingerprints,
            rate,
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// The fingerprints of the host keys, `SHA256:…`, in the order of [`SshServerOptions::host_keys`].
    #[must_use]
    pub fn host_key_fingerprints(&self) -> &[String] {
        &self.fingerprints
    }

    fn start(&mut self, stream: tokio::net::TcpStream, remote: SocketAddr) {
        let admits = |rate: &mut Rate| rate.admits(remote.ip(), Instant::now());
        if !self.rate.as_mut().is_none_or(admits) {
            let what =
                format!("ssh connection from {remote}: too many from this address in a minute");
            let error = TransportError::new(TransportErrorKind::Denied, what);
            let _full = self.sender.try_send(Err(error));
            return;
        }
        let (common, sender) = (Arc::clone(&self.common), self.sender.clone());
        self.opening.spawn(async move {
            match open(common, stream, remote).await {
                Ok(accepted) => {
                    // Nobody takes it any more: its drop closes it.
                    let _gone = sender.send(Ok(accepted)).await;
                }
                Err(error) => {
                    // A flood of attempts must not hold up anybody: what does not fit is not reported.
                    let _full = sender.try_send(Err(error));
                }
            }
        });
    }
}

/// The host keys, and authorized_keys as it is now.
async fn read_files(
    options: &SshServerOptions,
) -> Result<(Vec<PrivateKey>, AuthorizedKeys), TransportError> {
    let mut keys = Vec::new();
    for path in &options.host_keys {
        keys.push(host_keys::load(path).await?);
    }
    if keys.is_empty() {
        let what = "an SSH server needs a host key";
        return Err(TransportError::new(TransportErrorKind::Address, what));
    }
    let path = options.authorized_keys.display();
    let authorized = read_file(&options.authorized_keys).await;
    let authorized = authorized.map_err(|error| {
        let what = format!("cannot use authorized_keys {path}");
        TransportError::new(TransportErrorKind::Denied, what).with_source(error)
    })?;
    Ok((keys, authorized))
}

/// What russh is told. Inactivity is no concern of it: whoever is alive may be silent, and the layers above have limits.
fn config(options: &SshServerOptions, keys: Vec<PrivateKey>) -> Config {
    Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-mynah")),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_secs(1),
        // The first question of a client, with nothing to prove: what may be used at all.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys,
        preferred: Preferred {
            kex: Cow::Borrowed(KEY_EXCHANGES),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        max_auth_attempts: options.max_attempts,
        inactivity_timeout: None,
        keepalive_interval: Some(options.keep_alive_interval).filter(|time| !time.is_zero()),
        keepalive_max: 0,
        nodelay: true,
        ..Config::default()
    }
}

/// Curves alone: a group of 4096 bits costs a stranger nothing and this side 10 ms.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// None of those that can be cut at the beginning when the peer knows no strict key exchange (CVE-2023-48795): neither
/// ChaCha20-Poly1305, nor a MAC over what is encrypted.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];
const MACS: &[mac::Name] = &[mac::HMAC_SHA512, mac::HMAC_SHA256];

async fn listen(address: &str, backlog: u32) -> Result<(TcpListener, SocketAddr), TransportError> {
    let fail = |error: io::Error| {
        let kind = TransportError::from(io::Error::from(error.kind())).kind();
        TransportError::new(kind, format!("cannot listen on ssh://{address}")).with_source(error)
    };
    let mut last = None;
    for candidate in lookup_host(address).await.map_err(fail)? {
        let bound = || {
            let socket = if candidate.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            socket.set_reuseaddr(true)?;
            socket.bind(candidate)?;
            let listener = socket.listen(backlog)?;
            let local = listener.local_addr()?;
            Ok((listener, local))
        };
        match bound() {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(error),
        }
    }
    Err(fail(last.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "no address of this name")
    })))
}

impl Listener for SshListener {
    type Connection = SshServerStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Opened>> {
        if let Poll::Ready(Some(opened)) = self.ready.poll_recv(cx) {
            return Poll::Ready(Some(opened));
        }
        let mut accepts = 0;
        let mut failed = None;
        while failed.is_none() {
            if accepts == MAX_ACCEPTS {
                cx.waker().wake_by_ref();
                break;
            }
            match self.listener.poll_accept(cx) {
                Poll::Ready(Ok((stream, remote))) => self.start(stream, remote),
                Poll::Ready(Err(error)) => failed = Some(error),
                Poll::Pending => break,
            }
            accepts += 1;
        }
        while let Poll::Ready(Some(_ended)) = self.opening.poll_join_next(cx) {}
        match failed {
            Some(error) => Poll::Ready(Some(Err(accept_failed(error)))),
            None => Poll::Pending,
        }
    }

    fn address(&self) -> String {
        format!("ssh://{}", self.local)
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
