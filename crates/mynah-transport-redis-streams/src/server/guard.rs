//! Entries to envelopes. Each is dealt with on its own: whatever is wrong with one, its neighbours do not notice.

use super::core::Core;
use super::outbox::{Place, Sealing, Step};
use super::remote::{self, Manner};
use crate::coding::{Coding, Said};
use crate::entry::{Entry, EntryId};
use crate::sealed::{Begun, Digest, MAX_ID};
use mynah_codec::dialect::jsonrpc::{Messages, Read};
use mynah_protocol::{
    Envelope, ErrorCode, Limits, Metadata, OPERATION_ID, Payload, Response, RpcError, WireId,
};
use redis::RedisError;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Reads the entries of one service.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) core: Arc<Core>,
    pub(super) desk: usize,
    pub(super) messages: Messages,
    pub(super) limits: Limits,
}

/// A call that is an operation, before it is known whether it has an outcome.
#[derive(Debug)]
pub(super) struct Asked {
    instance: Box<str>,
    pub(super) operation: Box<str>,
    pub(super) digest: Digest,
    envelope: Envelope<'static>,
    place: Place,
    attempt: u32,
    manner: Manner,
    /// When it was read.
    since: Instant,
}

/// Why an entry is not handed on.
enum Refused {
    /// Nobody is told.
    Silently(&'static str),
    /// Its caller is, in this format.
    Answered(Coding, Response<'static>, &'static str),
}

impl Guard {
    /// Hands on what an entry says, or is done with it. `attempt`: which delivery this is, from 1. A call that is an
    /// operation is given back: [`Self::resolve`] goes on with it, once it is known whether it has an outcome.
    pub(super) fn admit(&mut self, mut entry: Entry, attempt: u32) -> Option<Asked> {
        let place = Place {
            desk: self.desk,
            id: entry.id,
        };
        let reply_to = entry.reply_to.take();
        let instance = match &reply_to {
            None => Some(""),
            Some(reply_to) => self.core.keys.instance_of(reply_to),
        };
        let read = match instance {
            Some(_) => self.read(&entry),
            None => Err(Refused::Silently("reply-to is no stream of answers")),
        };
        let instance = instance.unwrap_or_default();
        // What clamator does not write is from a client of ours.
        let sides = entry.timeout_ms.is_some()
            || entry.metadata.is_some()
            || entry.operation.is_some()
            || entry.note.is_some();
        match read {
            Ok((mut envelope, coding)) => {
                if let Envelope::Request(request) = &mut envelope {
                    if instance.is_empty() {
                        // Nobody hears the answer, and ids are those of many callers.
                        request.id = WireId::Text(entry.id.to_string().into());
                    } else if self.core.is_unwanted(instance, &request.id) {
                        self.core.outbox.push(Step::Done(place));
                        return None;
                    }
                }
                let manner = Manner { coding, sides };
                self.ask_or_deliver(instance, envelope, place, attempt, manner)
            }
            Err(refused) => {
                let why = match refused {
                    Refused::Silently(why) => why,
                    Refused::Answered(coding, response, why) => {
                        if !instance.is_empty() {
                            self.answer(instance, coding, response);
                        }
                        why
                    }
                };
                let service = self.service();
                tracing::warn!(service, entry = %entry.id, why, "an entry is not executed");
                self.core.outbox.push(Step::Done(place));
                None
            }
        }
    }

    fn ask_or_deliver(
        &self,
        instance: &str,
        envelope: Envelope<'static>,
        place: Place,
        attempt: u32,
        manner: Manner,
    ) -> Option<Asked> {
        if let Envelope::Request(request) = &envelope
            && let Some(operation) = request.metadata.value(OPERATION_ID)
        {
            return Some(Asked {
                instance: instance.into(),
                operation: operation.into(),
                digest: Digest::of(
                    manner.coding,
                    &request.name,
                    request.params.contiguous().as_ref(),
                ),
                envelope,
                place,
                attempt,
                manner,
                since: Instant::now(),
            });
        }
        self.core
            .deliver(instance, envelope, place, attempt, None, manner);
        None
    }

    /// Goes on with a call, now that it is known what was answered to it before.
    pub(super) fn resolve(&mut self, mut asked: Asked, begun: Begun) {
        let Envelope::Request(request) = &mut asked.envelope else {
            return;
        };
        let id = request.id.clone();
        if let Some(timeout) = &mut request.timeout {
            *timeout = timeout.saturating_sub(asked.since.elapsed());
            if timeout.is_zero() {
                // Nobody waits for it any more.
                self.core.outbox.push(Step::Done(asked.place));
                return;
            }
        }
        let result = match begun {
            Begun::New => {
                let sealing = Sealing {
                    desk: self.desk,
                    operation: asked.operation,
                    digest: asked.digest,
                };
                let (instance, envelope) = (&asked.instance, asked.envelope);
                let (place, attempt) = (asked.place, asked.attempt);
                self.core.deliver(
                    instance,
                    envelope,
                    place,
                    attempt,
                    Some(sealing),
                    asked.manner,
                );
                return;
            }
            Begun::Answered(answer) => self.sealed(asked.manner.coding, &answer),
            Begun::Conflict(before) => Err(Box::new(RpcError::new(
                ErrorCode::INVALID_REQUEST,
                asked.digest.conflict(&before),
            ))),
        };
        let response = Response { id, result };
        self.end(&asked.instance, asked.manner.coding, asked.place, response);
    }

    /// Is done with a call of which cannot be known whether it has an outcome: it does not begin.
    pub(super) fn refuse(&self, asked: Asked, error: &RedisError) {
        let (service, operation) = (self.service(), asked.operation.escape_debug());
        tracing::error!(service, %operation, %error, "the seal of an operation cannot be used");
        let Envelope::Request(request) = asked.envelope else {
            return;
        };
        let what = "what is known of the operation cannot be read; it did not begin";
        let response = Response {
            id: request.id,
            result: Err(Box::new(RpcError::new(ErrorCode::INTERNAL, what))),
        };
        self.end(&asked.instance, asked.manner.coding, asked.place, response);
    }

    /// Lets somebody else have a call that has not begun: this delivery does not count.
    pub(super) fn give_back(&self, asked: &Asked) {
        self.release(asked.place.id, asked.attempt.saturating_sub(1));
    }

    /// Lets somebody else have an entry.
    pub(super) fn release(&self, id: EntryId, attempts: u32) {
        let place = Place {
            desk: self.desk,
            id,
        };
        self.core.outbox.push(Step::Release { place, attempts });
    }

    fn end(&self, instance: &str, coding: Coding, place: Place, response: Response<'static>) {
        if !instance.is_empty() {
            self.answer(instance, coding, response);
        }
        self.core.outbox.push(Step::Done(place));
    }

    /// The outcome in a seal.
    fn sealed(&mut self, coding: Coding, answer: &[u8]) -> Result<Payload<'static>, Box<RpcError>> {
        let read = match coding {
            Coding::Json => match self.messages.read(answer) {
                Read::Envelope(envelope) => Some(envelope),
                _ => None,
            },
            other => self.core.frames.of(other).read(answer).unwrap_or(None),
        };
        match read {
            Some(Envelope::Response(response)) => response.result.map(Payload::into_owned),
            _ => {
                let service = self.service();
                tracing::error!(service, "a seal holds no answer");
                Err(Box::new(RpcError::from_code(ErrorCode::INTERNAL)))
            }
        }
    }

    pub(super) fn answer(&self, instance: &str, coding: Coding, response: Response<'static>) {
        let answer = remote::write(&self.core, coding, response);
        let stream = self.core.keys.replies(instance).into();
        let manner = Manner {
            coding,
            sides: false,
        };
        self.core.outbox.push(remote::reply(stream, manner, answer));
    }

    fn service(&self) -> &str {
        let desk = self.core.desks().get(self.desk);
        desk.map_or("", |desk| &desk.service)
    }

    fn read(&mut self, entry: &Entry) -> Result<(Envelope<'static>, Coding), Refused> {
        let Some(text) = entry.envelope.as_deref() else {
            return Err(Refused::Silently("there is no envelope"));
        };
        let timeout = match entry.timeout_ms {
            None => None,
            Some(ms) => {
                let end = entry.id.ms.saturating_add(ms);
                let left = end.saturating_sub(self.core.redis_ms());
                if left == 0 {
                    return Err(Refused::Silently("its deadline has passed"));
                }
                // The clock of this machine may be behind.
                Some(Duration::from_millis(left.min(ms)))
            }
        };
        let metadata = metadata(entry, &self.limits);
        let envelope = match self.messages.read(text) {
            Read::Envelope(envelope) => envelope,
            Read::Ignored(why) => return Err(Refused::Silently(why)),
            Read::Refused(response, why) => {
                return Err(Refused::Answered(Coding::Json, response, why));
            }
        };
        let (envelope, coding) = match frame_of(entry) {
            Some((said, frame)) => self.read_frame(said, frame, envelope)?,
            None => (envelope, Coding::Json),
        };
        match envelope {
            Envelope::Request(mut request) => {
                if *request.name.service != *self.service() {
                    let code = ErrorCode::METHOD_NOT_FOUND;
                    let why = "the method is of another service";
                    return Err(error(coding, request.id, code, why));
                }
                let Ok(metadata) = metadata else {
                    let code = ErrorCode::INVALID_REQUEST;
                    return Err(error(coding, request.id, code, "metadata cannot be used"));
                };
                request.timeout = timeout;
                request.metadata = metadata;
                Ok((Envelope::Request(request).into_owned(), coding))
            }
            Envelope::Notification(mut notification) => {
                if *notification.name.service != *self.service() {
                    return Err(Refused::Silently("the method is of another service"));
                }
                notification.metadata =
                    metadata.map_err(|()| Refused::Silently("metadata cannot be used"))?;
                Ok((Envelope::Notification(notification).into_owned(), coding))
            }
            _ => Err(Refused::Silently("it is no call")),
        }
    }

    /// A call in another format. `envelope`: what stands beside it, and what is refused where the frame cannot be.
    fn read_frame<'e>(
        &self,
        said: Said,
        frame: &'e [u8],
        envelope: Envelope<'_>,
    ) -> Result<(Envelope<'e>, Coding), Refused> {
        let refuse = |code, why| match envelope {
            Envelope::Request(request) => Err(error(Coding::Json, request.id, code, why)),
            _ => Err(Refused::Silently(why)),
        };
        let Said::In(coding) = said else {
            return refuse(
                ErrorCode::UNSUPPORTED,
                "this server does not know the format",
            );
        };
        match self.core.frames.of(coding).read(frame) {
            Ok(Some(Envelope::Request(call))) if !call.streams.is_none() => {
                let why = "a call with streams is for one server";
                Err(error(coding, call.id, ErrorCode::INVALID_REQUEST, why))
            }
            Ok(Some(call @ (Envelope::Request(_) | Envelope::Notification(_)))) => {
                Ok((call, coding))
            }
            _ => refuse(ErrorCode::INVALID_REQUEST, "the frame is no call"),
        }
    }
}

/// The frame of a call that is not in JSON.
fn frame_of(entry: &Entry) -> Option<(Said, &[u8])> {
    let note = entry.note.as_deref()?;
    match Said::read("call", &note.kind) {
        // What is in JSON is in the envelope.
        Said::Other | Said::In(Coding::Json) => None,
        said => Some((said, &note.body)),
    }
}

fn error(coding: Coding, id: WireId, code: ErrorCode, why: &'static str) -> Refused {
    let error = match code {
        ErrorCode::METHOD_NOT_FOUND => RpcError::from_code(code),
        _ => RpcError::new(code, why),
    };
    let response = Response {
        id,
        result: Err(Box::new(error)),
    };
    Refused::Answered(coding, response, why)
}

/// What stands beside the envelope, for programs.
fn metadata(entry: &Entry, limits: &Limits) -> Result<Metadata, ()> {
    let mut metadata = Metadata::new();
    if let Some(object) = &entry.metadata {
        if object.len() > limits.max_metadata_bytes.saturating_mul(6) {
            return Err(());
        }
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(object).map_err(drop)?;
        if object.len() > limits.max_metadata_entries {
            return Err(());
        }
        for (name, value) in object {
            let serde_json::Value::String(value) = value else {
                return Err(());
            };
            metadata.insert(name, value);
        }
    }
    if let Some(operation) = &entry.operation {
        let operation = str::from_utf8(operation).map_err(drop)?;
        if operation.len() > MAX_ID {
            return Err(());
        }
        metadata.insert(OPERATION_ID, operation);
    }
    let fits = metadata.len() <= limits.max_metadata_entries
        && metadata.bytes() <= limits.max_metadata_bytes;
    if fits { Ok(metadata) } else { Err(()) }
}
