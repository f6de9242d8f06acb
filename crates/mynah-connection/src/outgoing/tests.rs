use super::*;

#[test]
fn generations_wrap_around_past_zero() {
    let mut table = Outgoing::<()>::new(1);
    let (first, ()) = table.open(Moment::NEVER, None).expect("room");
    assert_eq!(first.value(), 1 << SLOT_BITS);
    table.release(first);
    table.slots[0].generation = MAX_GENERATION - 1;
    let (last, ()) = table.open(Moment::NEVER, None).expect("room");
    assert_eq!(last.value() >> SLOT_BITS, MAX_GENERATION);
    assert!(last.value() <= CallId::MAX);
    table.release(last);
    let (wrapped, ()) = table.open(Moment::NEVER, None).expect("room");
    assert_eq!(
        wrapped, first,
        "0 is left out, and the first id comes again"
    );
    assert_eq!(
        table.known(last),
        Known::Never,
        "the call before is forgotten"
    );
    assert_eq!(table.known(wrapped), Known::Waiting(0));
}

#[test]
fn the_last_slot_has_ids_of_its_own() {
    let mut table = Outgoing::<()>::new(u32::MAX);
    let mut last = None;
    while let Some((id, ())) = table.open(Moment::NEVER, None) {
        last = Some(id);
    }
    let last = last.expect("some");
    assert_eq!(last.value(), 1 << SLOT_BITS | SLOT_MASK);
    assert_eq!(table.waiting(), 1 << SLOT_BITS);
    table.release(last);
    let (again, ()) = table
        .open(Moment::NEVER, None)
        .expect("the slot that became free");
    assert_eq!(again.value(), 2 << SLOT_BITS | SLOT_MASK);
    assert_eq!(table.known(last), Known::Over);
}

#[test]
fn what_an_id_stands_for() {
    let mut table = Outgoing::<()>::new(4);
    let id =
        |generation: u64, slot: u64| CallId::new(generation << SLOT_BITS | slot).expect("small");
    assert_eq!(table.known(id(1, 0)), Known::Never, "no slot yet");
    let (call, ()) = table.open(Moment::NEVER, None).expect("room");
    assert_eq!(table.known(call), Known::Waiting(0));
    assert_eq!(table.known(id(0, 0)), Known::Never);
    assert_eq!(table.known(id(2, 0)), Known::Never, "not given yet");
    assert_eq!(table.known(id(1, 1)), Known::Never);
    assert!(table.end(0).is_some());
    assert_eq!(table.known(call), Known::Over);
    assert!(table.give_up(call).is_none(), "it has ended");
    assert!(table.release(call).is_some());
    assert!(table.release(call).is_none());
    assert_eq!(table.known(call), Known::Over);
    assert_eq!(table.in_use(), 0);
}
