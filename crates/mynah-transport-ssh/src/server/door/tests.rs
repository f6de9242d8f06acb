use super::*;
use std::pin::pin;
use std::task::{Context, Waker};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn is_evicted(place: &Place) -> bool {
    let evicted = place.evicted();
    let notified = pin!(evicted.notified());
    notified
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn whoever_holds_most_places_loses_its_oldest() {
    let door = Door::new(4, 10);
    let one = door.enter(address("10.0.0.1"));
    let flood: Vec<_> = (0..3).map(|_| door.enter(address("10.0.0.2"))).collect();
    assert_eq!(door.counts(), (4, 0));
    let more: Vec<_> = (0..100).map(|_| door.enter(address("10.0.0.2"))).collect();
    assert_eq!(door.counts(), (4, 0));
    assert!(flood.iter().all(is_evicted) && more[..97].iter().all(is_evicted));
    assert!(!is_evicted(&one) && !more[97..].iter().any(is_evicted));
    let newcomer = door.enter(address("10.0.0.3"));
    assert!(!is_evicted(&one) && !is_evicted(&newcomer));
    drop((flood, more, one, newcomer));
    assert_eq!(door.counts(), (0, 0));
}

#[test]
fn addresses_of_one_network_are_one_source() {
    let door = Door::new(3, 10);
    let victim = door.enter(address("2001:db8:1::1"));
    let site: Vec<_> = (0..5)
        .map(|number| door.enter(address(&format!("2001:db8:2:3:{number}::1"))))
        .collect();
    assert!(!is_evicted(&victim));
    assert_eq!(site.iter().filter(|place| is_evicted(place)).count(), 3);
    let mapped = [door.enter(address("::ffff:10.0.0.1"))];
    assert_eq!(source(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    drop(mapped);
}

#[test]
fn those_inside_are_counted_and_stay() {
    let door = Door::new(2, 2);
    let mut places: Vec<_> = (0..2).map(|_| door.enter(address("10.0.0.1"))).collect();
    assert!(places.iter_mut().all(Place::go_in));
    assert!(places[0].go_in(), "twice is once");
    assert_eq!(door.counts(), (0, 2));
    let mut third = door.enter(address("10.0.0.2"));
    assert!(!third.go_in());
    drop(places.pop());
    assert!(third.go_in());
    let mut evicted = door.enter(address("10.0.0.3"));
    let others: Vec<_> = (0..2).map(|_| door.enter(address("10.0.0.3"))).collect();
    drop(places);
    assert!(!evicted.go_in(), "it had to go");
    drop((evicted, others, third));
    assert_eq!(door.counts(), (0, 0));
}
