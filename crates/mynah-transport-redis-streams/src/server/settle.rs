//! One delivery of an entry, until it is settled.

use super::core::Core;
use super::evidence;
use super::outbox::{Place, Step};
use super::remote::Remote;
use mynah_protocol::{Delivered, Evidence, Settled, WireId};
use std::sync::Arc;
use std::time::Duration;

/// How long nothing is fetched for a service after something that was fetched could not begin.
const REST: Duration = Duration::from_millis(50);

/// An entry that was delivered. Dropped without having been settled, its handler was stopped: it is given back.
#[derive(Debug)]
pub(super) struct Delivery {
    core: Arc<Core>,
    remote: Arc<Remote>,
    place: Place,
    /// How often it was delivered, this time included.
    attempt: u32,
    settled: bool,
    /// The call; null for a notification.
    call: WireId,
}

impl Delivery {
    pub(super) fn new(
        core: &Arc<Core>,
        remote: &Arc<Remote>,
        place: Place,
        attempt: u32,
        call: WireId,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            remote: Arc::clone(remote),
            place,
            attempt,
            settled: false,
            call,
        }
    }

    pub(super) fn settle(mut self, settled: Settled) {
        self.settled = true;
        match settled {
            Settled::Done => self.core.outbox.push(Step::Done(self.place)),
            _ => {
                if !self.core.is_stopping()
                    && let Some(desk) = self.core.desks().get(self.place.desk)
                {
                    desk.rest(REST);
                }
                // It did not begin, so this delivery does not count.
                self.release(self.attempt.saturating_sub(1));
            }
        }
    }

    fn release(&self, attempts: u32) {
        self.core.outbox.push(Step::Release {
            place: self.place,
            attempts,
        });
    }
}

impl Delivered for Delivery {
    fn evidence(&self) -> Evidence {
        let evidence = Evidence::new()
            .with(evidence::ENTRY, self.place.id.to_string())
            .with(evidence::DELIVERIES, i64::from(self.attempt))
            .with(evidence::OWN_INSTANCE, &*self.core.instance);
        match self.core.desks().get(self.place.desk) {
            Some(desk) => evidence
                .with(evidence::STREAM, &*desk.stream)
                .with(evidence::CONSUMER, &*desk.consumer),
            None => evidence,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.remote.settled(&self.call);
        if !self.settled {
            self.release(self.attempt);
        }
    }
}
