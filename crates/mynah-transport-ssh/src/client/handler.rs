//! What russh asks of a client.

use super::options::KeyExchange;
use crate::duplex::LEAST_PACKET_BYTES;
use crate::host_keys::{HostCheck, HostKey};
use crate::lines::LineSink;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure, Names};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the handler finds out.
#[derive(Default)]
pub(super) struct Found {
    pub(super) host_key: Option<HostKey>,
    pub(super) exchange: Option<Exchange>,
    /// What went wrong after the login.
    pub(super) failure: Option<String>,
    /// Where what the server says at the login goes.
    pub(super) lines: Option<LineSink>,
}

/// What was agreed on.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) strict: bool,
    pub(super) kex: String,
    pub(super) cipher: String,
}

/// How much of what a server says at the login is taken.
const BANNER_BYTES: usize = 64 << 10;

pub(super) type SharedFound = Arc<Mutex<Found>>;

pub(super) fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct ClientHandler {
    pub(super) host: String,
    pub(super) check: Arc<HostCheck>,
    pub(super) key_exchange: KeyExchange,
    pub(super) found: SharedFound,
}

/// Why a session ends.
#[derive(Debug)]
pub(super) enum HandlerError {
    Ssh(russh::Error),
    /// By what this side wants.
    Refused(String),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        if let Some(lines) = &lock(&self.found).lines {
            let bytes = banner.as_bytes();
            lines.write(bytes.get(..BANNER_BYTES).unwrap_or(bytes));
            lines.end_line();
        }
        Ok(())
    }

    /// The window may be none at first, as that of sshd is; but a packet is what it is.
    async fn channel_open_confirmation(
        &mut self,
        _id: ChannelId,
        max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        if (max_packet_size as usize) < LEAST_PACKET_BYTES {
            return Err(HandlerError::Refused(format!(
                "the server's channel takes packets of {max_packet_size} bytes, less than {LEAST_PACKET_BYTES}"
            )));
        }
        Ok(())
    }

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, HandlerError> {
        let checked = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.check.check(key).await,
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.map_or(0, |now| now.as_secs());
                self.check.check_certificate(certificate, &self.host, now)
            }
        };
        match checked {
            Ok(host_key) => {
                lock(&self.found).host_key = Some(host_key);
                Ok(true)
            }
            Err(refused) => Err(HandlerError::Refused(refused.to_string())),
        }
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        let strict = names.strict_kex();
        if !strict && self.key_exchange == KeyExchange::Strict {
            let what = "the server knows no strict key exchange, without which messages can be cut off its beginning \
                        (CVE-2023-48795); a connection without it has to be asked for by name";
            return Err(HandlerError::Refused(what.to_owned()));
        }
        lock(&self.found).exchange = Some(Exchange {
            strict,
            kex: names.kex.as_ref().to_owned(),
            cipher: names.cipher.as_ref().to_owned(),
        });
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<HandlerError>,
    ) -> Result<(), HandlerError> {
        let (what, result) = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                let said = info.message.trim().escape_debug().to_string();
                let what = format!("the server ended the SSH connection: {said}");
                (what, Ok(()))
            }
            DisconnectReason::Error(HandlerError::Ssh(error)) => {
                let what = format!("the SSH connection broke: {error}");
                (what, Err(HandlerError::Ssh(error)))
            }
            DisconnectReason::Error(HandlerError::Refused(what)) => {
                (what.clone(), Err(HandlerError::Refused(what)))
            }
        };
        lock(&self.found).failure.get_or_insert(what);
        result
    }

    // A server opens nothing on this side.

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _address: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        refuse(reply).await
    }
}

async fn refuse(reply: ChannelOpenHandle) -> Result<(), HandlerError> {
    reply
        .reject(ChannelOpenFailure::AdministrativelyProhibited)
        .await;
    Ok(())
}
