use super::*;
use mynah_contract::{Contract, Method, MethodKind, Param};

fn manifest(params: &[&str], docs: &str) -> String {
    let method = params
        .iter()
        .fold(Method::new("m", MethodKind::Unary), |method, name| {
            method.with_param(Param::new(*name))
        });
    let contract = Contract::new("s")
        .with_method(method.with_docs(docs))
        .unwrap();
    contract.manifest().to_json().unwrap()
}

#[test]
fn what_is_locked_passes() {
    let text = manifest(&["a"], "d");
    let told = decide(Ask::Check, Some(&text), &text).unwrap();
    assert_eq!(
        told,
        "contracts.lock.json says what the contracts are (1 service)"
    );
}

#[test]
fn a_change_fails_the_gate_and_is_named() {
    let error = decide(
        Ask::Check,
        Some(&manifest(&["a"], "d")),
        &manifest(&["a", "b"], "d"),
    )
    .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("breaking: s.m params.b: required param added"),
        "{error}"
    );
    let error = decide(
        Ask::Check,
        Some(&manifest(&["a"], "d")),
        &manifest(&["a"], "other"),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("only what is for people has changed"),
        "{error}"
    );
    let error = decide(Ask::Check, None, &manifest(&["a"], "d")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("needs both sides: s: service added"),
        "{error}"
    );
}

#[test]
fn what_breaks_is_written_only_when_that_is_asked_for() {
    let (old, new) = (manifest(&["a"], "d"), manifest(&[], "d"));
    assert!(decide(Ask::Write, Some(&old), &new).is_err());
    assert!(decide(Ask::WriteBreaking, Some(&old), &new).is_ok());
    assert!(decide(Ask::Write, None, &new).is_ok());
    assert!(decide(Ask::Write, Some(&old), &manifest(&["a"], "other")).is_ok());
}

#[test]
fn a_lock_file_that_was_changed_by_hand_is_an_error() {
    let text = manifest(&["a"], "d");
    let changed = text.replace("\"name\": \"a\"", "\"name\": \"z\"");
    let error = decide(Ask::Check, Some(&changed), &text).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the hash of s.m is not that of its entry"),
        "{error}"
    );
    assert!(decide(Ask::Check, Some(&text), "no manifest").is_err());
}

#[test]
fn arguments_are_read() {
    let read = |arguments: &[&str]| {
        ask(&arguments
            .iter()
            .map(|one| (*one).to_owned())
            .collect::<Vec<_>>())
    };
    assert_eq!(read(&[]).unwrap(), Ask::Write);
    assert_eq!(read(&["--check"]).unwrap(), Ask::Check);
    assert_eq!(read(&["--breaking"]).unwrap(), Ask::WriteBreaking);
    assert!(read(&["--check", "--breaking"]).is_err());
}
