//! Large messages leave beside the lanes: in segments, and in chunks if the peer takes them.

use super::{NativeWire, chunks, write};
use crate::framing::LengthFraming;
use crate::{BulkRules, EncodeError, FrameSpan, OrderKey, Output};
use bytes::Bytes;
use mynah_protocol::{
    CALLBACK_SERVICE, Envelope, Event, FormatId, Items, Notification, Payload, PayloadBytes,
    Request, Response,
};

/// A message with more bytes of payload leaves beside the lanes.
pub(super) const LARGE: usize = 64 << 10;
/// What is said through callbacks.
const CALLBACKS: OrderKey = OrderKey::Kind(3);
/// Bytes of a chunk.
const CHUNK: usize = 64 << 10;

impl NativeWire {
    /// Puts an envelope beside the lanes, if that is where it belongs: it is large, or an earlier one of its call
    /// waits there.
    #[cold]
    pub(super) fn encode_bulk(
        &self,
        envelope: &Envelope<'_>,
        out: &mut Output,
    ) -> Option<Result<FrameSpan, EncodeError>> {
        let mut key = order_key(envelope)?;
        let behind_all = match envelope {
            // A callback ends with its call, whichever that is: what was said through it goes first.
            Envelope::Response(_) => out.bulk_holds(&CALLBACKS),
            // In this lane it says that every request before it has been said.
            Envelope::Pong(_) => out.bulk_waits(),
            _ => false,
        };
        if behind_all {
            key = OrderKey::All;
        } else if envelope.payload_bytes() <= LARGE && !out.bulk_holds(&key) {
            return None;
        }
        Some(self.frame_parts(envelope).map(|parts| {
            let chunk = if self.peer_partials == 0 {
                usize::MAX
            } else {
                // The head of a chunk must fit the peer's limit too.
                CHUNK.min(self.peer_limit / 2)
            };
            let rules = BulkRules {
                prefix: LengthFraming::HEAD,
                chunk_bytes: chunk,
                most_chunk_bytes: chunk.max(self.peer_limit / 2),
                messages: self.peer_partials.min(chunks::MESSAGES),
                total_bytes: self.peer_limit.saturating_mul(chunks::TOTALS),
                head: match self.profile.format {
                    FormatId::Json => json_chunk,
                    FormatId::MessagePack => msgpack_chunk,
                    _ => cbor_chunk,
                },
            };
            out.put_bulk(key, parts, rules)
        }))
    }

    /// The frame of an envelope; segments of its payload are parts of their own.
    fn frame_parts(&self, envelope: &Envelope<'_>) -> Result<Vec<Bytes>, EncodeError> {
        let format = self.profile.format;
        let mut first = vec![0; LengthFraming::HEAD];
        let mut behind = Vec::new();
        match without_payload(envelope) {
            Some((head, payload)) if payload.format() == format => {
                write::envelope(&head, format, &mut first)?;
                append(payload, &mut first, &mut behind);
            }
            _ => write::envelope(envelope, format, &mut first)?,
        }
        let len = first.len() + behind.iter().map(Bytes::len).sum::<usize>() - LengthFraming::HEAD;
        match u32::try_from(len) {
            Ok(announced) if len <= self.peer_limit => {
                let length = announced.to_be_bytes();
                first
                    .iter_mut()
                    .zip(length)
                    .for_each(|(slot, byte)| *slot = byte);
            }
            _ => {
                return Err(EncodeError::TooLarge {
                    len,
                    limit: self.peer_limit,
                });
            }
        }
        behind.insert(0, first.into());
        Ok(behind)
    }
}

/// An envelope of a kind that ends with its payload, without it; and the payload.
fn without_payload<'e>(envelope: &'e Envelope<'e>) -> Option<(Envelope<'e>, &'e Payload<'e>)> {
    let nothing = |payload: &Payload<'_>| Payload::lent(payload.format(), &[]);
    Some(match envelope {
        Envelope::Request(request) => (
            Envelope::Request(Request {
                id: request.id.clone(),
                name: request.name.clone(),
                timeout: request.timeout,
                metadata: request.metadata.clone(),
                streams: request.streams,
                params: nothing(&request.params),
            }),
            &request.params,
        ),
        Envelope::Response(response) => {
            let payload = response.result.as_ref().ok()?;
            let head = Response {
                id: response.id.clone(),
                result: Ok(nothing(payload)),
            };
            (Envelope::Response(head), payload)
        }
        Envelope::Notification(notification) => (
            Envelope::Notification(Notification {
                name: notification.name.clone(),
                id: notification.id.clone(),
                metadata: notification.metadata.clone(),
                params: nothing(&notification.params),
            }),
            &notification.params,
        ),
        Envelope::Event(event) => (
            Envelope::Event(Event {
                topic: event.topic.clone(),
                message: nothing(&event.message),
            }),
            &event.message,
        ),
        Envelope::Items(items) => (
            Envelope::Items(Items {
                id: items.id.clone(),
                stream: items.stream,
                count: items.count,
                batch: nothing(&items.batch),
            }),
            &items.batch,
        ),
        _ => return None,
    })
}

/// Puts a payload behind `first`: large parts that have a buffer of their own go to `behind`, and so does what follows
/// them.
fn append(payload: &Payload<'_>, first: &mut Vec<u8>, behind: &mut Vec<Bytes>) {
    match payload.clone().into_bytes() {
        PayloadBytes::Lent(bytes) => first.extend_from_slice(bytes),
        PayloadBytes::Owned(bytes) => behind.push(bytes),
        PayloadBytes::Split(bytes, segments) => {
            let mut from = 0;
            for segment in segments {
                let between = bytes.get(from..segment.at).unwrap_or_default();
                if behind.is_empty() {
                    first.extend_from_slice(between);
                } else if !between.is_empty() {
                    behind.push(Bytes::copy_from_slice(between));
                }
                behind.push(segment.bytes.clone());
                from = segment.at;
            }
            let rest = bytes.get(from..).unwrap_or_default();
            if !rest.is_empty() {
                behind.push(Bytes::copy_from_slice(rest));
            }
        }
    }
}

/// What must not overtake what. `None` for what has no order: it is small, and says nothing about what waits.
fn order_key(envelope: &Envelope<'_>) -> Option<OrderKey> {
    Some(match envelope {
        Envelope::Request(request) => OrderKey::Call(request.id.clone()),
        Envelope::Response(response) => OrderKey::Call(response.id.clone()),
        Envelope::Cancel(cancel) => OrderKey::Call(cancel.id.clone()),
        Envelope::Progress(progress) => OrderKey::Call(progress.id.clone()),
        Envelope::Log(log) => match &log.id {
            Some(id) => OrderKey::Call(id.clone()),
            None => OrderKey::Kind(0),
        },
        Envelope::Pong(_) => OrderKey::All,
        Envelope::Accepted(id) => OrderKey::Call(id.clone()),
        Envelope::Items(items) => OrderKey::Call(items.id.clone()),
        Envelope::InputEnd(end) => OrderKey::Call(end.id.clone()),
        Envelope::Credit(credit) => OrderKey::Call(credit.id.clone()),
        Envelope::Stop(stop) => OrderKey::Call(stop.id.clone()),
        Envelope::Notification(notification) if notification.name.service == CALLBACK_SERVICE => {
            CALLBACKS
        }
        Envelope::Notification(_) => OrderKey::Kind(1),
        Envelope::Event(_) => OrderKey::Kind(2),
        _ => return None,
    })
}

fn cbor_chunk(number: u64, total: Option<usize>, len: usize, out: &mut Vec<u8>) {
    write::chunk(FormatId::Cbor, number, total, len, out);
}

fn msgpack_chunk(number: u64, total: Option<usize>, len: usize, out: &mut Vec<u8>) {
    write::chunk(FormatId::MessagePack, number, total, len, out);
}

fn json_chunk(number: u64, total: Option<usize>, len: usize, out: &mut Vec<u8>) {
    write::chunk(FormatId::Json, number, total, len, out);
}
