//! Messages to envelopes.

use super::element::Element;
use super::fault;
use mynah_protocol::{
    Cancel, CancelReason, DecodeLimits, Envelope, Event, Log, Metadata, MethodName, NameError,
    Notification, Progress, Request, Response, Streams, WireId,
};

/// The most bytes of an id that is no integer: it is kept until its call has ended.
pub(super) const MAX_ID_BYTES: usize = 1024;

/// The level of a log whose level is no integer: info.
const LEVEL_OF_OTHERS: i64 = 3;

/// What a message says.
#[derive(Debug)]
pub(super) enum Meaning<'b> {
    Envelope(Envelope<'b>),
    /// Nothing that this side knows.
    Nothing,
    /// A call that cannot be handed on: its caller waits for an answer and gets this text.
    Refused(WireId, &'static str),
}

/// Reads the elements of one top-level array. `elements` holds all of them, at most 5.
#[inline]
pub(super) fn message<'b>(
    elements: &[Element<'b>],
    max_name_bytes: usize,
    limits: &DecodeLimits,
) -> Meaning<'b> {
    // Every message is `[protocol, sub, ...]`; lengths are exact.
    let envelope = match *elements {
        [protocol, sub, id, third, fourth] => match (protocol.uint(), sub.uint()) {
            (Some(1), Some(sub @ (0 | 1))) => {
                return call(sub == 0, [id, third, fourth], max_name_bytes, limits);
            }
            (Some(1), Some(2)) => known_id(id, limits).map(|id| {
                let result = if third.is_true() {
                    Ok(fourth.payload())
                } else {
                    Err(Box::new(fault::read(fourth, limits)))
                };
                Envelope::Response(Response { id, result })
            }),
            (Some(2), Some(0)) => known_id(id, limits).map(|id| {
                // Calls of this side never have the id 0, so 0 is the connection, as null is.
                let id = if matches!(id, WireId::Uint(0) | WireId::Null) {
                    None
                } else {
                    Some(id)
                };
                let level = third.int().unwrap_or(LEVEL_OF_OTHERS);
                Envelope::Log(Log {
                    id,
                    level,
                    dropped: 0,
                    content: fourth.payload(),
                })
            }),
            (Some(2), Some(1)) => known_id(id, limits).map(|id| {
                let note = if fourth.is_null() {
                    None
                } else {
                    Some(fourth.payload())
                };
                Envelope::Progress(Progress {
                    id,
                    value: third.payload(),
                    note,
                })
            }),
            _ => None,
        },
        [protocol, sub, id] if protocol.uint() == Some(1) && sub.uint() == Some(3) => {
            known_id(id, limits).map(|id| {
                Envelope::Cancel(Cancel {
                    id,
                    reason: CancelReason::Caller,
                })
            })
        }
        // The real peer does not look at the second element of an event.
        [protocol, _, topic, message] if protocol.uint() == Some(3) => {
            topic.text(limits).map(|topic| {
                Envelope::Event(Event {
                    topic,
                    message: message.payload(),
                })
            })
        }
        _ => None,
    };
    envelope.map_or(Meaning::Nothing, Meaning::Envelope)
}

/// A call or, without `reply`, a fire.
#[inline]
fn call<'b>(
    reply: bool,
    [id, method, params]: [Element<'b>; 3],
    max_name_bytes: usize,
    limits: &DecodeLimits,
) -> Meaning<'b> {
    let Some(id) = known_id(id, limits) else {
        return Meaning::Nothing;
    };
    let why = match method.text(limits) {
        None => "method name is no text",
        Some(method) => {
            let name = MethodName {
                service: "".into(),
                method,
            };
            match name.check(max_name_bytes) {
                Ok(()) => {
                    let (metadata, params) = (Metadata::new(), params.payload());
                    return Meaning::Envelope(if reply {
                        Envelope::Request(Request {
                            streams: Streams::NONE,
                            id,
                            name,
                            timeout: None,
                            metadata,
                            params,
                        })
                    } else {
                        Envelope::Notification(Notification {
                            name,
                            id: Some(id),
                            metadata,
                            params,
                        })
                    });
                }
                Err(NameError::TooLong { .. }) => "method name is too long",
                Err(_) => "method name is empty",
            }
        }
    };
    if reply {
        Meaning::Refused(id, why)
    } else {
        Meaning::Nothing
    }
}

/// An id of a size that can be kept.
#[inline]
fn known_id(element: Element<'_>, limits: &DecodeLimits) -> Option<WireId> {
    (element.bytes().len() <= MAX_ID_BYTES).then(|| element.id(limits))
}
