//! Tests without Redis.

use crate::entry::EntryId;
use crate::keys::{self, Keys};
use crate::random;

#[test]
fn an_answer_goes_to_the_stream_of_an_instance_and_nowhere_else() {
    let keys = Keys::new("a:b/{c}");
    let instance = |reply_to: &str| keys.instance_of(reply_to.as_bytes()).map(str::to_owned);
    assert_eq!(instance("a:b/{c}:replies:cli-1").as_deref(), Some("cli-1"));
    assert_eq!(instance("a:b/{c}:replies:x:y").as_deref(), Some("x:y"));
    let long = format!("a:b/{{c}}:replies:{}", "x".repeat(129));
    for wrong in [
        "",
        "cli-1",
        "a:b/{c}:replies:",
        "a:b/{c}:replies",
        "a:b/{c}:cmds:arith",
        "other:replies:cli-1",
        "a:b/{c}:replies:a\nb",
        &long,
    ] {
        assert_eq!(instance(wrong), None, "{wrong:?}");
    }
    assert_eq!(keys.instance_of(b"a:b/{c}:replies:\xff"), None);
    assert!(keys.share_a_slot());
    assert!(!Keys::new("app").share_a_slot());
    assert!(!Keys::new("a{}b").share_a_slot());
}

#[test]
fn services_have_the_names_that_clamator_takes() {
    for name in ["a", "arith", "optio-engine", "a1-"] {
        assert!(keys::is_service(name), "{name}");
    }
    for name in ["", "Arith", "1a", "-a", "a_b", "a.b", "arith\n"] {
        assert!(!keys::is_service(name), "{name:?}");
    }
}

#[test]
fn ids_of_entries_are_read_and_written() {
    let id = EntryId::parse(b"1795190180696-7").unwrap();
    assert_eq!((id.ms, id.number), (1_795_190_180_696, 7));
    assert_eq!(id.to_string(), "1795190180696-7");
    assert_eq!(id.next().to_string(), "1795190180696-8");
    let last = EntryId {
        ms: 1,
        number: u64::MAX,
    };
    assert_eq!(last.next().to_string(), "2-0");
    for wrong in [
        "",
        "1",
        "1-",
        "-1",
        "a-1",
        "1-1-1",
        "99999999999999999999-0",
    ] {
        assert_eq!(EntryId::parse(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn instances_have_names_of_their_own() {
    let (one, two) = (random::uuid(), random::uuid());
    assert_ne!(one, two);
    assert_eq!(one.len(), 36);
    assert_eq!(one.as_bytes().get(14), Some(&b'4'));
    assert!(keys::is_instance(&one));
}
