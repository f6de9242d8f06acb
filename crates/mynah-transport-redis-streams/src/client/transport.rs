//! The carrier that a peer runs.

use super::core::Core;
use super::{call, replies, write};
use crate::coding::Coding;
use crate::connect::Connection;
use futures_core::Stream;
use futures_sink::Sink;
use mynah_codec::dialect::jsonrpc::{JsonRpc, Messages};
use mynah_codec::dialect::native;
use mynah_protocol::{
    Evidence, Inbound, Limits, Outbound, Profile, Remote, Transport, TransportError,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Everybody who serves under a prefix, as one peer that is called.
///
/// It outlives what happens to Redis: while there is no connection, calls wait for one until their time is over. Closed or
/// dropped, it deletes the stream of its answers.
#[derive(Debug)]
pub struct RedisClient {
    core: Arc<Core>,
    messages: Messages,
    profile: Profile,
    evidence: Evidence,
}

/// What clamator's messages can say, or in other formats the same of the native wire's frames, and what extra fields add to
/// it.
pub(crate) fn profile(coding: Coding, messages: &Messages, remote: Remote) -> Profile {
    let json = messages.profile();
    let mut profile = match coding {
        Coding::Json => json.clone(),
        other => Profile::new(native::NAME, other.id()).with_capabilities(json.capabilities),
    };
    profile.capabilities.deadline = true;
    profile.capabilities.metadata = true;
    profile.capabilities.cancel = true;
    profile.remote = remote;
    profile
}

/// The same, and what peers of ours say to each other. Programs are told where there are none that can hear it.
pub(crate) fn session_profile(coding: Coding, messages: &Messages, remote: Remote) -> Profile {
    let mut profile = profile(coding, messages, remote);
    profile.capabilities.side_messages = true;
    profile.capabilities.streams = true;
    profile.capabilities.callbacks = true;
    profile.capabilities.events = true;
    profile.capabilities.going_away = true;
    profile
}

impl RedisClient {
    pub(super) fn start(
        core: Arc<Core>,
        commands: Connection,
        reads: Connection,
        evidence: Evidence,
    ) -> Self {
        let messages = Messages::new(JsonRpc::clamator(), &Limits::default());
        let reading = tokio::spawn(replies::read_all(Arc::clone(&core), reads));
        tokio::spawn(write::write_all(Arc::clone(&core), commands, reading));
        Self {
            profile: session_profile(core.coding, &messages, Remote::Group),
            core,
            messages,
            evidence,
        }
    }
}

impl Transport for RedisClient {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for RedisClient {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.core.poll_heard(cx).map(|envelope| {
            Some(Ok(Inbound {
                envelope,
                receipt: None,
            }))
        })
    }
}

impl Sink<Outbound> for RedisClient {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.core.poll_room(cx).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        if let Outbound::Send(envelope) = outbound {
            call::say(&self.core, &self.messages, envelope);
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.core.close();
        self.core.poll_closed(cx).map(Ok)
    }
}

impl Drop for RedisClient {
    fn drop(&mut self) {
        self.core.close();
    }
}
