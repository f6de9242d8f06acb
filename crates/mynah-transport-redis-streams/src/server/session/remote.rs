//! One call with streams or callbacks, as a connection of its own: what comes for it can reach no other.

use super::Session;
use crate::client::session_profile;
use crate::server::core::Core;
use crate::server::evidence;
use crate::session::{self, kind};
use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{
    Envelope, ErrorCode, Evidence, EvidenceKey, Inbound, Outbound, Profile, Receipt, Response,
    RpcError, Settled, Transport, TransportError, WireId,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What comes back of the request of a session.
struct Call;

/// The connection of one call.
#[derive(Debug)]
pub(in crate::server) struct SessionRemote {
    core: Arc<Core>,
    session: Arc<Session>,
    profile: Profile,
    evidence: Evidence,
}

impl SessionRemote {
    pub(super) fn new(core: Arc<Core>, session: Arc<Session>, entry: &str) -> Self {
        let evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "redis")
            .with(EvidenceKey::LOCAL_ADDRESS, core.connector.address())
            .with(EvidenceKey::REMOTE_ADDRESS, &*session.client)
            .with(evidence::PREFIX, &*core.options.prefix)
            .with(evidence::OWN_INSTANCE, &*core.instance)
            .with(evidence::INSTANCE, &*session.client)
            .with(evidence::STREAM, core.keys.inbox(&core.instance))
            .with(evidence::ENTRY, entry);
        let one = mynah_protocol::Remote::One;
        let mut profile = session_profile(session.coding, &core.messages, one);
        profile.capabilities.ping = true;
        Self {
            core,
            session,
            profile,
            evidence,
        }
    }

    fn say(&self, mut envelope: Envelope<'static>) {
        let own = session::id_of(&mut envelope).map(|id| id.clone());
        let own = own == Some(WireId::Uint(self.session.call));
        let answers = own && matches!(envelope, Envelope::Response(_));
        let mut body = Vec::with_capacity(envelope.payload_bytes() + 48);
        let frames = self.core.frames.of(self.session.coding);
        if let Err(error) = frames.write(&envelope, &mut body) {
            tracing::warn!(%error, kind = envelope.kind(), "cannot be said in a session");
            body.clear();
            let refusal = RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
            let refusal = Envelope::Response(Response {
                id: WireId::Uint(self.session.call),
                result: Err(Box::new(refusal)),
            });
            if !answers || frames.write(&refusal, &mut body).is_err() {
                return;
            }
        }
        let mut state = self.session.lock();
        if !state.open || state.answered {
            return;
        }
        let number = state.thread.next();
        state.answered = answers;
        let reader = match answers {
            true => state.reader.take(),
            false => None,
        };
        // Under the lock, so that numbers are written in order.
        let (reply_to, call) = (Arc::clone(&self.session.reply_to), self.session.call);
        let kind = self.session.coding.frame();
        self.core.say_note(reply_to, kind, call, number, body);
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Transport for SessionRemote {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for SessionRemote {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.session.lock();
        state.driven = true;
        if !state.open || state.answered {
            return Poll::Ready(None);
        }
        match state.inbox.pop_front() {
            Some(envelope) => {
                state.bytes = state.bytes.saturating_sub(envelope.payload_bytes());
                // It comes back at once when the call cannot begin.
                let receipt =
                    matches!(envelope, Envelope::Request(_)).then(|| Receipt::new(Call, 1));
                Poll::Ready(Some(Ok(Inbound { envelope, receipt })))
            }
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Sink<Outbound> for SessionRemote {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.core.outbox.poll_room(cx).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        match outbound {
            Outbound::Send(envelope) => self.say(envelope),
            Outbound::Settle(_, Settled::Done) => {}
            Outbound::Settle(receipt, _) => {
                if receipt.into_token::<Call>().is_ok() {
                    self.session.lock().refused = true;
                    self.session.end();
                }
            }
        }
        Ok(())
    }

    /// What was handed over is written by the server's own task, whatever becomes of this connection.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for SessionRemote {
    fn drop(&mut self) {
        let Session {
            client,
            reply_to,
            call,
            desk,
            ..
        } = &*self.session;
        self.core.sessions.lock().remove(&(client.clone(), *call));
        let state = self.session.lock();
        if !state.answered {
            // Nobody took the connection or the call: somebody else may have it. Else its client learns that it has ended.
            let (kind, call, body) = match state.driven && !state.refused {
                false => (kind::BUSY, *call, Vec::new()),
                true => (kind::GONE, 0, session::gone_body(&[*call])),
            };
            self.core
                .say_note(Arc::clone(reply_to), kind, call, 0, body);
        }
        drop(state);
        if let Some(desk) = self.core.desks().get(*desk) {
            desk.end_session();
        }
        self.core.outbox.emptied.notify_waiters();
    }
}
