//! One client, as a connection: what it asked comes in, answers go to its stream.

use super::core::Core;
use super::evidence;
use super::outbox::{Sealing, Step};
use super::settle::Delivery;
use crate::client::profile;
use crate::coding::Coding;
use crate::session::{self, Written};
use futures_core::Stream;
use futures_sink::Sink;
use mynah_codec::EncodeError;
use mynah_protocol::{
    Cancel, CancelReason, Envelope, ErrorCode, Evidence, EvidenceKey, Inbound, Outbound, Profile,
    Request, Response, RetryClass, RpcError, Settled, Transport, TransportError, WireId,
};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// How a client is spoken to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The format of its calls.
    pub(super) coding: Coding,
    /// It hears what is said beside its calls.
    pub(super) sides: bool,
}

/// What was delivered for one client and waits for its connection.
#[derive(Debug)]
pub(super) struct Remote {
    instance: Box<str>,
    manner: Manner,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    inbox: VecDeque<Inbound>,
    reader: Option<Waker>,
    open: bool,
    /// Delivered and not settled.
    unsettled: usize,
    /// The calls among them that may be cancelled.
    running: BTreeSet<u64>,
    heard: Instant,
    /// Calls that run and whose outcome is to be sealed.
    sealing: HashMap<WireId, Sealing>,
}

impl Remote {
    pub(super) fn new(instance: &str, manner: Manner) -> Self {
        Self {
            instance: instance.into(),
            manner,
            state: Mutex::new(State {
                inbox: VecDeque::new(),
                reader: None,
                open: true,
                unsettled: 0,
                running: BTreeSet::new(),
                heard: Instant::now(),
                sealing: HashMap::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) const fn manner(&self) -> Manner {
        self.manner
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().open
    }

    pub(super) fn deliver(&self, inbound: Inbound) -> Option<Waker> {
        let mut state = self.lock();
        state.heard = Instant::now();
        state.unsettled += usize::from(inbound.receipt.is_some());
        if let Envelope::Request(Request {
            id: WireId::Uint(call),
            ..
        }) = &inbound.envelope
        {
            state.running.insert(*call);
        }
        state.inbox.push_back(inbound);
        state.reader.take()
    }

    /// The answer to this call is to be sealed.
    pub(super) fn seal(&self, call: WireId, sealing: Sealing) {
        self.lock().sealing.insert(call, sealing);
    }

    /// What is to be sealed with the answer to a call.
    pub(super) fn take_sealing(&self, id: &WireId) -> Option<Sealing> {
        let mut state = self.lock();
        match state.sealing.is_empty() {
            true => None,
            false => state.sealing.remove(id),
        }
    }

    /// A delivery is settled.
    pub(super) fn settled(&self, call: &WireId) {
        let mut state = self.lock();
        state.unsettled = state.unsettled.saturating_sub(1);
        if let WireId::Uint(call) = call {
            state.running.remove(call);
        }
        if !state.sealing.is_empty() {
            drop(state.sealing.remove(call));
        }
    }

    /// Stops a call, if it runs here: who is to be woken for it.
    pub(super) fn cancel(&self, call: u64) -> Option<Option<Waker>> {
        let mut state = self.lock();
        if !state.open || !state.running.remove(&call) {
            return None;
        }
        state.inbox.push_back(Inbound {
            envelope: Envelope::Cancel(Cancel {
                id: WireId::Uint(call),
                reason: CancelReason::Caller,
            }),
            receipt: None,
        });
        Some(state.reader.take())
    }

    pub(super) fn is_quiet(&self, now: Instant, after: Duration) -> bool {
        let state = self.lock();
        state.open && state.unsettled == 0 && now.saturating_duration_since(state.heard) > after
    }

    /// Nothing more is delivered.
    pub(super) fn end(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.open = false;
        state.reader.take()
    }
}

/// The plain calls of one client.
///
/// Its name is what its reply stream is called. All calls that want no answer come from one client without a name.
#[derive(Debug)]
pub(super) struct ClientRemote {
    core: Arc<Core>,
    remote: Arc<Remote>,
    reply_to: Option<Arc<str>>,
    profile: Profile,
    evidence: Evidence,
    /// Somebody runs it.
    driven: bool,
}

impl ClientRemote {
    pub(super) fn new(core: Arc<Core>, remote: Arc<Remote>) -> Self {
        let instance = remote.instance();
        let mut evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "redis")
            .with(EvidenceKey::LOCAL_ADDRESS, core.connector.address())
            .with(evidence::PREFIX, &*core.options.prefix)
            .with(evidence::OWN_INSTANCE, &*core.instance);
        let reply_to = (!instance.is_empty()).then(|| core.keys.replies(instance).into());
        if reply_to.is_some() {
            evidence = evidence
                .with(EvidenceKey::REMOTE_ADDRESS, instance)
                .with(evidence::INSTANCE, instance);
        }
        let manner = remote.manner;
        let mut profile = profile(manner.coding, &core.messages, mynah_protocol::Remote::One);
        profile.capabilities.side_messages = manner.sides && reply_to.is_some();
        // Nothing is said to it that is not of its calls.
        profile.capabilities.notifications = false;
        Self {
            profile,
            core,
            remote,
            reply_to,
            evidence,
            driven: false,
        }
    }

    fn answer(&self, response: Response<'_>) {
        let sealing = self.remote.take_sealing(&response.id);
        // What another attempt may end otherwise is no outcome.
        let is_outcome = match &response.result {
            Ok(_) => true,
            Err(error) => error.code().retry_class() == RetryClass::Never,
        };
        let sealing = sealing.filter(|_| is_outcome);
        if self.reply_to.is_none() && sealing.is_none() {
            return;
        }
        let coding = self.remote.manner.coding;
        let envelope = write(&self.core, coding, response);
        if let Some(sealing) = sealing {
            let seal = Step::Seal(Box::new(sealing), envelope.clone());
            self.core.outbox.push(seal);
        }
        let Some(reply_to) = &self.reply_to else {
            return;
        };
        self.core
            .outbox
            .push(reply(Arc::clone(reply_to), self.remote.manner, envelope));
    }

    /// Progress and logs of a call, which stand ahead of its answer.
    fn say_beside(&self, mut beside: Envelope<'_>) {
        let Some(reply_to) = &self.reply_to else {
            return;
        };
        let Manner { coding, sides } = self.remote.manner;
        if !sides || session::id_of(&mut beside).is_none() {
            return;
        }
        let mut body = Vec::with_capacity(beside.payload_bytes() + 48);
        if let Err(error) = self.core.frames.of(coding).write(&beside, &mut body) {
            tracing::warn!(%error, "cannot be said beside a call");
            return;
        }
        let written = Written {
            kind: coding.frame(),
            call: 0,
            number: 0,
            body,
        };
        self.core
            .outbox
            .push(Step::Note(Arc::clone(reply_to), written));
    }

    /// This side cannot call what only calls.
    fn refuse(&self, id: WireId) {
        let what = "a client on Redis Streams cannot be called";
        let error = RpcError::new(ErrorCode::UNSUPPORTED, what);
        let envelope = Envelope::Response(Response {
            id,
            result: Err(Box::new(error)),
        });
        let waker = self.remote.deliver(Inbound {
            envelope,
            receipt: None,
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Writes an answer; one that cannot be written is an error that says so.
pub(super) fn write(core: &Core, coding: Coding, response: Response<'_>) -> Vec<u8> {
    let say = |envelope: &Envelope<'_>, out: &mut Vec<u8>| match coding {
        Coding::Json => core.messages.write(envelope, out),
        other => core.frames.of(other).write(envelope, out),
    };
    let id = response.id.clone();
    let envelope = Envelope::Response(response);
    let mut text = Vec::with_capacity(envelope.payload_bytes() + 128);
    let Err(error) = say(&envelope, &mut text) else {
        return text;
    };
    let unsaid = |error: EncodeError| RpcError::new(ErrorCode::UNENCODABLE, error.to_string());
    let refusal = Envelope::Response(Response {
        id,
        result: Err(Box::new(unsaid(error))),
    });
    text.clear();
    if let Err(error) = say(&refusal, &mut text) {
        tracing::error!(%error, "an answer cannot be written");
    }
    text
}

/// An answer that was written so, on its way to a stream.
pub(super) fn reply(stream: Arc<str>, manner: Manner, answer: Vec<u8>) -> Step {
    match manner.coding.answer() {
        None => Step::Reply {
            stream,
            envelope: answer,
            together: manner.sides,
        },
        Some(kind) => Step::Note(
            stream,
            Written {
                kind,
                call: 0,
                number: 0,
                body: answer,
            },
        ),
    }
}

impl Transport for ClientRemote {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for ClientRemote {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.driven = true;
        let mut state = self.remote.lock();
        if let Some(inbound) = state.inbox.pop_front() {
            return Poll::Ready(Some(Ok(inbound)));
        }
        if !state.open {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<Outbound> for ClientRemote {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.core.outbox.poll_room(cx).map(Ok)
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        match outbound {
            Outbound::Send(Envelope::Response(response)) => self.answer(response),
            Outbound::Send(Envelope::Request(request)) => self.refuse(request.id),
            Outbound::Send(beside @ (Envelope::Progress(_) | Envelope::Log(_))) => {
                self.say_beside(beside);
            }
            Outbound::Send(other) => {
                tracing::debug!(kind = other.kind(), "not said: this wire has no way to");
            }
            // A receipt of another carrier settles nothing here.
            Outbound::Settle(receipt, settled) => {
                if let Ok(delivery) = receipt.into_token::<Delivery>() {
                    delivery.settle(settled);
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
        self.core.forget(&self.remote);
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientRemote {
    fn drop(&mut self) {
        self.core.forget(&self.remote);
        drop(self.remote.end());
        let left = std::mem::take(&mut self.remote.lock().inbox);
        for Inbound { envelope, receipt } in left {
            let delivery = receipt.map(|receipt| receipt.into_token::<Delivery>());
            let Some(Ok(delivery)) = delivery else {
                continue;
            };
            match envelope {
                // Nobody took the connection: as many are open as may be.
                Envelope::Request(request) if !self.driven && !self.core.is_stopping() => {
                    self.answer(Response {
                        id: request.id,
                        result: Err(Box::new(RpcError::from_code(ErrorCode::BUSY))),
                    });
                    delivery.settle(Settled::Done);
                }
                _ => delivery.settle(Settled::Release),
            }
        }
    }
}
