//! What a carrier knows of requests on their way.

use super::*;
use mynah_protocol::{DeliveryReport, DeliveryStatus, Undelivered};
use recorder::End;

fn report(id: mynah_protocol::CallId, status: DeliveryStatus) -> Envelope<'static> {
    let id = id.into();
    Envelope::Delivery(DeliveryReport { id, status })
}

#[test]
fn what_the_carrier_knows_is_told_while_the_call_waits() {
    let mut one = connection(&Limits::new());
    let id = opens(&mut one, START, Some(ms(10)), 7);
    for status in [DeliveryStatus::Waits, DeliveryStatus::Doubtful] {
        let told = Seen::Delivery(7, status);
        assert_eq!(arrives(&mut one, START, report(id, status)), [told]);
    }
    let over = passes(&mut one, at(10));
    assert!(over.contains(&Seen::Ended(7, End::Deadline)), "{over:?}");
    // What is known later means nothing.
    let late = report(id, DeliveryStatus::Failed(Undelivered::Busy));
    assert_eq!(arrives(&mut one, at(11), late), []);
}

#[test]
fn a_call_that_the_carrier_gives_up_ends_once_and_a_late_answer_is_forgiven() {
    let mut one = connection(&Limits::new());
    let id = opens(&mut one, START, None, 7);
    let gone = DeliveryStatus::Failed(Undelivered::PeerGone);
    let ended = Seen::Ended(7, End::Undelivered(Undelivered::PeerGone));
    assert_eq!(arrives(&mut one, START, report(id, gone)), [ended]);
    assert_eq!(arrives(&mut one, START, report(id, gone)), [], "once");
    assert_eq!(one.calls_waiting(), 0);
    one.take(id);
    // It was not as gone as it seemed, and is not charged for it.
    assert_eq!(arrives(&mut one, START, reply(id.into(), 1)), []);
    assert_empty(&one);
}
