//! Envelopes of every kind.

use crate::failure::{Because as _, Failure, ensure};
use mynah_codec::Format;
use mynah_protocol::{
    Cancel, CancelReason, Capabilities, Credit, Envelope, ErrorCode, Event, FormatId, GoingAway,
    InputEnd, ItemBatch, Items, Log, Metadata, MethodName, Notification, ParamsShape, Payload,
    Profile, Progress, Request, Response, RpcError, Stop, StreamSide, Streams, Value, Window,
    WireId,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

fn bytes<T: Serialize + ?Sized>(id: FormatId, value: &T) -> Result<Vec<u8>, Failure> {
    let format = Format::built_in(id).because("the profile's format is none of Mynah's")?;
    let mut bytes = Vec::new();
    format.encode(value, &mut bytes).because("encode a value")?;
    Ok(bytes)
}

fn payload<T: Serialize + ?Sized>(id: FormatId, value: &T) -> Result<Payload<'static>, Failure> {
    Ok(Payload::owned(id, bytes(id, value)?.into()))
}

/// A plain request with these params.
pub(crate) fn request(id: u64, params: Payload<'static>) -> Request<'static> {
    Request {
        id: WireId::Uint(id),
        name: MethodName::from(("service", "method")),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params,
    }
}

fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("tenant", "blue");
    metadata.insert("note", "\u{e4} \"\\\n");
    metadata
}

/// Two items as a batch.
fn batch(format: FormatId) -> Result<Payload<'static>, Failure> {
    let mut batch = Vec::new();
    for item in ["one", "a second item"] {
        let item = bytes(format, item)?;
        let len = u32::try_from(item.len()).because("an item is short")?;
        batch.extend_from_slice(&len.to_be_bytes());
        batch.extend_from_slice(&item);
    }
    ensure(ItemBatch::count(&batch) == Some(2), || {
        "a batch of two items".to_owned()
    })?;
    Ok(Payload::owned(format, batch.into()))
}

/// Envelopes of every kind but hello, which belongs to the handshake; most kinds more than once.
pub(crate) fn of(profile: &Profile) -> Result<Vec<Envelope<'static>>, Failure> {
    let format = profile.format;
    let mut all = requests(profile)?;
    all.extend(answers(format)?);
    all.extend(beside(format)?);
    all.extend(streams(format)?);
    all.extend([
        Envelope::Cancel(Cancel {
            id: WireId::Uint(3),
            reason: CancelReason::Caller,
        }),
        Envelope::Cancel(Cancel {
            id: WireId::Uint(4),
            reason: CancelReason::Deadline,
        }),
        Envelope::Ping(0),
        Envelope::Ping(1 << 40),
        Envelope::Pong(7),
        Envelope::GoingAway(GoingAway {
            code: ErrorCode::DRAINING,
            message: "back \u{e4}t noon".into(),
        }),
    ]);
    Ok(all)
}

/// Params as the profile has them: an array, or an object with keys of one letter.
pub(crate) fn params<T: Serialize>(
    profile: &Profile,
    elements: &[T],
) -> Result<Payload<'static>, Failure> {
    let format = profile.format;
    if profile.params == ParamsShape::Positional {
        return payload(format, elements);
    }
    let named: BTreeMap<_, _> = ('a'..='z').zip(elements).collect();
    payload(format, &named)
}

fn requests(profile: &Profile) -> Result<Vec<Envelope<'static>>, Failure> {
    let three = Value::Array(vec![3.5.into()]);
    let some = [Value::from(1), Value::from("two"), three];
    let plain = |id| Ok::<_, Failure>(request(id, params(profile, &some)?));
    let key = || params(profile, &["key"]);
    let streams = |window, input| Streams {
        window: Some(window).filter(|window: &Window| !window.is_zero()),
        input,
        callbacks: false,
    };
    let window = Window {
        items: 10,
        bytes: 1 << 20,
    };
    Ok(vec![
        Envelope::Request(plain(0)?),
        Envelope::Request(plain((1 << 53) - 1)?),
        Envelope::Request(request(5, params(profile, &[(); 0])?)),
        Envelope::Request(Request {
            timeout: Some(Duration::from_millis(1_234)),
            ..plain(6)?
        }),
        Envelope::Request(Request {
            metadata: metadata(),
            ..plain(7)?
        }),
        Envelope::Request(Request {
            timeout: Some(Duration::from_secs(5)),
            metadata: metadata(),
            streams: streams(window, true),
            ..plain(8)?
        }),
        Envelope::Request(Request {
            streams: streams(window, false),
            ..plain(9)?
        }),
        Envelope::Request(Request {
            streams: streams(Window::ZERO, true),
            ..plain(10)?
        }),
        Envelope::Notification(Notification {
            name: MethodName::from(("service", "touch")),
            id: None,
            metadata: Metadata::new(),
            params: key()?,
        }),
        Envelope::Notification(Notification {
            name: MethodName::from(("service", "touch")),
            id: None,
            metadata: metadata(),
            params: key()?,
        }),
    ])
}

fn answers(format: FormatId) -> Result<Vec<Envelope<'static>>, Failure> {
    let answer = |id, result| {
        Envelope::Response(Response {
            id: WireId::Uint(id),
            result,
        })
    };
    let error = RpcError::new(ErrorCode::application(7), "it is \"wrong\" \u{1f426}");
    Ok(vec![
        answer(0, Ok(payload(format, "a result")?)),
        answer(1, Ok(payload(format, &())?)),
        answer((1 << 53) - 1, Ok(payload(format, &[1, 2, 3])?)),
        answer(2, Err(Box::new(error.clone()))),
        answer(3, Err(Box::new(error.with_data(7_u64)))),
        answer(4, Err(Box::new(RpcError::from_code(ErrorCode::BUSY)))),
    ])
}

fn beside(format: FormatId) -> Result<Vec<Envelope<'static>>, Failure> {
    Ok(vec![
        Envelope::Progress(Progress {
            id: WireId::Uint(3),
            value: payload(format, &0.5)?,
            note: None,
        }),
        Envelope::Progress(Progress {
            id: WireId::Uint(3),
            value: payload(format, &50)?,
            note: Some(payload(format, "half")?),
        }),
        Envelope::Log(Log {
            id: Some(WireId::Uint(3)),
            level: 3,
            dropped: 0,
            content: payload(format, "a line")?,
        }),
        Envelope::Log(Log {
            id: None,
            level: 5,
            dropped: 12,
            content: payload(format, &["many", "words"])?,
        }),
        Envelope::Event(Event {
            topic: "to\u{e4}pic".into(),
            message: payload(format, &[1, 2])?,
        }),
    ])
}

fn streams(format: FormatId) -> Result<Vec<Envelope<'static>>, Failure> {
    let id = || WireId::Uint(9);
    let items = |stream| {
        Ok::<_, Failure>(Envelope::Items(Items {
            id: id(),
            stream,
            count: 2,
            batch: batch(format)?,
        }))
    };
    let credit = |stream, items, bytes| {
        Envelope::Credit(Credit {
            id: id(),
            stream,
            more: Window { items, bytes },
        })
    };
    let error = RpcError::new(ErrorCode::application(9), "the source dried up");
    Ok(vec![
        Envelope::Accepted(id()),
        items(StreamSide::Result)?,
        items(StreamSide::Input)?,
        Envelope::InputEnd(InputEnd {
            id: id(),
            error: None,
        }),
        Envelope::InputEnd(InputEnd {
            id: id(),
            error: Some(Box::new(error)),
        }),
        credit(StreamSide::Result, 5, 0),
        credit(StreamSide::Input, 0, 1 << 20),
        Envelope::Stop(Stop { id: id() }),
    ])
}

/// Whether a wire with these capabilities carries an envelope.
pub(crate) fn carries(can: &Capabilities, envelope: &Envelope<'_>) -> bool {
    match envelope {
        Envelope::Request(request) => {
            (request.streams.is_none() || can.streams)
                && (request.metadata.is_empty() || can.metadata)
        }
        Envelope::Notification(notification) => {
            can.notifications && (notification.metadata.is_empty() || can.metadata)
        }
        Envelope::Cancel(_) => can.cancel,
        Envelope::Progress(_) | Envelope::Log(_) => can.side_messages,
        Envelope::Event(_) => can.events,
        Envelope::Ping(_) | Envelope::Pong(_) => can.ping,
        Envelope::GoingAway(_) => can.going_away,
        Envelope::Accepted(_)
        | Envelope::Items(_)
        | Envelope::InputEnd(_)
        | Envelope::Credit(_)
        | Envelope::Stop(_) => can.streams,
        _ => true,
    }
}

/// Holds what arrived against what was sent, as far as the profile says that it is carried.
pub(crate) fn same(
    profile: &Profile,
    sent: &Envelope<'_>,
    got: &Envelope<'_>,
) -> Result<(), Failure> {
    let expected = expected(profile, sent, got);
    ensure(expected == *got, || {
        let kind = sent.kind();
        format!("a {kind} was sent as {sent:?}, and arrived as {got:?}")
    })
}

/// What was sent, less what the wire has no word for.
fn expected<'a>(profile: &Profile, sent: &Envelope<'a>, got: &Envelope<'_>) -> Envelope<'a> {
    let can = &profile.capabilities;
    let mut expected = sent.clone();
    match (&mut expected, got) {
        (Envelope::Request(request), Envelope::Request(got)) => {
            if !can.deadline {
                request.timeout = None;
            }
            request.name = expected_name(can, &request.name, &got.name);
        }
        (Envelope::Notification(notification), Envelope::Notification(got)) => {
            notification.name = expected_name(can, &notification.name, &got.name);
            // Some wires give each an id.
            if notification.id.is_none() {
                notification.id.clone_from(&got.id);
            }
        }
        (
            Envelope::Response(Response {
                result: Err(error), ..
            }),
            Envelope::Response(Response {
                result: Err(got), ..
            }),
        ) if !can.error_codes && error.message() == got.message() => {
            error.clone_from(got);
        }
        (Envelope::Cancel(cancel), Envelope::Cancel(got)) if !can.deadline => {
            cancel.reason = got.reason;
        }
        (Envelope::Log(log), Envelope::Log(got)) => {
            if log.id.is_none() && got.id == Some(WireId::Uint(0)) {
                log.id = Some(WireId::Uint(0));
            }
            if got.dropped == 0 && !can.streams {
                log.dropped = 0;
            }
        }
        _ => {}
    }
    expected
}

/// Without services, a method has one flat name: its own, or both with a dot.
fn expected_name(
    can: &Capabilities,
    sent: &MethodName<'_>,
    got: &MethodName<'_>,
) -> MethodName<'static> {
    let flat = got.service.is_empty()
        && (got.method == sent.method
            || *got.method == format!("{}.{}", sent.service, sent.method));
    if !can.services && flat {
        return got.clone().into_owned();
    }
    sent.clone().into_owned()
}
