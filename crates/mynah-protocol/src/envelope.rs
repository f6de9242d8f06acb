//! The messages: the union of what all wires can say.

use crate::{
    CallId, Credit, DeliveryReport, Hello, InputEnd, Items, Metadata, MethodName, Payload,
    RpcError, Stop, Streams, Value, WireId,
};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::time::Duration;

/// Which lane an envelope takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// In order with everything else.
    Data,
    /// Overtakes data that has not left, at frame boundaries only: busy, pong, going-away, cancel of a
    /// request that has left.
    Control,
}

/// One decoded protocol message.
///
/// A dialect maps envelopes to bytes and back, and says in its [`Profile`](crate::Profile) which
/// kinds it can carry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Envelope<'a> {
    /// A call that wants an answer.
    Request(Request<'a>),
    /// The answer to a call.
    Response(Response<'a>),
    /// A call that wants no answer.
    Notification(Notification<'a>),
    /// The caller wants a call to stop.
    Cancel(Cancel),
    /// How far a call is.
    Progress(Progress<'a>),
    /// A line of log beside a call, or of the whole connection.
    Log(Log<'a>),
    /// An event by topic.
    Event(Event<'a>),
    /// What a side can do and bounds, said once at the start.
    Hello(Hello<'a>),
    /// Is anybody there?
    Ping(u64),
    /// The answer to a ping, with its number.
    Pong(u64),
    /// This side takes nothing new.
    GoingAway(GoingAway<'a>),
    /// A call has been taken on; its answer follows when there is one.
    Accepted(WireId),
    /// Items of a stream of a call.
    Items(Items<'a>),
    /// An input stream of a call has ended.
    InputEnd(InputEnd),
    /// The receiver of a stream takes more.
    Credit(Credit),
    /// The receiver of an input stream takes no more of it.
    Stop(Stop),
    /// What the carrier knows of a request that its peer has not answered. No wire says it, and no peer can.
    Delivery(DeliveryReport),
    /// What a carrier heard from the peer that has a call of this side. No wire says it, and no peer can.
    Within(Box<Within<'a>>),
}

/// What belongs to one call of this side, where a carrier has several peers behind it.
///
/// A breach of the rules in it ends that call and nothing else. It may call the functions that went with the call, and no
/// others.
#[derive(Clone, Debug, PartialEq)]
pub struct Within<'a> {
    /// The call, by the id that this side gave it.
    pub call: WireId,
    /// What was said.
    pub envelope: Envelope<'a>,
}

/// A call that wants an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// The id that the caller chose.
    pub id: WireId,
    /// What is called.
    pub name: MethodName<'a>,
    /// The time that is left for the call; `None`: no deadline, or none that the wire carries.
    pub timeout: Option<Duration>,
    /// What travels beside the params.
    pub metadata: Metadata,
    /// The streams that belong to the call.
    pub streams: Streams,
    /// The params, encoded as the dialect's [`ParamsShape`](crate::ParamsShape) says.
    pub params: Payload<'a>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Response<'a> {
    /// The id of the call, as its caller wrote it.
    pub id: WireId,
    /// The encoded result, or the error.
    pub result: Result<Payload<'a>, Box<RpcError>>,
}

/// A call that wants no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification<'a> {
    /// What is called.
    pub name: MethodName<'a>,
    /// An id, on wires where notifications have one (cbor-rpc: a fire can be cancelled).
    pub id: Option<WireId>,
    /// What travels beside the params.
    pub metadata: Metadata,
    /// The params.
    pub params: Payload<'a>,
}

/// Why a caller wants a call to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller cancelled or dropped it.
    Caller,
    /// Its deadline passed at the caller.
    Deadline,
}

/// The caller wants a call to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancel {
    /// The id of the call.
    pub id: WireId,
    /// Why.
    pub reason: CancelReason,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// The call.
    pub id: WireId,
    /// The value: any shape that the two programs agree on.
    pub value: Payload<'a>,
    /// A note beside it; absent on the wire as null.
    pub note: Option<Payload<'a>>,
}

/// A line of log.
#[derive(Clone, Debug, PartialEq)]
pub struct Log<'a> {
    /// The call it belongs to; `None`: the whole connection.
    pub id: Option<WireId>,
    /// The level: 1 critical, 2 warning, 3 info, 4 verbose, 5 debug; a peer may send any other number.
    pub level: i64,
    /// How many lines before it were dropped because the peer was too slow.
    pub dropped: u64,
    /// The content: any shape.
    pub content: Payload<'a>,
}

/// An event by topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The message.
    pub message: Payload<'a>,
}

/// This side takes nothing new; what is in flight goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct GoingAway<'a> {
    /// Why; a code of scope connection, or [`ErrorCode::DRAINING`](crate::ErrorCode::DRAINING).
    pub code: crate::ErrorCode,
    /// A text for people.
    pub message: Cow<'a, str>,
}

impl<'a> From<Request<'a>> for Envelope<'a> {
    fn from(request: Request<'a>) -> Self {
        Self::Request(request)
    }
}

impl<'a> From<Notification<'a>> for Envelope<'a> {
    fn from(notification: Notification<'a>) -> Self {
        Self::Notification(notification)
    }
}

impl Envelope<'_> {
    /// The same envelope with buffers of its own.
    #[must_use]
    pub fn into_owned(self) -> Envelope<'static> {
        match self {
            Self::Request(request) => Envelope::Request(Request {
                id: request.id,
                name: request.name.into_owned(),
                timeout: request.timeout,
                metadata: request.metadata,
                streams: request.streams,
                params: request.params.into_owned(),
            }),
            Self::Response(response) => Envelope::Response(Response {
                id: response.id,
                result: response.result.map(Payload::into_owned),
            }),
            Self::Notification(notification) => Envelope::Notification(Notification {
                name: notification.name.into_owned(),
                id: notification.id,
                metadata: notification.metadata,
                params: notification.params.into_owned(),
            }),
            Self::Cancel(cancel) => Envelope::Cancel(cancel),
            Self::Progress(progress) => Envelope::Progress(Progress {
                id: progress.id,
                value: progress.value.into_owned(),
                note: progress.note.map(Payload::into_owned),
            }),
            Self::Log(log) => Envelope::Log(Log {
                id: log.id,
                level: log.level,
                dropped: log.dropped,
                content: log.content.into_owned(),
            }),
            Self::Event(event) => Envelope::Event(Event {
                topic: Cow::Owned(event.topic.into_owned()),
                message: event.message.into_owned(),
            }),
            Self::Hello(hello) => Envelope::Hello(hello.into_owned()),
            Self::Ping(number) => Envelope::Ping(number),
            Self::Pong(number) => Envelope::Pong(number),
            Self::GoingAway(away) => Envelope::GoingAway(GoingAway {
                code: away.code,
                message: Cow::Owned(away.message.into_owned()),
            }),
            Self::Accepted(id) => Envelope::Accepted(id),
            Self::Items(items) => Envelope::Items(Items {
                id: items.id,
                stream: items.stream,
                count: items.count,
                batch: items.batch.into_owned(),
            }),
            Self::InputEnd(end) => Envelope::InputEnd(end),
            Self::Credit(credit) => Envelope::Credit(credit),
            Self::Stop(stop) => Envelope::Stop(stop),
            Self::Delivery(report) => Envelope::Delivery(report),
            Self::Within(within) => Envelope::Within(Box::new(Within {
                call: within.call,
                envelope: within.envelope.into_owned(),
            })),
        }
    }

    /// Bytes of the payloads in it.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        let len = |payload: &Payload<'_>| payload.len();
        match self {
            Self::Request(request) => len(&request.params),
            Self::Notification(notification) => len(&notification.params),
            Self::Response(response) => response.result.as_ref().map_or(0, len),
            Self::Progress(progress) => {
                len(&progress.value) + progress.note.as_ref().map_or(0, len)
            }
            Self::Log(log) => len(&log.content),
            Self::Event(event) => len(&event.message),
            Self::Items(items) => len(&items.batch),
            Self::Within(within) => within.envelope.payload_bytes(),
            Self::Cancel(_)
            | Self::Hello(_)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::GoingAway(_)
            | Self::Accepted(_)
            | Self::InputEnd(_)
            | Self::Credit(_)
            | Self::Stop(_)
            | Self::Delivery(_) => 0,
        }
    }

    /// The name of the kind, for errors and logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Response(_) => "response",
            Self::Notification(_) => "notification",
            Self::Cancel(_) => "cancel",
            Self::Progress(_) => "progress",
            Self::Log(_) => "log",
            Self::Event(_) => "event",
            Self::Hello(_) => "hello",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::GoingAway(_) => "going-away",
            Self::Accepted(_) => "accepted",
            Self::Items(_) => "items",
            Self::InputEnd(_) => "input-end",
            Self::Credit(_) => "credit",
            Self::Stop(_) => "stop",
            Self::Delivery(_) => "delivery",
            Self::Within(_) => "within a call",
        }
    }
}

impl From<CallId> for Value {
    fn from(id: CallId) -> Self {
        Self::from(id.value())
    }
}
