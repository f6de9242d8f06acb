//! Calls in other formats than JSON: frames of the native wire, in the same streams.
//!
//! Servers of clamator share these streams. One that takes such a call finds an envelope for a method that it does not have,
//! and says so; nothing has run, and the call is offered again, for somebody else to take.

use super::core::{Batch, Core, Queued, Said};
use super::offers::{Offer, lock};
use super::served::{Directory, stands};
use crate::coding::Coding;
use crate::command::Call;
use crate::connect::Connection;
use mynah_codec::EncodeError;
use mynah_codec::dialect::native;
use mynah_protocol::{
    DeliveryReport, DeliveryStatus, Envelope, ErrorCode, FormatId, Metadata, MethodName, Payload,
    Request, Response, RpcError, Streams, Undelivered, WireId,
};
use redis::RedisResult;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// What the server that took a call cannot do.
pub(super) const UNSPOKEN: &str =
    "calls in this format, where only servers that speak JSON take them";

/// How long it waits before it is offered for the second time; then twice as long each time, up to about a second. Servers
/// that know the format may have no room for the moment: it is offered for as long as there are some, and its caller waits.
const FIRST_WAIT: Duration = Duration::from_millis(16);
const MOST_DOUBLED: u32 = 6;

/// How long a notification is kept: nobody says that it has begun.
const NOTE_KEPT: Duration = Duration::from_secs(30);

impl Core {
    /// The frame of a call. What is left of it is the envelope for servers that do not know frames: it names a method that
    /// they do not have, so that they say so and run nothing.
    pub(super) fn frame(&self, envelope: &mut Envelope<'static>) -> Result<Vec<u8>, EncodeError> {
        let (name, params) = match envelope {
            Envelope::Request(request) => {
                // What is left of its time has a field of its own.
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
        let name = MethodName::new(&name.service, self.coding.decoy()).into_owned();
        let mut frame = Vec::with_capacity(params.len() + 96);
        self.sessions.frames.write(envelope, &mut frame)?;
        let id = match envelope {
            Envelope::Request(request) => request.id.clone(),
            // Under an id of its own it is answered by those who cannot read it, and by nobody else.
            _ => self.note_id(self.offers.last_note.fetch_add(1, Ordering::Relaxed)),
        };
        *envelope = Envelope::Request(Request {
            id,
            name,
            timeout: None,
            metadata: Metadata::new(),
            streams: Streams::NONE,
            params: Payload::lent(FormatId::Json, b"{}"),
        });
        Ok(frame)
    }

    /// Numbers of notifications are mixed as those of calls are.
    fn note_id(&self, number: u64) -> WireId {
        let mut mixed = WireId::Uint(number);
        self.mix(&mut mixed);
        match mixed {
            WireId::Uint(mixed) => WireId::Text(format!("n{mixed}").into()),
            other => other,
        }
    }

    fn note_number(&self, id: &WireId) -> Option<u64> {
        let WireId::Text(text) = id else { return None };
        let mut mixed = WireId::Uint(text.strip_prefix('n')?.parse().ok()?);
        self.mix(&mut mixed);
        match mixed {
            WireId::Uint(number) => Some(number),
            _ => None,
        }
    }

    /// Remembers a notification under the id that it was written with.
    pub(super) fn keep_note(&self, id: &WireId, call: &Call, service: &str) {
        let now = Instant::now();
        if let Some(number) = self.note_number(id) {
            let offer = Offer {
                call: call.clone(),
                service: service.to_owned(),
                until: now.checked_add(NOTE_KEPT),
                times: 1,
                age: 0,
            };
            let mut notes = lock(&self.offers.notes);
            notes.sweep(now);
            notes.put(number, offer);
        }
    }

    /// An answer in the format of the calls.
    pub(super) fn hear_answer(&self, frame: &[u8], heard: &mut Vec<Envelope<'static>>) {
        match self.sessions.frames.read(frame) {
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
    pub(super) fn hear_json<'a>(self: &Arc<Self>, response: Response<'a>) -> Option<Envelope<'a>> {
        if self.coding == Coding::Json {
            return Some(Envelope::Response(response));
        }
        let code = response.result.as_ref().err().map(|error| error.code());
        // It has read the envelope in place of the call.
        let is_unread = matches!(
            code,
            Some(ErrorCode::METHOD_NOT_FOUND | ErrorCode::UNSUPPORTED)
        );
        let id = response.id;
        if let Some(number) = self.note_number(&id) {
            match is_unread {
                true => drop(self.offer_again(None, number)),
                false => drop(lock(&self.offers.notes).take(number)),
            }
            return None;
        }
        if is_unread {
            let known = match id {
                WireId::Uint(number) => self.offer_again(Some(&id), number),
                _ => None,
            };
            let Some(()) = known else {
                // Not kept, so not offered again. Nobody has run it: its caller may make it again.
                let status = DeliveryStatus::Failed(Undelivered::Busy);
                return Some(Envelope::Delivery(DeliveryReport { id, status }));
            };
            // Should its time be over before it is written again: nobody has it.
            self.report([id], DeliveryStatus::Waits);
            return None;
        }
        drop(self.offers.take(&id));
        let result = match code {
            Some(_) => response.result,
            None => {
                let what = "a server has answered in JSON to a call in another format";
                Err(Box::new(RpcError::new(ErrorCode::PROTOCOL_VIOLATION, what)))
            }
        };
        Some(Envelope::Response(Response { id, result }))
    }

    /// Has something written once more, after a while, that nobody has run yet; `None`: it was not kept. One whose time is
    /// over is not written. Whether somebody is there who knows the format is looked for when it is.
    fn offer_again(self: &Arc<Self>, id: Option<&WireId>, number: u64) -> Option<()> {
        let calls = id.is_some();
        let (queued, times) = {
            let mut table = lock(self.offers.of(calls));
            let offer = table.again(number)?;
            if offer.until.is_some_and(|until| until <= Instant::now()) {
                let service = &*offer.service;
                tracing::warn!(service, "only servers that speak JSON alone have taken it");
                drop(table.take(number));
                return Some(());
            }
            let queued = Queued {
                bytes: offer.call.len(),
                said: Said::Call(offer.call.clone()),
                id: id.cloned(),
                service: offer.service.clone(),
                until: offer.until,
                unserved: false,
                // So that its caller is told when it is written.
                told: true,
            };
            (queued, offer.times)
        };
        if let Some(id) = id {
            // Until then it is one that was not written.
            self.was_not_written(id);
        }
        let wait = FIRST_WAIT * (1 << (times.saturating_sub(2)).min(MOST_DOUBLED));
        let core = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let now = lock(core.offers.of(calls)).times(number);
            if core.is_closing() {
                return;
            }
            match (now, queued.id.clone()) {
                (Some(now), _) if now == times => core.write(queued),
                // It was said again, by somebody else, that it was not read: then it is written a little later.
                (Some(_), _) | (None, None) => {}
                // Let go of meanwhile: nobody has run it. Cancelled, it has ended, and nobody is told.
                (None, Some(id)) => core.report([id], DeliveryStatus::Failed(Undelivered::Busy)),
            }
        });
        Some(())
    }

    /// The server that a session was offered to does not know the format: nothing has begun, and others are asked.
    pub(super) fn hear_unspoken(&self, from: &str, call: u64) {
        let mut table = self.sessions.lock();
        let Some((call, session)) = table.of(call, from) else {
            return;
        };
        if session.thread.is_answered() || session.deaf.iter().any(|deaf| **deaf == *from) {
            return;
        }
        session.deaf.push(from.into());
        drop(table);
        self.try_another(call);
    }
}

impl Directory {
    /// Ends the calls of a batch in formats that none of those who serve can read. Whoever serves and says nothing of itself
    /// speaks JSON.
    pub(super) async fn sift_formats(
        &mut self,
        core: &Core,
        connection: &mut Connection,
        batch: &mut Batch,
    ) -> RedisResult<()> {
        let mut services: Vec<String> = Vec::new();
        for queued in &batch.calls {
            let framed = matches!(&queued.said, Said::Call(call) if call.frame.is_some());
            if framed && !services.contains(&queued.service) {
                services.push(queued.service.clone());
            }
        }
        for service in services {
            match self.living_and_able(core, &service, connection).await {
                Ok(true) => {}
                Ok(false) if self.doubts() => {}
                Ok(false) => end(core, batch, &service),
                // Without permission to look whoever takes it says so.
                Err(error) => {
                    stands(&error)?;
                    tracing::debug!(%error, service, "it cannot be seen who serves");
                }
            }
        }
        Ok(())
    }
}

impl Directory {
    /// Whether a server of ours is there that knows the format of this client.
    async fn living_and_able(
        &mut self,
        core: &Core,
        service: &str,
        connection: &mut Connection,
    ) -> RedisResult<bool> {
        let living = self.living(core, service, connection).await?;
        self.ask(core, &living, connection).await?;
        let mut living = living.iter();
        Ok(living.any(|one| self.abilities(&one.instance).speaks(core.coding)))
    }
}

fn end(core: &Core, batch: &mut Batch, service: &str) {
    batch.calls.retain(|queued| {
        let framed = matches!(&queued.said, Said::Call(call) if call.frame.is_some());
        if !framed || queued.service != service || queued.unserved {
            return true;
        }
        match &queued.id {
            Some(id) => {
                drop(core.offers.take(id));
                let why = Undelivered::Unsupported(UNSPOKEN);
                core.report([id.clone()], DeliveryStatus::Failed(why));
            }
            None => tracing::warn!(
                service,
                "a notification in a format that nobody there speaks"
            ),
        }
        false
    });
}
