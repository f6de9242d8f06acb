//! Opening connections.

use super::handler::{ClientHandler, Found, HandlerError, SharedFound, lock};
use super::login;
use super::options::SshOptions;
use super::preamble::Marker;
use super::start::{Remote, SshAddress};
use super::stream::SshStream;
use super::supervise::{Answer, Supervisor, failure};
use crate::duplex::{Eof, duplex};
use crate::elastic::{Elastic, ElasticControl, WRITE_CAP_BYTES};
use crate::host_keys::{HostCheck, HostKeys};
use crate::identity::{Identity, is_spoken};
use crate::lines::lines;
use async_trait::async_trait;
use mynah_protocol::{
    Accepted, Dialer, Evidence, EvidenceKey, SideLines, TransportError, TransportErrorKind,
};
use russh::client::{Config, Handle, Msg, connect_stream};
use russh::{AlgorithmKind, Channel, Preferred, compression};
use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;

/// Opens SSH connections, each with one channel, to one use of one host.
///
/// Host keys are those of known_hosts unless [`host_keys`](Self::host_keys) says otherwise. Who logs in is proven by the
/// [`identity`](Self::identity)s in the order in which they were given; without any, by what `ssh` would try too: the
/// agent, `~/.ssh/id_ed25519`, `~/.ssh/id_ecdsa`. The user's `~/.ssh/config` is not read.
#[derive(Clone, Debug)]
pub struct SshDialer {
    address: SshAddress,
    remote: Remote,
    host_keys: HostKeys,
    identities: Vec<Identity>,
    options: SshOptions,
}

impl SshDialer {
    /// A dialer for a use of a host.
    #[must_use]
    pub fn new(address: SshAddress, remote: Remote) -> Self {
        Self {
            address,
            remote,
            host_keys: HostKeys::default(),
            identities: Vec::new(),
            options: SshOptions::default(),
        }
    }

    /// Sets which host keys are accepted.
    #[must_use]
    pub fn host_keys(mut self, host_keys: HostKeys) -> Self {
        self.host_keys = host_keys;
        self
    }

    /// Adds what proves who logs in.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Sets how connections are made and kept.
    #[must_use]
    pub const fn options(mut self, options: SshOptions) -> Self {
        self.options = options;
        self
    }

    fn fail(&self, kind: TransportErrorKind, what: impl std::fmt::Display) -> TransportError {
        TransportError::new(
            kind,
            format!("cannot connect to ssh://{}: {what}", self.address),
        )
    }

    async fn connect(&self) -> Result<Accepted<SshStream>, TransportError> {
        if let Some(fault) = self.remote.fault() {
            return Err(self.fail(TransportErrorKind::Address, fault));
        }
        let SshAddress { host, port, .. } = &self.address;
        let check = Arc::new(self.host_keys.load(host, *port).await?);
        let socket = self.open_socket().await?;
        let (remote, local) = (socket.peer_addr()?, socket.local_addr()?);
        let (read, write) = socket.into_split();
        let (elastic, control) = Elastic::new(read, write, WRITE_CAP_BYTES);
        // russh's session holds on to the socket until the other side lets go, whoever waits for it.
        let guard = Guard(Some(control.clone()));

        let (sink, heard) = lines(self.options.line_bytes.max(1), self.options.lines.max(1));
        let found = Arc::new(Mutex::new(Found {
            lines: Some(sink),
            ..Found::default()
        }));
        let mut session = self.handshake(elastic, &check, &found).await?;
        login::log_in(&mut session, &self.address.user, &self.identities)
            .await
            .map_err(|error| self.fail(error.kind(), error.chain()))?;

        let marker = match self.options.skip_banner_bytes {
            0 => None,
            _ => Some(Marker::new()?),
        };
        let marked = marker
            .as_ref()
            .and_then(|marker| self.remote.marked(marker));
        let channel = self
            .open_channel(&session, marked.as_ref().unwrap_or(&self.remote))
            .await
            .map_err(|error| match failure(&found) {
                Some(why) => self.fail(error.kind(), why),
                None => error,
            })?;
        let mut stream = self.run(session, channel, &control, &found, heard);
        guard.disarm();
        if let (Some(marker), Some(_)) = (&marker, &marked) {
            marker
                .skip(&mut stream, self.options.skip_banner_bytes)
                .await
                .map_err(|error| self.fail(error.kind(), error.chain()))?;
        }
        let mut evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "ssh")
            .with(EvidenceKey::REMOTE_ADDRESS, remote.to_string())
            .with(EvidenceKey::LOCAL_ADDRESS, local.to_string())
            .with(EvidenceKey::new("login_user"), self.address.user.as_str());
        let found = lock(&found);
        if let Some(key) = &found.host_key {
            evidence = evidence
                .with(EvidenceKey::new("host_key"), key.fingerprint.as_str())
                .with(EvidenceKey::new("host_key_type"), key.kind.as_str());
        }
        if let Some(exchange) = &found.exchange {
            evidence = evidence
                .with(EvidenceKey::new("strict_kex"), exchange.strict)
                .with(EvidenceKey::new("kex"), exchange.kex.as_str())
                .with(EvidenceKey::new("cipher"), exchange.cipher.as_str());
        }
        Ok(Accepted {
            connection: stream,
            evidence,
        })
    }

    async fn open_socket(&self) -> Result<TcpStream, TransportError> {
        let SshAddress { host, port, .. } = &self.address;
        let resolved = lookup_host((host.as_str(), *port)).await.map_err(|error| {
            self.fail(TransportErrorKind::Address, "the host cannot be looked up")
                .with_source(error)
        })?;
        let mut last = None;
        for address in resolved {
            match TcpStream::connect(address).await {
                Ok(socket) => {
                    // Each side writes once for all that is ready; without this an answer waits for an acknowledgement.
                    socket.set_nodelay(true)?;
                    return Ok(socket);
                }
                Err(error) => last = Some(error),
            }
        }
        let Some(error) = last else {
            return Err(self.fail(TransportErrorKind::Address, "the host has no address"));
        };
        let kind = TransportError::from(io::Error::from(error.kind())).kind();
        Err(self.fail(kind, "nobody answers").with_source(error))
    }

    async fn handshake(
        &self,
        elastic: Elastic<tokio::net::tcp::OwnedReadHalf>,
        check: &Arc<HostCheck>,
        found: &SharedFound,
    ) -> Result<Handle<ClientHandler>, TransportError> {
        let handler = ClientHandler {
            host: self.address.host.clone(),
            check: Arc::clone(check),
            key_exchange: self.options.key_exchange,
            found: Arc::clone(found),
        };
        let connected = connect_stream(Arc::new(config(check)), elastic, handler).await;
        connected.map_err(|error| match error {
            HandlerError::Refused(why) => self.fail(TransportErrorKind::Denied, why),
            HandlerError::Ssh(russh::Error::NoCommonAlgo {
                kind: AlgorithmKind::Key,
                theirs,
                ..
            }) => {
                let kinds: Vec<_> = theirs
                    .iter()
                    .take(16)
                    .map(|kind| kind.escape_debug().to_string())
                    .collect();
                let what = format!(
                    "the server has no host key of type Ed25519 or ECDSA, which are spoken, but {}",
                    kinds.join(", ")
                );
                self.fail(TransportErrorKind::Denied, what)
            }
            HandlerError::Ssh(error) => {
                let kind = match &error {
                    russh::Error::IO(error) => {
                        TransportError::from(io::Error::from(error.kind())).kind()
                    }
                    russh::Error::HUP | russh::Error::Disconnect => TransportErrorKind::Broken,
                    _ => TransportErrorKind::Other,
                };
                self.fail(kind, "the key exchange failed")
                    .with_source(error)
            }
        })
    }

    async fn open_channel(
        &self,
        session: &Handle<ClientHandler>,
        remote: &Remote,
    ) -> Result<Channel<Msg>, TransportError> {
        let refused = |error: russh::Error| {
            let what = match remote {
                Remote::Socket(path) => format!("the server opens no connection to {path:?}"),
                Remote::Command(_) | Remote::Subsystem(_) => {
                    "the server opens no session".to_owned()
                }
            };
            self.fail(TransportErrorKind::Refused, what)
                .with_source(error)
        };
        let mut channel = match remote {
            Remote::Socket(path) => session.channel_open_direct_streamlocal(path.as_str()).await,
            Remote::Command(_) | Remote::Subsystem(_) => session.channel_open_session().await,
        }
        .map_err(refused)?;
        let what = match remote {
            Remote::Socket(_) => return Ok(channel),
            Remote::Command(command) => {
                let asked = channel.exec(true, command.as_str()).await;
                asked.map_err(refused)?;
                "runs no commands".to_owned()
            }
            Remote::Subsystem(name) => {
                let asked = channel.request_subsystem(true, name.as_str()).await;
                asked.map_err(refused)?;
                format!("has no subsystem {name:?}")
            }
        };
        loop {
            let message = channel.wait().await;
            match Answer::of(message.as_ref()) {
                Some(Answer::Yes) => return Ok(channel),
                Some(Answer::No) => {
                    let what = format!("the server {what}");
                    return Err(self.fail(TransportErrorKind::Refused, what));
                }
                Some(Answer::Closed) => {
                    let what = format!("the server closed the channel, perhaps because it {what}");
                    return Err(self.fail(TransportErrorKind::Refused, what));
                }
                None => {}
            }
        }
    }

    fn run(
        &self,
        session: Handle<ClientHandler>,
        channel: Channel<Msg>,
        control: &ElasticControl,
        found: &SharedFound,
        heard: crate::lines::RemoteLines,
    ) -> SshStream {
        let (read, write) = channel.split();
        let write = Arc::new(write);
        let process = matches!(self.remote, Remote::Command(_));
        let eof = if process {
            Eof::Process
        } else {
            Eof::HalfClose
        };
        let why = Arc::clone(found);
        let (duplex, state) = duplex(read, Arc::clone(&write), control.clone(), eof, move || {
            failure(&why)
        });
        if let Some(sink) = lock(found).lines.take() {
            state.set_lines(sink);
        }
        let (over, is_over) = watch::channel(false);
        let supervisor = Supervisor {
            session,
            channel: write,
            state: Arc::clone(&state),
            options: self.options.clone(),
            signals: process,
            over,
        };
        tokio::spawn(supervisor.run());
        SshStream::new(duplex, state, heard, is_over, self.options.stop)
    }
}

/// What russh is to do.
fn config(check: &HostCheck) -> Config {
    let mut preferred = Preferred::DEFAULT;
    // Keys by which the host is known come first: one of another type would be no proof.
    let known = check.known_kinds();
    let mut kinds: Vec<_> = Preferred::DEFAULT
        .key
        .iter()
        .filter(|kind| is_spoken(kind))
        .cloned()
        .collect();
    kinds.sort_by_key(|kind| !known.contains(&kind.as_str()));
    if check.takes_certificates() {
        preferred.host_key_certificates = Cow::Owned(kinds.clone());
    }
    preferred.key = Cow::Owned(kinds);
    preferred.compression = Cow::Borrowed(&[compression::NONE]);
    Config {
        preferred,
        // Ours: russh's counts an answer that nobody reads as missing.
        keepalive_interval: None,
        inactivity_timeout: None,
        ..Config::default()
    }
}

/// Ends a session that is given up before it has a supervisor.
struct Guard(Option<ElasticControl>);

impl Guard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(control) = &self.0 {
            control.end(io::ErrorKind::ConnectionAborted, "given up");
        }
    }
}

#[async_trait]
impl Dialer for SshDialer {
    type Connection = SshStream;

    async fn dial(&self) -> Result<Accepted<SshStream>, TransportError> {
        let timeout = self.options.connect_timeout;
        // A large future: it holds a login.
        match tokio::time::timeout(timeout, Box::pin(self.connect())).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(self.fail(
                TransportErrorKind::TimedOut,
                format!("not within {timeout:?}"),
            )),
        }
    }

    fn take_side_lines(&self, connection: &mut SshStream) -> Option<SideLines> {
        Some(Box::pin(connection.take_lines()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sockets_do_not_delay() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = SshAddress::new("me", "127.0.0.1").unwrap().port(port);
        let dialer = SshDialer::new(address, Remote::Subsystem("mynah".to_owned()));
        assert!(dialer.open_socket().await.unwrap().nodelay().unwrap());
    }

    #[test]
    fn what_no_address_can_hold() {
        for (user, host) in [
            ("", "h"),
            ("a\nb", "h"),
            ("me", ""),
            ("me", "-oProxyCommand=id"),
            ("me", "a b"),
            ("me", "a/b"),
            ("me", "h\0"),
        ] {
            SshAddress::new(user, host).unwrap_err();
        }
        let address = SshAddress::new("me", "::1").unwrap().port(2222);
        assert_eq!(address.to_string(), "me@[::1]:2222");
    }
}
