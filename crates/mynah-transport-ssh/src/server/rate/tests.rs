use super::*;
use std::net::Ipv4Addr;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn each_source_has_a_share_that_grows_again() {
    let mut rate = Rate::new(6);
    let start = Instant::now();
    let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
    for _ in 0..6 {
        assert!(rate.admits(one, start));
    }
    // One that is refused costs nothing, however often it comes.
    for _ in 0..100 {
        assert!(!rate.admits(one, start));
    }
    assert!(rate.admits(other, start));
    assert!(!rate.admits(one, start + Duration::from_millis(9_999)));
    assert!(rate.admits(one, start + Duration::from_secs(10)));
    assert!(!rate.admits(one, start + Duration::from_secs(10)));
    // Nobody saves more than a minute's share.
    let later = start + Duration::from_secs(10_000);
    let admitted = (0..100).filter(|_| rate.admits(one, later)).count();
    assert_eq!(admitted, 6);
}

#[test]
fn a_network_of_many_addresses_is_one_source() {
    let mut rate = Rate::new(2);
    let now = Instant::now();
    let site = |number: u32| address(&format!("2001:db8:1:2:{number:x}::1"));
    let admitted = (0..100).filter(|number| rate.admits(site(*number), now));
    assert_eq!(admitted.count(), 2);
    assert!(rate.admits(address("2001:db8:1:3::1"), now));
    assert!(rate.admits(address("::ffff:10.0.0.1"), now));
    assert!(rate.admits(address("10.0.0.1"), now));
    assert!(!rate.admits(address("10.0.0.1"), now));
}

#[test]
fn many_sources_take_little_and_those_that_came_most_are_remembered() {
    let mut rate = Rate::new(2);
    let now = Instant::now();
    let worst = address("192.0.2.1");
    assert!(rate.admits(worst, now) && rate.admits(worst, now));
    for number in 0..10_000_u32 {
        let one = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
        assert!(rate.admits(one, now + Duration::from_millis(u64::from(number) / 10)));
    }
    assert_eq!(rate.spent.len(), MAX_SOURCES);
    assert!(!rate.admits(worst, now + Duration::from_secs(1)));
    // What is over is forgotten first.
    assert!(rate.admits(address("192.0.2.2"), now + Duration::from_secs(120)));
    assert_eq!(rate.spent.len(), 1);
}
