//! Schemas that say the same in other words have one shape.

use super::*;

fn shape(text: &str) -> Node {
    let schema = json::parse(text).unwrap();
    node(&Places::new(), &Cell::new(0), &schema, 0).unwrap()
}

fn same(one: &str, other: &str) {
    assert_eq!(shape(one), shape(other), "{one} and {other}");
}

fn differ(one: &str, other: &str) {
    assert_ne!(shape(one), shape(other), "{one} and {other}");
}

#[test]
fn formats_of_integers_are_their_bounds() {
    same(
        r#"{"type":"integer","format":"uint8"}"#,
        r#"{"type":"integer","minimum":0,"maximum":255}"#,
    );
    same(
        r#"{"type":"integer","format":"int8"}"#,
        r#"{"type":"integer","exclusiveMinimum":-129,"exclusiveMaximum":128}"#,
    );
    same(
        r#"{"type":"integer","format":"uint16","minimum":1}"#,
        r#"{"type":"integer","minimum":0.5,"maximum":65535}"#,
    );
    same(
        r#"{"type":"integer","format":"int64"}"#,
        r#"{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}"#,
    );
    differ(
        r#"{"type":"integer","format":"int64"}"#,
        r#"{"type":"integer"}"#,
    );
    differ(
        r#"{"type":"integer","format":"odd"}"#,
        r#"{"type":"integer"}"#,
    );
    same(
        r#"{"type":"number","format":"double"}"#,
        r#"{"type":"number"}"#,
    );
}

#[test]
fn enums_are_their_values() {
    same(
        r#"{"oneOf":[{"type":"string","enum":["B"]},{"type":"string","const":"A","description":"a"}]}"#,
        r#"{"type":"string","enum":["A","B"]}"#,
    );
    same(
        r#"{"anyOf":[{"type":"string","enum":["A"]},{"type":"null"}]}"#,
        r#"{"enum":[null,"A"]}"#,
    );
    differ(r#"{"enum":["A"]}"#, r#"{"enum":["a"]}"#);
    differ(r#"{"enum":["1"]}"#, r#"{"enum":[1]}"#);
}

#[test]
fn null_is_one_more_alternative() {
    same(
        r#"{"type":["string","null"]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
    );
    same(
        r#"{"type":"string","nullable":true}"#,
        r#"{"type":["string","null"]}"#,
    );
    same(
        r#"{"type":["integer","null"],"format":"uint8","minimum":0,"maximum":255}"#,
        r#"{"oneOf":[{"type":"integer","format":"uint8"},{"type":"null"}]}"#,
    );
}

#[test]
fn what_is_for_people_does_not_count_but_a_property_of_that_name_does() {
    same(
        r#"{"type":"string","title":"T","description":"d","examples":["x"],"x-note":1,"$comment":"c","deprecated":true}"#,
        r#"{"type":"string"}"#,
    );
    differ(
        r#"{"type":"object","properties":{"title":{"type":"string"}}}"#,
        r#"{"type":"object","properties":{}}"#,
    );
}

#[test]
fn tuples_are_the_same_in_both_drafts() {
    same(
        r#"{"type":"array","prefixItems":[{"type":"string"},true],"minItems":2,"maxItems":2}"#,
        r#"{"type":"array","items":[{"type":"string"},true],"minItems":2,"additionalItems":false}"#,
    );
    same(
        r#"{"type":"array","prefixItems":[true],"items":false}"#,
        r#"{"type":"array","prefixItems":[true],"maxItems":1}"#,
    );
    differ(
        r#"{"type":"array","prefixItems":[{"type":"string"}]}"#,
        r#"{"type":"array","items":{"type":"string"}}"#,
    );
}

#[test]
fn flattened_enums_are_objects_with_all_fields() {
    same(
        r#"{"type":"object","properties":{"id":{"type":"string"}},"required":["id"],
            "oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},
                     {"type":"object","properties":{"k":{"const":"b"},"n":{"type":"null"}},"required":["k"]}]}"#,
        r#"{"oneOf":[{"type":"object","properties":{"id":{"type":"string"},"k":{"const":"a"}},"required":["k","id"]},
                     {"type":"object","properties":{"id":{"type":"string"},"k":{"const":"b"},"n":{"type":"null"}},"required":["id","k"]}]}"#,
    );
    same(
        r#"{"allOf":[{"type":"object","properties":{"a":true},"required":["a"]},{"properties":{"b":true}}],"description":"x"}"#,
        r#"{"type":"object","properties":{"a":true,"b":true},"required":["a"]}"#,
    );
}

#[test]
fn what_is_not_understood_is_equal_to_itself_alone() {
    same(
        r#"{"not":{"type":"string"}}"#,
        r#"{"not":{"type":"string"},"title":"T"}"#,
    );
    differ(r#"{"not":{"type":"string"}}"#, r#"{"not":{"type":"null"}}"#);
    differ(
        r#"{"type":"string","not":{"const":"a"}}"#,
        r#"{"type":"string"}"#,
    );
    differ(r##"{"$ref":"#/$defs/Missing"}"##, "true");
    differ(r#"{"type":"colour"}"#, r#"{"type":"string"}"#);
    assert_eq!(shape("false").alternatives, []);
    assert!(shape("{}").is_any());
    assert!(shape(r#"{"anyOf":[{"type":"string"},true]}"#).is_any());
}
