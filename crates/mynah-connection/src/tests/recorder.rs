//! Writes down what a connection asks for.

use super::number;
use crate::{Effects, InboundKey, Outcome, Said, SideMessage};
use mynah_protocol::{
    CallId, Cancel, CancelReason, DeliveryStatus, Envelope, ErrorCode, Items, Lane, Moment,
    Notification, Request, RpcError, StreamSide, Undelivered, Window, WireId,
};

/// One thing that a connection asked for. Slots are told apart by the number that the test keeps in
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Pong(u64),
    /// A pong that goes behind what was said before.
    PongBehind(u64),
    Ping(u64),
    GoingAway,
    /// A call of the peer was refused.
    Refused(WireId, ErrorCode),
    /// A call of ours ended.
    Ended(u64, End),
    /// The carrier knows something new of a call of ours.
    Delivery(u64, DeliveryStatus),
    /// A side message of a call of ours.
    Side(u64),
    Withdrawn(u64, Order),
    /// A call or notification of the peer is to be started.
    Start(InboundKey, u64),
    Stop(InboundKey, CancelReason),
    Event,
    Log,
    /// The peer has taken on a call of ours.
    Accepted(u64),
    /// Items of the results of a call of ours.
    Items(u64, u64),
    InputCredit(u64),
    InputStopped(u64),
    /// Items of the input of a call of the peer.
    Input(InboundKey, u64),
    /// The input of a call of the peer has ended; whether in order.
    InputEnd(InboundKey, bool),
    ResultCredit(InboundKey),
    /// Credit that was sent.
    Credit(WireId, StreamSide, Window),
    /// A stop of an input that was sent.
    StopInput(WireId),
    /// A cancel that was sent by the connection itself.
    Cancelled(WireId),
}

/// A cancel that is to be sent, if the request cannot be taken back.
pub(super) type Order = (WireId, CancelReason);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Reply(u64),
    Error(ErrorCode),
    Deadline,
    Lost,
    Undelivered(Undelivered),
}

#[derive(Debug, Default)]
pub(super) struct Recorder(Vec<Seen>);

impl Recorder {
    pub(super) fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.0)
    }
}

impl Effects<u64, u64> for Recorder {
    fn send(&mut self, lane: Lane, envelope: Envelope<'_>) {
        if let (Lane::Data, Envelope::Pong(number)) = (lane, &envelope) {
            self.0.push(Seen::PongBehind(*number));
            return;
        }
        assert_eq!(
            lane,
            Lane::Control,
            "the connection says only control itself"
        );
        self.0.push(match envelope {
            Envelope::Pong(number) => Seen::Pong(number),
            Envelope::Ping(number) => Seen::Ping(number),
            Envelope::GoingAway(_) => Seen::GoingAway,
            Envelope::Response(response) => {
                let code = response.result.expect_err("refusals are errors").code();
                Seen::Refused(response.id, code)
            }
            Envelope::Credit(credit) => Seen::Credit(credit.id, credit.stream, credit.more),
            Envelope::Stop(stop) => Seen::StopInput(stop.id),
            Envelope::Cancel(cancel) => Seen::Cancelled(cancel.id),
            other => panic!("sends {}", other.kind()),
        });
    }

    fn complete(&mut self, slot: &mut u64, outcome: Outcome<'_>) {
        let end = match outcome {
            Outcome::Reply(payload) => End::Reply(number(&payload)),
            Outcome::Error(error) => End::Error(error.code()),
            Outcome::Deadline => End::Deadline,
            Outcome::Lost => End::Lost,
            Outcome::Undelivered(why) => End::Undelivered(why),
        };
        self.0.push(Seen::Ended(*slot, end));
    }

    fn delivery(&mut self, slot: &mut u64, status: DeliveryStatus) {
        self.0.push(Seen::Delivery(*slot, status));
    }

    fn side(&mut self, slot: &mut u64, _: SideMessage<'_>) {
        self.0.push(Seen::Side(*slot));
    }

    fn withdraw(&mut self, slot: &mut u64, cancel: Cancel) {
        self.0
            .push(Seen::Withdrawn(*slot, (cancel.id, cancel.reason)));
    }

    fn request(&mut self, key: InboundKey, slot: &mut u64, _: Moment, request: Request<'_>) {
        *slot = number(&request.params);
        self.0.push(Seen::Start(key, *slot));
    }

    fn notification(
        &mut self,
        key: InboundKey,
        slot: &mut u64,
        _: Moment,
        notification: Notification<'_>,
    ) {
        *slot = number(&notification.params);
        self.0.push(Seen::Start(key, *slot));
    }

    fn cancelled(&mut self, key: InboundKey, _: &mut u64, reason: CancelReason) {
        self.0.push(Seen::Stop(key, reason));
    }

    fn accepted(&mut self, slot: &mut u64) {
        self.0.push(Seen::Accepted(*slot));
    }

    fn items(&mut self, slot: &mut u64, items: Items<'_>) {
        self.0.push(Seen::Items(*slot, items.count));
    }

    fn input_credit(&mut self, _: CallId, slot: &mut u64) {
        self.0.push(Seen::InputCredit(*slot));
    }

    fn input_stopped(&mut self, _: CallId, slot: &mut u64) {
        self.0.push(Seen::InputStopped(*slot));
    }

    fn input(&mut self, key: InboundKey, _: &mut u64, items: Items<'_>) {
        self.0.push(Seen::Input(key, items.count));
    }

    fn input_end(&mut self, key: InboundKey, _: &mut u64, error: Option<Box<RpcError>>) {
        self.0.push(Seen::InputEnd(key, error.is_none()));
    }

    fn credit(&mut self, key: InboundKey, _: &mut u64) {
        self.0.push(Seen::ResultCredit(key));
    }

    fn said<'m>(&mut self, said: Said<'m>) -> Option<Said<'m>> {
        self.0.push(match said {
            Said::Event(_) => Seen::Event,
            Said::Log(_) => Seen::Log,
        });
        // A handler waits for the topic "handled" and for lines of level 1.
        match &said {
            Said::Event(event) if event.topic == "handled" => Some(said),
            Said::Log(log) if log.level == 1 => Some(said),
            _ => None,
        }
    }

    fn hear(&mut self, key: InboundKey, slot: &mut u64, _: Moment, said: Said<'_>) {
        *slot = match said {
            Said::Event(event) => number(&event.message),
            Said::Log(log) => number(&log.content),
        };
        self.0.push(Seen::Start(key, *slot));
    }
}
