//! What has to hold for any schemas, against a validator that knows nothing of shapes.

use super::contract;
use crate::{Comparison, Contract};
use mynah_protocol::Value;
use proptest::prelude::*;

/// Whether a value fits a schema, word by word as JSON Schema has it. `strict`: what a writer sends, which has no members
/// but those that the schema names.
fn fits(schema: &Value, value: &Value, strict: bool) -> bool {
    let Some(members) = schema.as_map() else {
        return schema.as_bool() == Some(true);
    };
    let number = |value: &Value| {
        value
            .as_f64()
            .or_else(|| value.as_i64().map(|value| value as f64))
    };
    members
        .iter()
        .all(|(keyword, said)| match keyword.as_str().unwrap() {
            "type" => match said {
                Value::Array(names) => names.iter().any(|name| is(name, value)),
                name => is(name, value),
            },
            "enum" => said.as_array().unwrap().contains(value),
            "minimum" => number(value).is_none_or(|value| value >= number(said).unwrap()),
            "maximum" => number(value).is_none_or(|value| value <= number(said).unwrap()),
            "maxLength" => value
                .as_str()
                .is_none_or(|text| text.len() as u64 <= said.as_u64().unwrap()),
            "items" => value
                .as_array()
                .is_none_or(|elements| elements.iter().all(|element| fits(said, element, strict))),
            "maxItems" => value
                .as_array()
                .is_none_or(|elements| elements.len() as u64 <= said.as_u64().unwrap()),
            "properties" => value.as_map().is_none_or(|fields| {
                fields
                    .iter()
                    .all(|(name, field)| match said.get(name.as_str().unwrap()) {
                        Some(said) => fits(said, field, strict),
                        None => !strict,
                    })
            }),
            "required" => value.as_map().is_none_or(|_| {
                said.as_array()
                    .unwrap()
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some())
            }),
            "additionalProperties" => value.as_map().is_none_or(|fields| {
                let known = schema.get("properties");
                fields.iter().all(|(name, _)| {
                    known.is_some_and(|known| known.get(name.as_str().unwrap()).is_some())
                })
            }),
            "anyOf" => said
                .as_array()
                .unwrap()
                .iter()
                .any(|one| fits(one, value, strict)),
            other => panic!("{other}"),
        })
}

fn is(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.as_bool().is_some(),
        "integer" => value.as_i64().is_some(),
        "number" => value.as_i64().is_some() || matches!(value, Value::Float(_)),
        "string" => value.as_str().is_some(),
        "array" => value.as_array().is_some(),
        "object" => value.as_map().is_some(),
        other => panic!("{other}"),
    }
}

fn text(parts: &[(&str, String)]) -> String {
    let members: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn schemas() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just(r#"{"type":"null"}"#.to_owned()),
        Just(r#"{"type":"boolean"}"#.to_owned()),
        Just(r#"{"type":"number"}"#.to_owned()),
        (-3i64..3, 0i64..4).prop_map(|(min, more)| {
            text(&[
                ("type", "\"integer\"".into()),
                ("minimum", min.to_string()),
                ("maximum", (min + more).to_string()),
            ])
        }),
        (0u64..4).prop_map(|max| text(&[
            ("type", "\"string\"".into()),
            ("maxLength", max.to_string())
        ])),
        proptest::sample::subsequence(vec!["\"a\"", "\"b\"", "1", "true"], 1..4)
            .prop_map(|values| text(&[("enum", format!("[{}]", values.join(",")))])),
        Just(r#"{"type":["integer","null"]}"#.to_owned()),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let field = (inner.clone(), any::<bool>());
        prop_oneof![
            (inner.clone(), proptest::option::of(0u64..3)).prop_map(|(items, max)| {
                let mut parts = vec![("type", "\"array\"".into()), ("items", items)];
                parts.extend(max.map(|max| ("maxItems", max.to_string())));
                text(&parts)
            }),
            (
                proptest::collection::btree_map("[ab]", field, 0..3),
                any::<bool>()
            )
                .prop_map(|(fields, closed)| {
                    let properties: Vec<String> = fields
                        .iter()
                        .map(|(name, (schema, _))| format!("\"{name}\":{schema}"))
                        .collect();
                    let required: Vec<String> = fields
                        .iter()
                        .filter(|(_, (_, required))| *required)
                        .map(|(name, _)| format!("\"{name}\""))
                        .collect();
                    let mut parts = vec![
                        ("type", "\"object\"".into()),
                        ("properties", format!("{{{}}}", properties.join(","))),
                        ("required", format!("[{}]", required.join(","))),
                    ];
                    if closed {
                        parts.push(("additionalProperties", "false".into()));
                    }
                    text(&parts)
                }),
            proptest::collection::vec(inner, 1..3)
                .prop_map(|some| text(&[("anyOf", format!("[{}]", some.join(",")))])),
        ]
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-4i64..5).prop_map(Value::from),
        Just(Value::Float(0.5)),
        "[ab]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::btree_map("[abc]", inner, 0..3).prop_map(|fields| {
                Value::Map(
                    fields
                        .into_iter()
                        .map(|(name, value)| (name.into(), value))
                        .collect(),
                )
            }),
        ]
    })
}

fn method_hash(contract: &Contract) -> String {
    contract
        .hash(contract.method("m").unwrap())
        .unwrap()
        .to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// What is called compatible is: no value that the one side sends is refused by the other.
    #[test]
    fn nothing_that_is_sent_is_refused_unless_it_was_said(
        old in schemas(),
        new in schemas(),
        samples in proptest::collection::vec(values(), 24),
    ) {
        let (as_old, as_new) = (contract(&[], &old), contract(&[], &new));
        let comparison = Comparison::of(&as_old.manifest(), &as_new.manifest());
        let breaks_old = comparison.changes().iter().any(|change| change.breaks_old_clients());
        let breaks_new = comparison.changes().iter().any(|change| change.breaks_new_clients());
        let (old_schema, new_schema) = (super::schema(&old), super::schema(&new));
        let (old_schema, new_schema) = (old_schema.as_value(), new_schema.as_value());
        for sample in &samples {
            // A server writes the result, and a client reads it.
            if !breaks_old && fits(new_schema, sample, true) {
                prop_assert!(fits(old_schema, sample, false), "{sample:?}: {old} from {new}: {comparison}");
            }
            if !breaks_new && fits(old_schema, sample, true) {
                prop_assert!(fits(new_schema, sample, false), "{sample:?}: {new} from {old}: {comparison}");
            }
        }
    }

    /// A schema is compatible with itself, and with itself in another order.
    #[test]
    fn the_same_is_no_change(schema in schemas()) {
        let one = contract(&[("p", &schema)], &schema);
        let other = contract(
            &[("p", &crate::json::compact(&crate::json::sorted(super::schema(&schema).as_value())))],
            &schema,
        );
        let comparison = Comparison::of(&one.manifest(), &other.manifest());
        prop_assert!(comparison.is_empty(), "{comparison}");
        prop_assert_eq!(method_hash(&one), method_hash(&other));
    }

    /// Equal hashes mean that nothing is to be said.
    #[test]
    fn equal_hashes_are_compatible(old in schemas(), new in schemas()) {
        let (old, new) = (contract(&[], &old), contract(&[], &new));
        if method_hash(&old) == method_hash(&new) {
            let comparison = Comparison::of(&old.manifest(), &new.manifest());
            prop_assert!(comparison.is_empty(), "{comparison}");
        }
    }

    /// The order is symmetric: what breaks old clients one way breaks new ones the other way.
    #[test]
    fn there_and_back_is_the_mirror(old in schemas(), new in schemas()) {
        let (old, new) = (contract(&[], &old), contract(&[], &new));
        let there = Comparison::of(&old.manifest(), &new.manifest());
        let back = Comparison::of(&new.manifest(), &old.manifest());
        let any = |comparison: &Comparison, old_side: bool| comparison.changes().iter().any(|change| {
            if old_side { change.breaks_old_clients() } else { change.breaks_new_clients() }
        });
        prop_assert_eq!(any(&there, true), any(&back, false));
        prop_assert_eq!(any(&there, false), any(&back, true));
    }

    /// Nothing that is read panics.
    #[test]
    fn any_value_is_a_schema_or_an_error(value in values(), text in "\\PC{0,40}") {
        if let Ok(schema) = crate::Schema::new(value) {
            let one = contract(&[], &schema.to_string());
            prop_assert!(one.manifest().to_json().is_ok());
        }
        prop_assert!(text.parse::<crate::Manifest>().is_err());
    }
}
