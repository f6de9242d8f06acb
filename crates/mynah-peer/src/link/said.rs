//! What the peer says that belongs to no call, on its way to those who hear it.

use super::effects::DriverEffects;
use super::{Arrived, CalledKind, HandlerRef, InSlot, Run, RunKind};
use mynah_connection::{InboundKey, Said};
use mynah_protocol::{Metadata, Moment, Streams};
use std::task::Waker;

impl DriverEffects<'_> {
    /// Hands it to those who listen. Returns it when it has a handler.
    pub(super) fn tell<'m>(&mut self, said: Said<'m>) -> Option<Said<'m>> {
        if let Said::Event(event) = &said
            && !self.link.allows_topic(&event.topic)
        {
            self.link.log_forbidden("event", &event.topic);
            self.collected.forbidden_events = self.collected.forbidden_events.saturating_add(1);
            return None;
        }
        let config = &self.link.config;
        let listeners = config.listeners.get();
        let heard = listeners.is_some_and(|heard| heard.said(&said, &mut self.collected.wakers));
        if config.router.hearers().hears(&said) {
            return Some(said);
        }
        match &said {
            _ if heard => {}
            Said::Event(event) => {
                tracing::trace!(topic = %event.topic.escape_debug(), "event without a listener");
            }
            Said::Log(log) => {
                let bytes = log.content.as_slice().len();
                tracing::debug!(level = log.level, bytes, "log of the peer");
            }
        }
        None
    }

    /// Has its handler started with the calls that arrived.
    pub(super) fn start_hearer(
        &mut self,
        key: InboundKey,
        slot: &mut InSlot,
        deadline: Moment,
        said: Said<'_>,
    ) {
        slot.handler = HandlerRef::None;
        slot.shields = 0;
        if let Some(stale) = slot.observed.take() {
            self.collected.wakers.push(Waker::from(stale));
        }
        let method = self.link.config.router.hearers().method(&said);
        let (name, message) = match said {
            Said::Event(event) => (event.topic.into(), event.message),
            Said::Log(log) => ("log".into(), log.content),
        };
        slot.run = Run {
            kind: RunKind::Event,
            since: self.now,
            route: usize::MAX,
            name: Some(name),
        };
        let body = self.body(message);
        // What was said before an answer is heard before it.
        self.collected.called_back = true;
        self.collected.arrived.push(Arrived {
            key,
            route: None,
            unknown: None,
            other: method,
            called: CalledKind::Hearer,
            streams: Streams::NONE,
            answered: false,
            deadline,
            metadata: Metadata::new(),
            body,
            forbidden: false,
            cancelled: None,
        });
    }
}
