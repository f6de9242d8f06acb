//! What russh asks the server about one connection.

use super::SUBSYSTEM;
use super::authorized::{Asked, AuthorizedKeys, MAX_FILE_BYTES, is_user};
use super::door::Place;
use super::meter::Meter;
use super::options::SshServerOptions;
use super::trusted;
use crate::duplex::{LEAST_PACKET_BYTES, beside};
use crate::elastic::ElasticControl;
use mynah_protocol::{AllowedMethods, Evidence, EvidenceKey};
use russh::keys::{Certificate, HashAlg, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Error, Pty, Sig};
use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Reasons that are kept for the log.
const MAX_NOTES: usize = 4;

/// Channels that a connection may ask for in vain. While the peer stalls an exchange of keys, russh keeps each refusal
/// with its channel, a few KiB, and has no bound of its own.
const MAX_REFUSED_CHANNELS: usize = 8;

/// What the handler and whoever opens the connection share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: Mutex<Option<Place>>,
    notes: Mutex<VecDeque<String>>,
}

impl Shared {
    pub(super) fn new(place: Place) -> Arc<Self> {
        Arc::new(Self {
            place: Mutex::new(Some(place)),
            notes: Mutex::default(),
        })
    }

    pub(super) fn take_place(&self) -> Option<Place> {
        lock(&self.place).take()
    }

    fn note(&self, what: String) {
        let mut notes = lock(&self.notes);
        if notes.len() == MAX_NOTES {
            notes.pop_front();
        }
        if !notes.contains(&what) {
            notes.push_back(what);
        }
    }

    /// Why nobody was let in, for the log.
    pub(super) fn notes(&self) -> Option<String> {
        let notes = lock(&self.notes);
        let all: Vec<&str> = notes.iter().map(String::as_str).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A channel, and what is known of whoever opened it.
pub(super) type Opened = (Channel<Msg>, Evidence);

/// Answers for one connection: keys by the file, one channel, the subsystem, and nothing else.
pub(super) struct ServerHandler {
    options: Arc<SshServerOptions>,
    remote: SocketAddr,
    shared: Arc<Shared>,
    meter: Meter,
    control: ElasticControl,
    /// Taken by the one channel.
    opened: Option<mpsc::Sender<Opened>>,
    /// What was authenticated. Once, by the protocol.
    evidence: Option<Evidence>,
    offers: usize,
    refused_channels: usize,
    granted: bool,
}

impl ServerHandler {
    pub(super) fn new(
        options: &Arc<SshServerOptions>,
        remote: SocketAddr,
        shared: &Arc<Shared>,
        (meter, control): (Meter, ElasticControl),
        opened: mpsc::Sender<Opened>,
    ) -> Self {
        Self {
            options: Arc::clone(options),
            remote,
            shared: Arc::clone(shared),
            meter,
            control,
            opened: Some(opened),
            evidence: None,
            offers: 0,
            refused_channels: 0,
            granted: false,
        }
    }

    /// Refuses a channel. A peer that goes on asking is cut off.
    async fn refuse_channel(&mut self, reply: ChannelOpenHandle) -> Result<(), Error> {
        self.refused_channels += 1;
        if self.refused_channels > MAX_REFUSED_CHANNELS {
            self.shared
                .note("too many channels were asked for".to_owned());
            return Err(Error::Disconnect);
        }
        let why = ChannelOpenFailure::AdministrativelyProhibited;
        reply.reject(why).await;
        Ok(())
    }

    /// What the one who has this key may call, if it may come in; a reason is noted if it may not.
    async fn permit(&self, user: &str, key: &PublicKey) -> Option<Option<AllowedMethods>> {
        let refused = |why: &str| {
            let key = key.fingerprint(HashAlg::Sha256);
            let user: String = user.chars().take(64).collect();
            let user = user.escape_debug();
            self.shared
                .note(format!("user {user} with key {key}: {why}"));
        };
        if !is_user(user) {
            refused("no name of a user");
            return None;
        }
        let keys = match read_file(&self.options.authorized_keys).await {
            Ok(keys) => keys,
            Err(why) => {
                refused(&why.to_string());
                return None;
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let asked = Asked {
            key,
            user,
            remote: self.remote.ip(),
            // Before 1970 nothing has expired, and a clock that is wrong in this way lets nobody in.
            now: now.map_or(u64::MAX, |now| now.as_secs()),
            users: &self.options.users,
        };
        match keys.permit(asked) {
            Ok(methods) => Some(methods),
            Err(fault) if fault.line == 0 => {
                refused(&fault.what);
                None
            }
            Err(fault) => {
                refused(&format!("authorized_keys, {fault}"));
                None
            }
        }
    }
}

/// Reads authorized_keys anew. A file that others may write, or put another in the place of, is none.
pub(super) async fn read_file(path: &Path) -> io::Result<AuthorizedKeys> {
    let path = path.to_owned();
    let read = move || {
        let (file, facts) = trusted::open(&path)?;
        trusted::unchanged_by_others(&path, &facts)?;
        if facts.len() > MAX_FILE_BYTES {
            let what = format!(
                "{}: too large, more than {MAX_FILE_BYTES} bytes",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        let mut text = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
        Ok(AuthorizedKeys::parse(&text))
    };
    let read = tokio::task::spawn_blocking(read);
    read.await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

impl Handler for ServerHandler {
    type Error = Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Error> {
        // An offer that is taken is no attempt in the eyes of russh: without this they would have no end.
        self.offers += 1;
        if self.offers > self.options.max_attempts.saturating_mul(2) {
            self.shared.note("too many keys were offered".to_owned());
            return Err(Error::Disconnect);
        }
        Ok(match self.permit(user, offer.public_key).await {
            Some(_) => Auth::Accept,
            None => Auth::reject(),
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Error> {
        let Some(methods) = self.permit(user, key.public_key).await else {
            return Ok(Auth::reject());
        };
        let fingerprint = key.public_key.fingerprint(HashAlg::Sha256);
        let mut evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "ssh")
            .with(EvidenceKey::REMOTE_ADDRESS, self.remote.to_string())
            .with(EvidenceKey::USER, user)
            .with(EvidenceKey::KEY_TYPE, key.public_key.algorithm().as_str())
            .with(EvidenceKey::KEY_FINGERPRINT, fingerprint.to_string());
        if let Some(methods) = methods {
            evidence = evidence.with(EvidenceKey::METHODS, methods.to_value());
        }
        self.evidence = Some(evidence);
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        _certificate: &Certificate,
    ) -> Result<Auth, Error> {
        let what = "a certificate of a user, which is not spoken here: its key has to be listed";
        self.shared.note(what.to_owned());
        Ok(Auth::reject())
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Error> {
        let goes_in = lock(&self.shared.place).as_mut().is_some_and(Place::go_in);
        if !goes_in {
            self.shared
                .note("as many connections are open as may".to_owned());
            session.disconnect(Disconnect::TooManyConnections, "too many connections", "en")?;
            return Ok(());
        }
        self.meter.open(&self.control);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        let takes = channel.writable_packet_size().await;
        if takes < LEAST_PACKET_BYTES {
            self.shared.note(format!(
                "a channel that takes {takes} bytes at once, less than {LEAST_PACKET_BYTES}"
            ));
            return self.refuse_channel(reply).await;
        }
        let first = self.opened.take().zip(self.evidence.take());
        let taken = first.is_some_and(|(opened, evidence)| {
            let sent = opened.try_send((channel, evidence));
            sent.is_ok()
        });
        if !taken {
            return self.refuse_channel(reply).await;
        }
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        self.refuse_channel(reply).await
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _to: &str,
        _to_port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        self.refuse_channel(reply).await
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _to: &str,
        _to_port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        self.refuse_channel(reply).await
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        self.refuse_channel(reply).await
    }

    async fn data(
        &mut self,
        _channel: ChannelId,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Error> {
        let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
        // What is empty is none.
        if bytes > 0 {
            self.control
                .carried(bytes.saturating_add(beside(data.len())));
        }
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        if name == SUBSYSTEM && !std::mem::replace(&mut self.granted, true) {
            return session.channel_success(channel);
        }
        session.channel_failure(channel)
    }

    // All the rest is refused. What russh refuses by itself, because nothing is said here: passwords, certificates, and
    // every kind of channel that it does not know and of forwarding.

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        _signal: Sig,
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_failure(channel)
    }
}
