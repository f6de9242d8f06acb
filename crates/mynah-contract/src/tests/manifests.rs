//! Manifests and hashes.

use super::{contract, schema};
use crate::{
    Comparison, Contract, ContractError, ErrorEntry, Event, Hash, Manifest, Method, MethodKind,
    Param,
};

fn everything() -> Manifest {
    let pair = schema(
        r##"{"$ref":"#/$defs/Pair","$defs":{"Pair":{"type":"object","properties":{"b":{"type":"integer"},"a":{"$ref":"#/$defs/Pair"}}}}}"##,
    );
    let first = Contract::new("second")
        .with_docs("What it is.")
        .with_method(
            Method::new("both", MethodKind::BothStreams)
                .with_param(
                    Param::new("size")
                        .with_default(5)
                        .with_schema(schema(r#"{"type":"integer"}"#)),
                )
                .with_param(Param::stream("items").with_schema(pair.clone()))
                .with_param(
                    Param::asked_callback("ask")
                        .with_schema(pair.clone())
                        .with_reply(schema("true")),
                )
                .with_result(pair.clone())
                .with_error(ErrorEntry::new(2, "two {n}").with_data(pair.clone()))
                .with_error(ErrorEntry::new(1, "one"))
                .with_role("admin"),
        )
        .unwrap()
        .with_method(
            Method::new("again", MethodKind::Unary)
                .with_docs("May be called again.")
                .with_object(Param::new("params").with_schema(pair.clone()))
                .idempotent(),
        )
        .unwrap()
        .with_event(
            Event::new("second.changed")
                .with_docs("Tells.")
                .with_message(pair),
        )
        .unwrap();
    let other = Contract::new("first")
        .with_method(Method::new("ping", MethodKind::Notification))
        .unwrap();
    Manifest::new([first, other]).unwrap()
}

#[test]
fn a_manifest_comes_back_whole() {
    let manifest = everything();
    let text = manifest.to_json().unwrap();
    let read: Manifest = text.parse().unwrap();
    assert_eq!(read.to_json().unwrap(), text);
    assert_eq!(read, manifest);
    // Methods come in the order of their names; everything else is as it was.
    assert_eq!(read.contract("first"), manifest.contract("first"));
    for method in manifest.contract("second").unwrap().methods() {
        let back = read
            .contract("second")
            .unwrap()
            .method(method.name())
            .unwrap();
        assert_eq!(back.params(), method.params());
        assert_eq!(back.errors(), method.errors());
        assert_eq!(back.roles(), method.roles());
        assert_eq!(back.is_idempotent(), method.is_idempotent());
        assert_eq!(back.docs(), method.docs());
    }
}

/// JSON has one kind of number: what a program or a text gives as 30.0 comes back as 30, and is the same.
#[test]
fn a_whole_number_is_the_same_however_it_was_written() {
    let of = |number: &str, default: f64| {
        let text = format!(r#"{{"type":"integer","maximum":{number},"x-note":{number}}}"#);
        let param = Param::new("p").with_default(default);
        let method =
            Method::new("m", MethodKind::Unary).with_param(param.with_schema(schema(&text)));
        Contract::new("s").with_method(method).unwrap().manifest()
    };
    let (float, whole) = (of("30.0", 30.0), of("30", 30.0));
    assert_eq!(float, whole);
    let read: Manifest = float.to_json().unwrap().parse().unwrap();
    assert_eq!(read, float);
    assert!(Comparison::of(&float, &read).changes().is_empty());
    let text = float
        .to_json()
        .unwrap()
        .replace(r#""default": 30"#, r#""default": 30.0"#);
    assert!(text.contains("30.0"), "{text}");
    let read: Manifest = text.parse().unwrap();
    assert_eq!(read, float);
}

/// The text is stable: programs of all versions agree on it, and lock files hold it.
#[test]
fn the_text_of_a_manifest_is_stable() {
    let contract = contract(
        &[
            ("b", r#"{"type":"integer","format":"int64"}"#),
            ("a", r#"{"type":["string","null"],"title":"T"}"#),
        ],
        r#"{"type":"boolean"}"#,
    );
    assert_eq!(
        contract.manifest().to_json().unwrap(),
        r#"{
  "manifest": 1,
  "services": {
    "s": {
      "methods": {
        "m": {
          "hash": "HASH",
          "kind": "unary",
          "params": [
            {
              "name": "b",
              "schema": {
                "format": "int64",
                "type": "integer"
              }
            },
            {
              "name": "a",
              "schema": {
                "title": "T",
                "type": [
                  "string",
                  "null"
                ]
              }
            }
          ],
          "result": {
            "type": "boolean"
          }
        }
      }
    }
  }
}
"#
        .replace("HASH", &Hash::of(CANONICAL).to_string())
    );
    let method = contract.method("m").unwrap();
    assert_eq!(contract.canonical_text(method).unwrap(), CANONICAL);
}

const CANONICAL: &str = r#"{"kind":"unary","params":[{"kind":"value","name":"b","schema":{"maximum":9223372036854775807,"minimum":-9223372036854775808,"type":"integer"}},{"kind":"value","name":"a","schema":{"anyOf":[{"type":"null"},{"type":"string"}]}}],"result":{"type":"boolean"}}"#;

#[test]
fn a_hash_is_that_of_what_travels() {
    let hash = |params: &[(&str, &str)], result: &str| {
        let contract = contract(params, result);
        contract.hash(contract.method("m").unwrap()).unwrap()
    };
    let plain = hash(&[("a", r#"{"type":"string","enum":["x","y"]}"#)], "true");
    assert_eq!(
        hash(
            &[(
                "a",
                r#"{"oneOf":[{"const":"y"},{"const":"x","description":"d"}]}"#
            )],
            "{}"
        ),
        plain
    );
    assert_ne!(hash(&[("b", r#"{"enum":["x","y"]}"#)], "true"), plain);
    assert_ne!(hash(&[("a", r#"{"enum":["x"]}"#)], "true"), plain);
    assert_ne!(
        hash(&[("a", r#"{"enum":["x","y"]}"#)], r#"{"type":"null"}"#),
        plain
    );
    // Names of types, their order, and definitions that nobody uses.
    let named = |name: &str, other: &str| {
        hash(
            &[(
                "a",
                &format!(
                    r##"{{"anyOf":[{{"$ref":"#/$defs/{name}"}},{{"type":"null"}}],"$defs":{{"{name}":{{"type":"array","items":{{"$ref":"#/$defs/{other}"}}}},"{other}":{{"type":"string"}},"Unused":true}}}}"##
                ),
            )],
            "true",
        )
    };
    assert_eq!(named("Pair", "Item"), named("Alpha", "Zeta"));
    assert_eq!(named("Pair", "Item"), named("Zeta", "Alpha"));
}

#[test]
fn the_whole_hash_changes_with_every_part() {
    let manifest = everything();
    let contract = manifest.contract("second").unwrap();
    let whole = contract.whole_hash().unwrap();
    assert_ne!(
        contract
            .filtered(|method| method.name() != "again", |_| true)
            .whole_hash()
            .unwrap(),
        whole
    );
    assert_ne!(
        contract.filtered(|_| true, |_| false).whole_hash().unwrap(),
        whole
    );
    assert_eq!(
        contract.filtered(|_| true, |_| true).whole_hash().unwrap(),
        whole
    );
}

#[test]
fn hashes_are_read_as_they_are_written() {
    let hash = Hash::of("abc");
    assert_eq!(
        hash.to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
    assert_eq!(Hash::from_hex(&hash.to_string().to_uppercase()), None);
    assert_eq!(Hash::from_hex("ba78"), None);
    assert_eq!(Hash::from_hex(&format!("{hash}0")), None);
}

#[test]
fn a_manifest_that_is_wrong_is_refused_with_its_place() {
    let text = everything().to_json().unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(text.contains(from), "{from}");
        let error = text.replacen(from, to, 1).parse::<Manifest>().unwrap_err();
        assert_eq!(error.to_string(), expected, "{from} to {to}");
    };
    check(
        r#""manifest": 1"#,
        r#""manifest": 2"#,
        "manifest of version 2, and this program knows version 1",
    );
    check(
        r#""kind": "notification""#,
        r#""kind": "shout""#,
        "first.ping.kind: a kind of method was expected",
    );
    check(
        r#""kind": "notification""#,
        r#""kind": "unary""#,
        "the hash of first.ping is not that of its entry: the manifest was changed by hand, or in transit",
    );
    check(
        r#""default": 5"#,
        r#""default": 6"#,
        "the hash of second.both is not that of its entry: the manifest was changed by hand, or in transit",
    );
    check(
        r#""code": 1"#,
        r#""code": "1""#,
        "second.both.errors[0].code: an integer was expected",
    );
    check(
        r#""params": []"#,
        r#""params": 1"#,
        "first.ping.params: a list of at most 10000 was expected",
    );
    check(
        r#""idempotent": true"#,
        r#""idempotent": 1"#,
        "second.again.idempotent: true or false was expected",
    );
    check(
        r#""result": {"#,
        r#""result": 1, "x": {"#,
        "second.both.result: an object, true or false was expected",
    );
    check(
        r#""reply": true"#,
        r#""reply": {"$defs":{}}"#,
        "second.both.params[2].reply: definitions beside the methods, and none in a schema was expected",
    );
    assert!(matches!(
        "[]".parse::<Manifest>(),
        Err(ContractError::Shape { .. })
    ));
    assert!(matches!(
        r#"{"manifest":1}"#.parse::<Manifest>(),
        Err(ContractError::Shape { .. })
    ));
}
