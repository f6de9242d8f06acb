//! What a connection asks of whoever drives it.

use crate::InboundKey;
use mynah_protocol::{
    CallId, Cancel, CancelReason, DeliveryStatus, Envelope, Event, Hello, Items, Lane, Log, Moment,
    Notification, Payload, Progress, Request, RpcError, Undelivered,
};

/// How a call that this side made ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// The peer answered with a result.
    Reply(Payload<'a>),
    /// The peer answered with an error.
    Error(Box<RpcError>),
    /// The deadline passed here.
    Deadline,
    /// The connection ended before an answer came. Whether the request had left is for the driver
    /// to know.
    Lost,
    /// The carrier ended the call, while the connection goes on.
    Undelivered(Undelivered),
}

/// What the peer says beside a call, before its end.
#[derive(Clone, Debug, PartialEq)]
pub enum SideMessage<'a> {
    /// How far the call is.
    Progress(Progress<'a>),
    /// A line of log.
    Log(Log<'a>),
}

/// What the peer says that belongs to no call.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<'a> {
    /// An event.
    Event(Event<'a>),
    /// A line of log.
    Log(Log<'a>),
}

/// What a connection asks of its driver while it handles something.
///
/// Called while the driver holds its lock: an implementation stores, appends and collects wakers;
/// it runs no code of the user.
pub trait Effects<O, I> {
    /// Say this to the peer.
    fn send(&mut self, lane: Lane, envelope: Envelope<'_>);

    /// A call of ours ended. Called exactly once for each call that was opened and not cancelled.
    fn complete(&mut self, slot: &mut O, outcome: Outcome<'_>);

    /// The carrier knows something new of the request of a call that has not ended.
    fn delivery(&mut self, slot: &mut O, status: DeliveryStatus) {
        let _ = (slot, status);
    }

    /// The peer said something beside a call of ours that has not ended.
    fn side(&mut self, slot: &mut O, message: SideMessage<'_>);

    /// A call of ours is over for us: take its request back if it has not left, else send this.
    fn withdraw(&mut self, slot: &mut O, cancel: Cancel);

    /// The peer calls. Start the handler; answer with [`Connection::finish`](crate::Connection::finish).
    /// `deadline`: what the peer asks for, cut to what this side allows; [`Moment::NEVER`] if neither.
    fn request(&mut self, key: InboundKey, slot: &mut I, deadline: Moment, request: Request<'_>);

    /// The peer notifies. Start the handler; end with [`Connection::finish`](crate::Connection::finish).
    /// `deadline`: what this side allows.
    fn notification(
        &mut self,
        key: InboundKey,
        slot: &mut I,
        deadline: Moment,
        notification: Notification<'_>,
    );

    /// A call of the peer should stop. The driver still answers it (nobody may be listening).
    fn cancelled(&mut self, key: InboundKey, slot: &mut I, reason: CancelReason);

    /// The peer has taken on a call of ours with streams. Called once for each.
    fn accepted(&mut self, slot: &mut O);

    /// Items of the result stream of a call of ours that has not ended.
    fn items(&mut self, slot: &mut O, items: Items<'_>);

    /// The peer takes more of the input stream of a call of ours.
    fn input_credit(&mut self, id: CallId, slot: &mut O);

    /// The peer takes no more of the input stream of a call of ours.
    fn input_stopped(&mut self, id: CallId, slot: &mut O);

    /// Items of the input stream of a call of the peer.
    fn input(&mut self, key: InboundKey, slot: &mut I, items: Items<'_>);

    /// The input stream of a call of the peer has ended, maybe before the handler asked for it.
    fn input_end(&mut self, key: InboundKey, slot: &mut I, error: Option<Box<RpcError>>);

    /// The peer takes more of the result stream of its call.
    fn credit(&mut self, key: InboundKey, slot: &mut I);

    /// The peer said something that belongs to no call. Returns it when a handler of the program is to hear it.
    fn said<'m>(&mut self, said: Said<'m>) -> Option<Said<'m>>;

    /// Start the handler of what [`Self::said`] returned; it is a notification in every other respect.
    fn hear(&mut self, key: InboundKey, slot: &mut I, deadline: Moment, said: Said<'_>);

    /// The peer has introduced itself: what it takes is known.
    fn met(&mut self, hello: &Hello<'_>) {
        let _ = hello;
    }

    /// The peer is going away: it takes no more calls.
    fn going_away(&mut self) {}
}
