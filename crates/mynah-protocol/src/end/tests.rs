use super::*;
use crate::{TransportError, TransportErrorKind};
use std::io;

fn end() -> PeerEnd {
    PeerEnd::new("process 7 exited with status 3").with(EvidenceKey::EXIT_STATUS, 3_i64)
}

#[test]
fn an_end_is_found_however_deep_it_is() {
    let bytes = io::Error::from(end());
    assert_eq!(PeerEnd::of(&bytes), Some(&end()));
    let carrier = TransportError::new(TransportErrorKind::Broken, "gone").with_source(end());
    assert_eq!(PeerEnd::of(&carrier), Some(&end()));
    let wrapped = TransportError::new(TransportErrorKind::Broken, "gone").with_source(bytes);
    assert_eq!(PeerEnd::of(&wrapped), Some(&end()));
    assert_eq!(PeerEnd::of(&end()), Some(&end()));
}

#[test]
fn other_errors_are_no_end() {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(PeerEnd::of(&reset), None);
    let wrapped = TransportError::new(TransportErrorKind::Broken, "gone").with_source(reset);
    assert_eq!(PeerEnd::of(&wrapped), None);
}

#[test]
fn facts_are_there_for_programs_and_the_text_for_people() {
    let fact = |key| end().facts().fact(key).and_then(Value::as_i64);
    assert_eq!(fact(EvidenceKey::EXIT_STATUS), Some(3));
    assert_eq!(fact(EvidenceKey::SIGNAL), None);
    assert_eq!(end().to_string(), "process 7 exited with status 3");
}
