//! Calls in other formats than JSON: frames of the native wire, in the same streams.
//!
//! Servers of clamator share these streams. One that takes such a call finds an envelope for a method that it does not have,
//! and says so; nothing has run, and the call is offered again, for somebody else to take.

use super::core::{Core, Queued, Said};
use crate::coding::Coding;
use crate::command::Call;
use crate::session::Note;
use mynah_codec::EncodeError;
use mynah_codec::dialect::native;
use mynah_protocol::{
    DeliveryReport, DeliveryStatus, Envelope, ErrorCode, FormatId, MethodName, Payload, Response,
    RpcError, Streams, Undelivered, WireId,
};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What the server that took a call cannot do.
const UNSPOKEN: &str = "calls in this format, where only servers that speak JSON take them";

/// How often a call is offered.
const MOST_OFFERS: u32 = 8;

/// Bytes of calls that are kept for that. Older ones are let go of, and are not offered again.
const MOST_BYTES: usize = 4 << 20;

/// What a call takes beside what it says, about.
const CALL_BYTES: usize = 256;

/// The calls that were written and not answered, by their numbers here.
#[derive(Debug, Default)]
pub(super) struct Offers {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    calls: BTreeMap<u64, Offer>,
    bytes: usize,
}

/// A call that may have to be offered again.
#[derive(Debug)]
pub(super) struct Offer {
    call: Call,
    service: String,
    until: Option<Instant>,
    /// How often it was.
    offers: u32,
}

impl Offer {
    fn bytes(&self) -> usize {
        self.call.len() + CALL_BYTES
    }
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a call, if it is one that servers may not know how to read.
    pub(super) fn keep(&self, id: &WireId, call: &Call, service: &str, until: Option<Instant>) {
        if call.frame.is_none() {
            return;
        }
        let offer = Offer {
            call: call.clone(),
            service: service.to_owned(),
            until,
            offers: 1,
        };
        self.put(id, offer);
    }

    fn put(&self, id: &WireId, offer: Offer) {
        let WireId::Uint(number) = id else { return };
        let mut table = self.lock();
        table.bytes += offer.bytes();
        if let Some(before) = table.calls.insert(*number, offer) {
            table.bytes -= before.bytes();
        }
        while table.bytes > MOST_BYTES {
            let Some((_, oldest)) = table.calls.pop_first() else {
                break;
            };
            table.bytes -= oldest.bytes();
        }
    }

    /// Forgets a call, and says how it stood.
    pub(super) fn take(&self, id: &WireId) -> Option<Offer> {
        let WireId::Uint(number) = id else {
            return None;
        };
        let mut table = self.lock();
        let offer = table.calls.remove(number)?;
        table.bytes -= offer.bytes();
        Some(offer)
    }
}

impl Core {
    /// The frame of a call. What is left of it is the envelope for servers that do not know frames: it names a method that
    /// they do not have, so that they say so and run nothing.
    pub(super) fn frame(&self, envelope: &mut Envelope<'_>) -> Result<Vec<u8>, EncodeError> {
        let (name, params) = match envelope {
            Envelope::Request(request) => {
                // It has a field of its own, and so has what is left of its time.
                request.timeout = None;
                request.streams = Streams::NONE;
                (&request.name, &request.params)
            }
            Envelope::Notification(notification) => (&notification.name, &notification.params),
            other => {
                return Err(EncodeError::Unsupported {
                    dialect: native::NAME,
                    feature: other.kind(),
                });
            }
        };
        let decoy = MethodName::new(&name.service, self.coding.decoy()).into_owned();
        let mut frame = Vec::with_capacity(params.len() + 96);
        self.sessions.frames.write(envelope, &mut frame)?;
        let (name, params) = match envelope {
            Envelope::Request(request) => (&mut request.name, &mut request.params),
            Envelope::Notification(notification) => {
                (&mut notification.name, &mut notification.params)
            }
            _ => return Ok(frame),
        };
        *name = decoy;
        *params = Payload::lent(FormatId::Json, b"{}");
        Ok(frame)
    }

    /// An answer in the format of the calls.
    pub(super) fn hear_answer(&self, note: &Note, heard: &mut Vec<Envelope<'static>>) {
        match self.sessions.frames.read(&note.body) {
            Ok(Some(Envelope::Response(mut response))) => {
                self.mix(&mut response.id);
                drop(self.offers.take(&response.id));
                heard.push(Envelope::Response(response).into_owned());
            }
            // Whoever may write to Redis can write anything.
            Ok(_) => tracing::debug!("no answer"),
            Err(error) => tracing::debug!(%error, "no answer"),
        }
    }

    /// What an answer in JSON is to a call of this client; `None`: somebody else is asked.
    pub(super) fn hear_json<'a>(&self, response: Response<'a>) -> Option<Envelope<'a>> {
        if self.coding == Coding::Json {
            return Some(Envelope::Response(response));
        }
        let offer = self.offers.take(&response.id);
        let code = response.result.as_ref().err().map(|error| error.code());
        let result = match code {
            // It has read the envelope in place of the call.
            Some(ErrorCode::METHOD_NOT_FOUND | ErrorCode::UNSUPPORTED) => {
                return self.offer_again(response.id, offer);
            }
            Some(_) => response.result,
            None => {
                let what = "a server has answered in JSON to a call in another format";
                Err(Box::new(RpcError::new(ErrorCode::PROTOCOL_VIOLATION, what)))
            }
        };
        let id = response.id;
        Some(Envelope::Response(Response { id, result }))
    }

    /// Nothing has run yet.
    fn offer_again(&self, id: WireId, offer: Option<Offer>) -> Option<Envelope<'static>> {
        let now = Instant::now();
        let wanted = |offer: &Offer| {
            offer.offers < MOST_OFFERS && offer.until.is_none_or(|until| until > now)
        };
        let Some(mut offer) = offer.filter(wanted) else {
            return Some(Envelope::Delivery(DeliveryReport {
                id,
                status: DeliveryStatus::Failed(Undelivered::Unsupported(UNSPOKEN)),
            }));
        };
        offer.offers += 1;
        let queued = Queued {
            bytes: offer.call.len(),
            said: Said::Call(offer.call.clone()),
            id: Some(id.clone()),
            service: offer.service.clone(),
            until: offer.until,
            unserved: false,
            told: false,
        };
        self.offers.put(&id, offer);
        self.write(queued);
        None
    }

    /// The server that a session was offered to does not know the format: nothing has begun.
    pub(super) fn hear_unspoken(&self, from: &str, call: u64) {
        let is_of = self.sessions.lock().is_of(call, from);
        if is_of {
            self.fail_session(call, Undelivered::Unsupported(UNSPOKEN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(bytes: usize) -> Call {
        Call {
            stream: "app:cmds:arith".to_owned(),
            envelope: Vec::new(),
            reply_to: None,
            metadata: None,
            operation: None,
            frame: Some(("call+cbor", vec![0; bytes].into())),
        }
    }

    #[test]
    fn calls_that_may_be_offered_again_are_kept_in_bounds() {
        let offers = Offers::default();
        for number in 0..100_000 {
            offers.keep(&WireId::Uint(number), &call(0), "arith", None);
        }
        let kept = offers.lock().calls.len();
        assert_eq!(kept, MOST_BYTES / CALL_BYTES);
        assert!(
            offers.take(&WireId::Uint(0)).is_none(),
            "the oldest go first"
        );
        assert!(offers.take(&WireId::Uint(99_999)).is_some());
        // A call that is larger than all of that is sent, and not kept.
        offers.keep(&WireId::Uint(1), &call(2 * MOST_BYTES), "arith", None);
        assert!(offers.take(&WireId::Uint(1)).is_none());
        assert_eq!(offers.lock().bytes, 0);
        let json = Call {
            frame: None,
            ..call(0)
        };
        offers.keep(&WireId::Uint(2), &json, "arith", None);
        assert!(offers.lock().calls.is_empty());
    }
}
