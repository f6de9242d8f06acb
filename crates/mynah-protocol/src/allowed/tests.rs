use super::*;

fn check(patterns: &str, service: &str, method: &str, allowed: bool) {
    let list: AllowedMethods = patterns.parse().unwrap();
    let name = MethodName::new(service, method);
    assert_eq!(list.allows(&name), allowed, "{patterns}: {name}");
    let evidence = Evidence::new().with(EvidenceKey::METHODS, list.to_value());
    assert_eq!(AllowedMethods::of(&evidence), Some(list));
}

#[test]
fn patterns_allow_what_they_name() {
    check("arith.*", "arith", "add", true);
    check("arith.*", "arith.secret", "add", false);
    check("arith.*", "arithmetic", "add", false);
    check("arith.*", "", "add", false);
    check("arith.*", "", "arith", false);
    check("arith.add", "arith", "add", true);
    check("arith.add", "arith", "add2", false);
    check("arith.add", "Arith", "add", false);
    check("arith.get*,clock.now", "arith", "get_all", true);
    check("arith.get*,clock.now", "arith", "set", false);
    check("arith.get*,clock.now", "clock", "now", true);
    check("echo", "", "echo", true);
    check("echo", "other", "echo", false);
    check("*", "any.thing", "at_all", true);
}

#[test]
fn what_is_no_list_is_refused() {
    let check =
        |text: &str, error| assert_eq!(text.parse::<AllowedMethods>(), Err(error), "{text}");
    check("", PatternError::Empty);
    check("a.b,", PatternError::Empty);
    check("*.add", PatternError::Star);
    check("a*b", PatternError::Star);
    check("**", PatternError::Star);
    check("a.b, c.d", PatternError::Character);
    check("a.\u{7}", PatternError::Character);
    check(&"a".repeat(257), PatternError::TooLong);
    check(&["a.b"; 65].join(","), PatternError::TooLong);
}

#[test]
fn what_cannot_be_understood_allows_nothing() {
    let add = MethodName::new("arith", "add");
    assert_eq!(AllowedMethods::of(&Evidence::new()), None);
    for fact in [
        Value::Null,
        Value::from("*"),
        Value::Array(alloc::vec![Value::from(1)]),
        Value::Array(alloc::vec![Value::from("*"), Value::from("*x")]),
        Value::Array(Vec::new()),
    ] {
        let evidence = Evidence::new().with(EvidenceKey::METHODS, fact);
        assert!(!AllowedMethods::of(&evidence).unwrap().allows(&add));
    }
}

#[test]
fn topics_are_held_against_the_same_patterns() {
    let list: AllowedMethods = "arith.*".parse().unwrap();
    assert!(list.allows_topic("arith.changed"));
    assert!(!list.allows_topic("other.changed"));
    assert!(!list.allows_topic("arith"));
}
