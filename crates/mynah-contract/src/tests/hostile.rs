//! Input that is made to hurt: each ends with an error or an answer, after a bounded amount of work.

use super::{contract, schema};
use crate::{Comparison, Contract, ContractError, Manifest, Method, MethodKind, Reason, Schema};
use mynah_protocol::Value;

fn not_compared(old: &Contract, new: &Contract) -> bool {
    let comparison = Comparison::of(&old.manifest(), &new.manifest());
    let changes = comparison.changes();
    changes.iter().any(|change| {
        matches!(change.reason(), Reason::NotCompared(_)) && change.breaks_old_clients()
    })
}

#[test]
fn schemas_nested_too_deep_are_refused() {
    let mut value = Value::Bool(true);
    for _ in 0..200 {
        value = Value::Map(vec![("items".into(), value)]);
    }
    assert!(matches!(
        Schema::new(value),
        Err(ContractError::TooDeep { .. })
    ));
    let text = format!(
        "{}true{}",
        r#"{"items":"#.repeat(100_000),
        "}".repeat(100_000)
    );
    assert!(matches!(
        text.parse::<Schema>(),
        Err(ContractError::Json(_))
    ));
}

#[test]
fn definitions_in_a_circle_end() {
    let circle = |last: &str| {
        contract(
            &[],
            &format!(
                r##"{{"$ref":"#/$defs/A","$defs":{{"A":{{"$ref":"#/$defs/B"}},"B":{{"anyOf":[{{"$ref":"#/$defs/A"}},{last}]}}}}}}"##
            ),
        )
    };
    let comparison = Comparison::of(
        &circle(r#"{"type":"string"}"#).manifest(),
        &circle(r#"{"type":"null"}"#).manifest(),
    );
    assert_eq!(comparison.changes().len(), 1);
    // Nothing fits a definition that is only itself.
    let nothing = contract(
        &[],
        r##"{"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/A"}}}"##,
    );
    assert!(nothing.manifest().to_json().is_ok());
}

#[test]
fn a_long_chain_of_definitions_is_not_followed_for_ever() {
    let chain = |end: &str| {
        let mut contract = Contract::new("s");
        for number in 0..5_000 {
            let next = format!(
                r##"{{"type":"array","items":{{"$ref":"#/$defs/D{}"}}}}"##,
                number + 1
            );
            contract = contract
                .with_definition(format!("D{number}"), schema(&next))
                .unwrap();
        }
        contract
            .with_definition("D5000", schema(end))
            .unwrap()
            .with_method(
                Method::new("m", MethodKind::Unary)
                    .with_result(schema(r##"{"$ref":"#/$defs/D0"}"##)),
            )
            .unwrap()
    };
    let (old, new) = (chain(r#"{"type":"string"}"#), chain(r#"{"type":"null"}"#));
    assert!(not_compared(&old, &new));
    let method = old.method("m").unwrap();
    assert_ne!(old.hash(method).unwrap(), new.hash(method).unwrap());
}

#[test]
fn unions_of_unions_are_not_multiplied_out() {
    // Each level has two alternatives which differ at the bottom only: 2^40 ways.
    let tower = |bottom: &str| {
        let mut contract = Contract::new("s")
            .with_definition("D0", schema(bottom))
            .unwrap();
        for level in 1..40 {
            let below = format!(r##"{{"$ref":"#/$defs/D{}"}}"##, level - 1);
            let text = format!(
                r#"{{"anyOf":[{{"type":"object","properties":{{"a":{below}}},"required":["a"]}},{{"type":"object","properties":{{"a":{below},"b":true}},"required":["a","b"]}}]}}"#
            );
            contract = contract
                .with_definition(format!("D{level}"), schema(&text))
                .unwrap();
        }
        let top = schema(r##"{"$ref":"#/$defs/D39"}"##);
        contract
            .with_method(Method::new("m", MethodKind::Unary).with_result(top))
            .unwrap()
    };
    let comparison = Comparison::of(
        &tower(r#"{"type":"string"}"#).manifest(),
        &tower(r#"{"type":"integer"}"#).manifest(),
    );
    assert_eq!(comparison.verdict(), crate::Verdict::Breaking);
}

#[test]
fn many_wide_unions_run_into_the_bound() {
    let wide = |from: usize| {
        let some: Vec<String> = (from..from + 3_000)
            .map(|number| format!(r#"{{"type":"object","properties":{{"f{number}":{{"type":"string"}}}},"required":["f{number}"]}}"#))
            .collect();
        contract(&[], &format!(r#"{{"anyOf":[{}]}}"#, some.join(",")))
    };
    assert!(not_compared(&wide(0), &wide(10_000)));
}

/// A short schema that says a long one as often as it has alternatives.
#[test]
fn what_stands_beside_alternatives_is_not_copied_without_end() {
    let fields: Vec<String> = (0..2_000)
        .map(|number| format!(r#""a{number}":true"#))
        .collect();
    let some = vec![r#"{"required":[]}"#; 20_000].join(",");
    let text = format!(
        r#"{{"properties":{{{}}},"oneOf":[{some}]}}"#,
        fields.join(",")
    );
    let value = Contract::new("s")
        .with_definition("D", schema(&text))
        .and_then(|contract| contract.manifest().to_json());
    assert!(matches!(value, Err(ContractError::TooComplex { .. })));
}

#[test]
fn alternatives_of_one_name_are_counted_once() {
    // Distinct, so that none is left out; of one name, so that each needs a number.
    let some = |from: usize| {
        let some: Vec<String> = (from..from + 20_000)
            .map(|number| format!(r#"{{"type":"object","minProperties":{number}}}"#))
            .collect();
        contract(&[], &format!(r#"{{"anyOf":[{}]}}"#, some.join(",")))
    };
    let comparison = Comparison::of(&some(0).manifest(), &some(1).manifest());
    assert_eq!(comparison.verdict(), crate::Verdict::Breaking);
}

#[test]
fn a_manifest_of_garbage_is_an_error() {
    for text in [
        "",
        "null",
        "{}",
        "[[",
        "{\"manifest\":1,\"services\":{\"a\":1}}",
        "{\"manifest\":-1,\"services\":{}}",
    ] {
        assert!(text.parse::<Manifest>().is_err(), "{text}");
    }
    // Cut anywhere, it is an error and never a panic.
    let whole = contract(&[("a", r#"{"type":"string"}"#)], "true")
        .manifest()
        .to_json()
        .unwrap();
    for (end, _) in whole.char_indices() {
        let (cut, _) = whole.split_at(end);
        assert!(
            cut.trim_end() == whole.trim_end() || cut.parse::<Manifest>().is_err(),
            "{cut}"
        );
    }
}
