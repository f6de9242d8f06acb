use super::*;

const fn window(items: u64, bytes: u64) -> Window {
    Window { items, bytes }
}

#[test]
fn a_sender_stops_when_either_credit_is_used_up() {
    let mut sender = Sender::new(window(2, 10));
    sender.take(window(1, 4));
    assert_eq!(sender.left(), Some(window(1, 6)));
    sender.take(window(1, 4));
    assert_eq!(sender.left(), None);
    sender.add(window(5, 0));
    assert_eq!(sender.left(), Some(window(5, 2)));
    sender.take(window(1, 50));
    assert_eq!(sender.left(), None);
    sender.add(window(0, 50));
    assert_eq!(sender.left(), Some(window(4, 2)));
}

#[test]
fn credit_cannot_overflow() {
    let mut sender = Sender::new(window(u64::MAX, u64::MAX));
    sender.add(window(u64::MAX, u64::MAX));
    assert_eq!(sender.left(), Some(window(MAX_CREDIT, MAX_CREDIT)));
}

#[test]
fn a_receiver_refuses_what_it_gave_no_credit_for() {
    let mut receiver = Receiver::granted(window(2, 10));
    assert!(!receiver.arrive(window(3, 3)));
    assert!(receiver.arrive(window(1, 100)));
    assert!(!receiver.arrive(window(1, 1)));
    let mut waiting = Receiver::waiting(Window::ZERO);
    assert!(!waiting.arrive(window(1, 1)));
    assert_eq!(waiting.open(window(1, 1)), Some(window(1, 1)));
    assert_eq!(waiting.open(window(1, 1)), None);
    assert!(waiting.arrive(window(1, 1)));
}

#[test]
fn credit_goes_back_by_halves() {
    let mut receiver = Receiver::granted(window(4, 100));
    assert!(receiver.arrive(window(4, 40)));
    assert_eq!(receiver.take(window(1, 10)), None);
    assert_eq!(receiver.take(window(1, 10)), Some(window(2, 20)));
    assert!(receiver.conserved(window(2, 20)));
    // Bytes alone are enough.
    assert!(receiver.arrive(window(1, 70)));
    assert_eq!(receiver.take(window(1, 70)), Some(window(1, 70)));
    assert!(receiver.stop());
    assert!(!receiver.stop());
    assert_eq!(receiver.take(window(4, 100)), None);
}
