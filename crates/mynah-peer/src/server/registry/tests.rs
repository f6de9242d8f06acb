use super::{PeerId, Registry};
use std::convert::Infallible;

fn enter(registry: &Registry) -> u64 {
    registry
        .enter(|| Ok::<(), Infallible>(()))
        .unwrap()
        .unwrap()
}

#[test]
fn ids_are_numbers_of_the_server_or_names() {
    for (text, name) in [
        ("#7", None),
        ("#007", Some("#007")),
        ("#", Some("#")),
        ("#x", Some("#x")),
        ("7", Some("7")),
        ("", Some("")),
        ("worker", Some("worker")),
    ] {
        let id = PeerId::from(text);
        assert_eq!((id.name(), &*id.to_string()), (name, text));
    }
}

#[test]
fn a_name_has_one_connection_and_is_free_after_it() {
    let registry = Registry::default();
    let (one, other) = (enter(&registry), enter(&registry));
    registry.rename(one, "a".into()).unwrap();
    registry.rename(one, "a".into()).unwrap();
    assert_eq!(
        registry.rename(other, "a".into()).unwrap_err().0,
        "a".into()
    );
    // Another name frees the first.
    registry.rename(one, "b".into()).unwrap();
    registry.rename(other, "a".into()).unwrap();
    assert_eq!(registry.name_of(one), Some("b".into()));
    registry.forget(one);
    assert_eq!(registry.name_of(one), None);
    registry.rename(other, "b".into()).unwrap();
    // Its own number takes the name away; the number of another is nobody's to have.
    assert!(registry.rename(other, PeerId::number(one)).is_err());
    registry.rename(other, PeerId::number(other)).unwrap();
    assert_eq!(registry.name_of(other), None);
    let third = enter(&registry);
    registry.rename(third, "b".into()).unwrap();
    // Nothing happens for one that has gone.
    registry.rename(one, "c".into()).unwrap();
    registry.rename(other, "c".into()).unwrap();
}
