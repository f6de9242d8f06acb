//! Verdicts against a validator that is not ours: what one schema takes and the other refuses, and what is said of it.

use interop_tests::python::{Venv, run};
use mynah::contract::{Change, Comparison, Contract, Method, MethodKind, Schema};

/// Pairs of schemas: an old and a new one.
const PAIRS: &[(&str, &str)] = &[
    (r#"{"type":"integer"}"#, r#"{"type":"number"}"#),
    (
        r#"{"type":"integer","minimum":0,"maximum":255}"#,
        r#"{"type":"integer","minimum":-1,"maximum":255}"#,
    ),
    (
        r#"{"type":"number","exclusiveMinimum":1}"#,
        r#"{"type":"number","minimum":1}"#,
    ),
    (r#"{"type":["string","null"]}"#, r#"{"type":"string"}"#),
    (r#"{"enum":["a","b",1]}"#, r#"{"enum":["a",1]}"#),
    (
        r#"{"enum":["a","b"]}"#,
        r#"{"type":"string","maxLength":1}"#,
    ),
    (
        r#"{"type":"array","items":{"type":"integer"},"maxItems":2}"#,
        r#"{"type":"array","items":{"type":"number"}}"#,
    ),
    (
        r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"minItems":2,"maxItems":2}"#,
        r#"{"type":"array","items":{"type":["string","integer"]}}"#,
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["a"]}"#,
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
        r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
    ),
    (
        r##"{"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"a":{"type":"integer"},"b":{"$ref":"#/$defs/N"}}}}}"##,
        r##"{"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"a":{"type":"number"},"b":{"$ref":"#/$defs/N"}}}}}"##,
    ),
    (
        r#"{"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"],"additionalProperties":false}]}"#,
        r#"{"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"],"additionalProperties":false},{"type":"object","properties":{"k":{"const":"b"}},"required":["k"],"additionalProperties":false}]}"#,
    ),
    (
        r#"{"allOf":[{"type":"object","properties":{"a":true},"required":["a"]},{"type":"object","properties":{"b":{"type":"null"}}}]}"#,
        r#"{"type":"object","properties":{"a":true}}"#,
    ),
];

fn contract(schema: &str) -> Contract {
    let schema: Schema = schema.parse().expect("a schema");
    Contract::new("s")
        .with_method(Method::new("m", MethodKind::Unary).with_result(schema))
        .expect("a method")
}

/// For each pair, Python tries some thousand values; where the new schema takes one that the old one refuses, old clients
/// break, and the other way round. What is called whole must not be refuted, and what is called broken must be shown.
#[tokio::test]
async fn verdicts_are_what_another_validator_sees() {
    let pairs = serde_json::to_string(
        &PAIRS
            .iter()
            .flat_map(|pair| [*pair, (pair.1, pair.0)])
            .map(|(old, new)| {
                let value =
                    |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
                [value(old), value(new)]
            })
            .collect::<Vec<_>>(),
    )
    .expect("JSON");
    let printed = run(Venv::Contract, "subschemas.py", &[&pairs]).await;
    let seen: Vec<[bool; 2]> = serde_json::from_str(&printed.stdout).expect("JSON");
    let both = PAIRS.iter().flat_map(|pair| [*pair, (pair.1, pair.0)]);
    for ((old, new), [new_is_refused, old_is_refused]) in both.zip(seen) {
        let comparison = Comparison::of_contracts(&contract(old), &contract(new));
        let breaks = |which: fn(&Change) -> bool| comparison.changes().iter().any(which);
        assert_eq!(
            breaks(Change::breaks_old_clients),
            new_is_refused,
            "{old} to {new}: {comparison}"
        );
        assert_eq!(
            breaks(Change::breaks_new_clients),
            old_is_refused,
            "{old} to {new}: {comparison}"
        );
    }
}
