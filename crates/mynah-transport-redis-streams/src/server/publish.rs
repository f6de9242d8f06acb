//! What the program publishes, as a connection to which all of it is pushed: everybody who reads a topic hears it.

use super::core::Core;
use super::evidence;
use super::outbox::Step;
use crate::client::profile;
use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{
    Capabilities, Envelope, Evidence, EvidenceKey, Inbound, Outbound, Profile, Remote, Transport,
    TransportError,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The readers of all topics, as one peer that only listens.
#[derive(Debug)]
pub(super) struct EventsRemote {
    core: Arc<Core>,
    profile: Profile,
    evidence: Evidence,
    /// Messages so far.
    published: u64,
    stopped: Pin<Box<dyn Stopped>>,
}

/// The future of the server's stop, whose type has no name.
trait Stopped: Future<Output = ()> + Send {}

impl<T: Future<Output = ()> + Send> Stopped for T {}

impl std::fmt::Debug for dyn Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopped")
    }
}

impl EventsRemote {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let mut capabilities = Capabilities::NONE;
        capabilities.events = true;
        capabilities.services = true;
        let evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "redis")
            .with(EvidenceKey::LOCAL_ADDRESS, core.connector.address())
            .with(evidence::PREFIX, &*core.options.prefix)
            .with(evidence::OWN_INSTANCE, &*core.instance)
            .with(evidence::TOPICS, true);
        let stop = Arc::clone(&core);
        Self {
            profile: profile(core.publishes_in(), &core.messages, Remote::Group)
                .with_capabilities(capabilities),
            core,
            evidence,
            published: 0,
            stopped: Box::pin(async move { stop.wait_for_stop().await }),
        }
    }
}

impl Transport for EventsRemote {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for EventsRemote {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stopped.as_mut().poll(cx).map(|()| None)
    }
}

impl Sink<Outbound> for EventsRemote {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.core.outbox.poll_room(cx).map(Ok)
    }

    fn start_send(mut self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        if let Outbound::Send(Envelope::Event(event)) = outbound {
            let topic = self.core.keys.events(&event.topic);
            let message = event.message.contiguous().into_owned();
            self.published += 1;
            let number = self.published;
            self.core.outbox.push(Step::Event(topic, number, message));
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
}
