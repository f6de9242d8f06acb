use super::*;
use futures::{SinkExt as _, StreamExt as _, executor::block_on};
use mynah_protocol::{Envelope, Event, FormatId, Limits, Outbound, Payload, TransportErrorKind};

fn event(bytes: usize) -> Outbound {
    Outbound::Send(Envelope::Event(Event {
        topic: "t".into(),
        message: Payload::owned(FormatId::Cbor, vec![0; bytes].into()),
    }))
}

#[test]
fn envelopes_arrive_in_order_and_the_end_is_seen() {
    block_on(async {
        let (mut one, mut two) = pair();
        for number in 0..10 {
            one.send(Outbound::Send(Envelope::Ping(number)))
                .await
                .unwrap();
        }
        for number in 0..10 {
            assert_eq!(
                two.next().await.unwrap().unwrap().envelope,
                Envelope::Ping(number)
            );
        }
        drop(one);
        assert!(two.next().await.is_none());
        assert!(two.send(Outbound::Send(Envelope::Ping(0))).await.is_err());
    });
}

#[test]
fn room_is_bounded() {
    block_on(async {
        let (mut one, mut two) = pair_with(&MemoryOptions::default().with_capacity(2));
        one.feed(event(1)).await.unwrap();
        one.feed(event(1)).await.unwrap();
        let third = one.feed(event(1));
        assert!(futures::poll!(Box::pin(third)).is_pending());
        two.next().await.unwrap().unwrap();
        one.feed(event(1)).await.unwrap();
    });
}

#[test]
fn m1_the_size_of_a_message_is_limited() {
    block_on(async {
        let limits = Limits::new().with_max_message_bytes(100);
        let (mut one, _two) = pair_with(&MemoryOptions::default().with_limits(limits));
        one.send(event(100)).await.unwrap();
        let error = one.send(event(101)).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::TooLarge);
    });
}
