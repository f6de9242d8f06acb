//! What a client emits: messages of topics, as servers publish them. Whoever reads the topic hears it.

use super::core::{Core, Queued, Said};
use crate::events::{KEPT_MS, PUBLISH};
use crate::random;
use mynah_protocol::Event;
use redis::Cmd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who this client is to readers of topics, and how much it has said.
#[derive(Debug)]
pub(super) struct Published {
    publisher: String,
    last: AtomicU64,
}

/// A message of a topic.
#[derive(Debug)]
pub(super) struct Emitted {
    /// The key of its stream.
    pub(super) topic: String,
    /// The number that it has here.
    pub(super) number: u64,
    pub(super) message: Vec<u8>,
    /// How many of the topic were let go of before it.
    pub(super) lost: u64,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            publisher: random::uuid(),
            last: AtomicU64::new(0),
        }
    }
}

impl Core {
    /// Has a message written. Written again after an error, it stands there twice, and is heard once.
    pub(super) fn publish(&self, event: &Event<'_>) {
        let message = event.message.contiguous().into_owned();
        let number = self.published.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.write(Queued {
            bytes: message.len() + 64,
            said: Said::Event(Emitted {
                topic: self.keys.events(&event.topic),
                number,
                message,
                lost: 0,
            }),
            id: None,
            service: String::new(),
            until: None,
            unserved: false,
            told: false,
        });
    }

    /// The command that writes it.
    pub(super) fn event(&self, said: &Emitted) -> Cmd {
        let (most, kept) = (self.options.event_len.to_string(), KEPT_MS.to_string());
        let (number, lost) = (said.number.to_string(), said.lost.to_string());
        let arguments: [&[u8]; 7] = [
            most.as_bytes(),
            kept.as_bytes(),
            &said.message,
            self.published.publisher.as_bytes(),
            number.as_bytes(),
            self.coding.event().as_bytes(),
            lost.as_bytes(),
        ];
        PUBLISH.command(&said.topic, &arguments)
    }
}
