use super::Validator;
use crate::{Contract, Method, MethodKind, Param, Schema};
use mynah_protocol::Value;

fn schema(text: &str) -> Schema {
    text.parse().unwrap()
}

fn json(text: &str) -> Value {
    crate::json::parse(text).unwrap()
}

/// The validator of a method that gives this.
fn of_result(text: &str) -> Validator {
    let method = Method::new("give", MethodKind::Unary).with_result(schema(text));
    of(method)
}

fn of(method: Method) -> Validator {
    let contract = Contract::new("test").with_method(method).unwrap();
    contract.validators().unwrap().remove(0).1
}

fn told(validator: &Validator, value: &Value) -> Vec<String> {
    let faults = validator.result(value);
    faults
        .iter()
        .map(|fault| format!("{} [{}]", fault, fault.kind))
        .collect()
}

/// The schema, what fits it, and what does not with what is told of it.
fn check(text: &str, fit: &[&str], wrong: &[(&str, &[&str])]) {
    let validator = of_result(text);
    for value in fit {
        assert_eq!(told(&validator, &json(value)), [""; 0], "{value} in {text}");
    }
    for (value, faults) in wrong {
        assert_eq!(told(&validator, &json(value)), *faults, "{value} in {text}");
    }
}

#[test]
fn numbers_have_ranges() {
    check(
        r#"{"type":"integer","format":"uint8"}"#,
        &["0", "255", "3.0"],
        &[
            (
                "256",
                &["integer from 0 to 255 was expected, not 256 [invalid_value]"],
            ),
            (
                "-1",
                &["integer from 0 to 255 was expected, not -1 [invalid_value]"],
            ),
            (
                "1.5",
                &["integer from 0 to 255 was expected, not 1.5 [invalid_value]"],
            ),
            (
                "\"1\"",
                &["integer from 0 to 255 was expected, not \"1\" [invalid_type]"],
            ),
            (
                "null",
                &["integer from 0 to 255 was expected, not null [invalid_type]"],
            ),
        ],
    );
    check(
        r#"{"type":"number","exclusiveMinimum":0,"maximum":1.5}"#,
        &["0.1", "1", "1.5"],
        &[
            (
                "0",
                &["number > 0 <= 1.5 was expected, not 0 [invalid_value]"],
            ),
            (
                "1.6",
                &["number > 0 <= 1.5 was expected, not 1.6 [invalid_value]"],
            ),
        ],
    );
    check(
        r#"{"type":"integer","multipleOf":5}"#,
        &["0", "-10", "1000"],
        &[("7", &["integer was expected, not 7 [invalid_value]"])],
    );
    // Beyond 128 bits: no bound is there.
    let beyond = format!("1{}", "0".repeat(60));
    check(r#"{"type":"integer","minimum":0}"#, &[&beyond], &[]);
    let validator = of_result(r#"{"type":"integer","minimum":0}"#);
    assert_eq!(validator.result(&json(&format!("-{beyond}"))).len(), 1);
}

#[test]
fn texts_and_lists_have_lengths() {
    check(
        r#"{"type":"string","minLength":2,"maxLength":3}"#,
        &["\"ab\"", "\"äöü\""],
        &[
            (
                "\"a\"",
                &["at least 2 characters were expected, not 1 [too_short]"],
            ),
            (
                "\"abcd\"",
                &["at most 3 characters were expected, not 4 [too_long]"],
            ),
        ],
    );
    check(
        r#"{"type":"array","items":{"type":"boolean"},"minItems":1,"maxItems":2}"#,
        &["[true]", "[true,false]"],
        &[
            (
                "[]",
                &["at least 1 elements were expected, not 0 [too_short]"],
            ),
            (
                "[true,true,true]",
                &["at most 2 elements were expected, not 3 [too_long]"],
            ),
            (
                "[true,1]",
                &["[1]: boolean was expected, not 1 [invalid_type]"],
            ),
            ("{}", &["list was expected, not an object [invalid_type]"]),
        ],
    );
    check(
        r#"{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"minItems":2,"maxItems":2}"#,
        &["[1,\"a\"]"],
        &[(
            "[\"a\",1]",
            &[
                "[0]: integer was expected, not \"a\" [invalid_type]",
                "[1]: text was expected, not 1 [invalid_type]",
            ],
        )],
    );
}

#[test]
fn objects_have_fields() {
    let open = r#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]}"#;
    check(
        open,
        &[r#"{"name":"a"}"#, r#"{"name":"a","age":1,"more":[]}"#],
        &[
            (
                r#"{"age":1}"#,
                &["name: missing field `name` [missing_field]"],
            ),
            (
                r#"{"name":1,"age":"x"}"#,
                &[
                    "name: text was expected, not 1 [invalid_type]",
                    "age: integer was expected, not \"x\" [invalid_type]",
                ],
            ),
        ],
    );
    check(
        &open.replace(
            "\"required\"",
            "\"additionalProperties\":false,\"required\"",
        ),
        &[r#"{"name":"a"}"#],
        &[(
            r#"{"name":"a","more":1}"#,
            &["unknown field `more` [unknown_field]"],
        )],
    );
    check(
        r#"{"type":"object","additionalProperties":{"type":"integer"},"maxProperties":2}"#,
        &["{}", r#"{"a":1,"b":2}"#],
        &[
            (
                r#"{"a":"x"}"#,
                &["a: integer was expected, not \"x\" [invalid_type]"],
            ),
            (
                r#"{"a":1,"b":2,"c":3}"#,
                &["at most 2 members were expected, not 3 [invalid_length]"],
            ),
        ],
    );
}

#[test]
fn alternatives_are_told_apart_by_what_is_there() {
    // As schemars writes an enum with fields.
    let shapes = r#"{"oneOf":[
        {"type":"object","properties":{"kind":{"const":"circle"},"radius":{"type":"number"}},"required":["kind","radius"]},
        {"type":"object","properties":{"kind":{"const":"square"},"side":{"type":"number"}},"required":["kind","side"]}]}"#;
    check(
        shapes,
        &[
            r#"{"kind":"circle","radius":1}"#,
            r#"{"kind":"square","side":2}"#,
        ],
        &[
            (
                r#"{"kind":"circle","side":2}"#,
                &["radius: missing field `radius` [missing_field]"],
            ),
            (
                r#"{"kind":"square","side":"x"}"#,
                &["side: number was expected, not \"x\" [invalid_type]"],
            ),
            (
                r#"{"kind":"cube"}"#,
                &["object | object was expected, not an object [invalid_type]"],
            ),
        ],
    );
    check(
        r#"{"enum":["name","mail",7,null]}"#,
        &["\"name\"", "7", "7.0", "null"],
        &[(
            "\"phone\"",
            &["null | \"mail\" | \"name\" | 7 was expected, not \"phone\" [invalid_value]"],
        )],
    );
    // An `Option` is what it holds, or nothing.
    check(
        r#"{"type":["integer","null"],"minimum":3}"#,
        &["null", "3"],
        &[("2", &["integer from 3 was expected, not 2 [invalid_value]"])],
    );
}

#[test]
fn definitions_may_hold_themselves() {
    let tree = r##"{"$ref":"#/$defs/Tree","$defs":{"Tree":{"type":"object","properties":{
        "value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/Tree"}}},
        "required":["value"]}}}"##;
    check(
        tree,
        &[r#"{"value":1,"children":[{"value":2},{"value":3,"children":[]}]}"#],
        &[(
            r#"{"value":1,"children":[{"value":2},{"children":[{"value":"x"}]}]}"#,
            &[
                "children[1].value: missing field `value` [missing_field]",
                "children[1].children[0].value: integer was expected, not \"x\" [invalid_type]",
            ],
        )],
    );
}

/// What is not understood is not looked at, and what only some formats can say is what it stands for.
#[test]
fn what_is_not_understood_passes() {
    for text in [
        "true",
        r#"{"type":"string","pattern":"^a"}"#,
        r#"{"type":"string","format":"date-time"}"#,
        r#"{"not":{"type":"string"}}"#,
        r#"{"type":"string","x-anything":1}"#,
    ] {
        check(text, &["\"b\""], &[]);
    }
    let date = of_result(r#"{"type":"string","format":"date-time"}"#);
    let tagged = Value::Tag(0, Box::new("2020-01-01T00:00:00Z".into()));
    assert_eq!(date.result(&tagged), []);
    assert_eq!(date.result(&Value::Ext(-1, vec![0; 4])), []);
    let bytes =
        of_result(r#"{"type":"array","items":{"type":"integer","format":"uint8"},"maxItems":3}"#);
    assert_eq!(bytes.result(&Value::Bytes(vec![0, 255])), []);
    assert_eq!(bytes.result(&Value::Bytes(vec![0; 4])).len(), 1);
    let small = of_result(r#"{"type":"array","items":{"type":"integer","maximum":9}}"#);
    assert_eq!(small.result(&Value::Bytes(vec![0, 10])).len(), 1);
    // Names of members are numbers in some formats.
    let map = of_result(r#"{"type":"object","additionalProperties":{"type":"integer"}}"#);
    assert_eq!(map.result(&Value::Map(vec![(7.into(), 1.into())])), []);
    let wrong = map.result(&Value::Map(vec![(7.into(), "x".into())]));
    assert_eq!(wrong[0].to_string(), "7: integer was expected, not \"x\"");
}

fn separate() -> Validator {
    let integer = || schema(r#"{"type":"integer","minimum":0}"#);
    of(Method::new("take", MethodKind::Unary)
        .with_param(Param::new("a").with_schema(integer()))
        .with_param(Param::new("b").with_schema(integer()).with_default(1))
        .with_param(Param::new("c").with_schema(integer()).optional())
        .with_param(Param::new("d").optional()))
}

fn params(validator: &Validator, value: &str) -> Vec<String> {
    let faults = validator.params(&json(value));
    faults
        .iter()
        .map(|fault| format!("{} [{}]", fault, fault.kind))
        .collect()
}

#[test]
fn params_come_in_order_or_by_name() {
    let validator = separate();
    for fit in [
        "[1]",
        "[1,2]",
        "[1,2,null]",
        "[1,2,3,\"anything\"]",
        r#"{"a":1}"#,
        r#"{"c":null,"a":1,"b":2}"#,
        // All of them as one object, on a wire with positions.
        r#"[{"a":1,"b":2}]"#,
    ] {
        assert_eq!(params(&validator, fit), [""; 0], "{fit}");
    }
    for (wrong, faults) in [
        (
            "null",
            &["a: param `a` is missing [missing_field]"] as &[&str],
        ),
        ("[]", &["a: param `a` is missing [missing_field]"]),
        ("{}", &["a: param `a` is missing [missing_field]"]),
        (
            "[-1]",
            &["a: integer from 0 was expected, not -1 [invalid_value]"],
        ),
        (
            r#"{"a":-1}"#,
            &["a: integer from 0 was expected, not -1 [invalid_value]"],
        ),
        // Null is absent for what is optional, and a value elsewhere.
        (
            "[1,null]",
            &["b: integer from 0 was expected, not null [invalid_type]"],
        ),
        (
            r#"{"a":"x","c":"y","e":1}"#,
            &[
                "a: integer from 0 was expected, not \"x\" [invalid_type]",
                "c: integer from 0 was expected, not \"y\" [invalid_type]",
                "unknown param `e` [unknown_field]",
            ],
        ),
        (
            "[1,2,3,4,5]",
            &["at most 4 params were expected, not 5 [invalid_length]"],
        ),
        (
            "7",
            &["an array or a map of params was expected [invalid_type]"],
        ),
    ] {
        assert_eq!(params(&validator, wrong), faults, "{wrong}");
    }
}

#[test]
fn one_object_is_all_of_them_or_the_only_element() {
    let object =
        schema(r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#);
    let object = Method::new("greet", MethodKind::Unary)
        .with_object(Param::new("params").with_schema(object));
    let validator = of(object);
    for fit in [r#"{"name":"a"}"#, r#"[{"name":"a"}]"#] {
        assert_eq!(params(&validator, fit), [""; 0], "{fit}");
    }
    assert_eq!(
        params(&validator, r#"{"name":1}"#),
        ["name: text was expected, not 1 [invalid_type]"]
    );
    // One param that is a list may stand alone.
    let list = schema(r#"{"type":"array","items":{"type":"integer"}}"#);
    let list =
        of(Method::new("sum", MethodKind::Unary).with_param(Param::new("all").with_schema(list)));
    for fit in ["[[1,2]]", "[1,2]", r#"{"all":[1]}"#] {
        assert_eq!(params(&list, fit), [""; 0], "{fit}");
    }
    assert_eq!(
        params(&list, "[[\"x\"]]"),
        ["all[0]: integer was expected, not \"x\" [invalid_type]"]
    );
}

#[test]
fn streams_and_methods_without_schemas_are_passed_over() {
    let integer = || schema(r#"{"type":"integer"}"#);
    let sum = Method::new("sum", MethodKind::ClientStream)
        .with_param(Param::new("factor").with_schema(integer()))
        .with_param(Param::stream("all").with_schema(integer()));
    let validator = of(sum);
    assert_eq!(params(&validator, r#"[2,{"$stream":1}]"#), [""; 0]);
    assert!(!validator.checks_results());
    let bare = Method::new("bare", MethodKind::Unary).with_param(Param::new("a"));
    let contract = Contract::new("test").with_method(bare).unwrap();
    assert!(contract.validators().unwrap().is_empty());
}

/// Work is bounded by the size of the value, whatever the schema says.
#[test]
fn a_value_that_takes_too_much_work_is_refused() {
    // Twenty alternatives at each of many levels, of which none fits at the bottom.
    let level = |number: usize| {
        let alternatives: Vec<String> = (0..20)
            .map(|other| {
                format!(
                    r##"{{"type":"object","properties":{{"next":{{"$ref":"#/$defs/L{number}"}},"o{other}":true}},"required":["next"]}}"##
                )
            })
            .collect();
        format!(r#"{{"anyOf":[{}]}}"#, alternatives.join(","))
    };
    const LEVELS: usize = 12;
    let mut definitions = vec![r#""L0":{"type":"integer"}"#.to_owned()];
    for number in 1..LEVELS {
        definitions.push(format!(r#""L{number}":{}"#, level(number - 1)));
    }
    let text = format!(
        r##"{{"$ref":"#/$defs/L{}","$defs":{{{}}}}}"##,
        LEVELS - 1,
        definitions.join(",")
    );
    let validator = of_result(&text);
    let nested = |bottom: &str| {
        let mut value = bottom.to_owned();
        for _ in 1..LEVELS {
            value = format!(r#"{{"next":{value}}}"#);
        }
        json(&value)
    };
    assert_eq!(told(&validator, &nested("1")), [""; 0]);
    assert_eq!(
        told(&validator, &nested("\"x\"")),
        ["the value takes too much work to be checked [too_complex]"]
    );
    // Many faults are told in part.
    let list = of_result(r#"{"type":"array","items":{"type":"integer"}}"#);
    let many: Value = (0..1000).map(|_| Value::from("x")).collect();
    assert_eq!(list.result(&many).len(), 32);
}

/// The schema, and what of it is not looked at.
fn unchecked(text: &str, expected: &[&str]) {
    let found = of_result(text).unchecked();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_is_not_looked_at_is_said() {
    unchecked(
        r#"{"type":"string","pattern":"^a"}"#,
        &["`pattern` of result"],
    );
    unchecked(
        r#"{"type":"array","items":{"type":"object","properties":{"tags":{"type":"array","uniqueItems":true}}}}"#,
        &["`uniqueItems` of result.items.tags"],
    );
    for keyword in ["contains", "unevaluatedItems"] {
        let text = format!(r#"{{"type":"array","{keyword}":{{"type":"null"}}}}"#);
        unchecked(&text, &[&format!("`{keyword}` of result")]);
    }
    for keyword in ["dependentSchemas", "patternProperties"] {
        let text = format!(r#"{{"type":"object","{keyword}":{{"a":true}}}}"#);
        unchecked(&text, &[&format!("`{keyword}` of result")]);
    }
    unchecked(
        r#"{"type":"object","propertyNames":{"maxLength":3}}"#,
        &["`propertyNames` of result"],
    );
    // Conditions, and what nobody knows.
    unchecked(
        r#"{"if":{"type":"null"},"then":true,"else":false}"#,
        &["`else` of result"],
    );
    unchecked(
        r#"{"type":"integer","not":{"const":3}}"#,
        &["`not` of result"],
    );
    unchecked(
        r#"{"type":"integer","minumum":3}"#,
        &["`minumum` of result"],
    );
    unchecked(
        r#"{"type":"number","multipleOf":0.5}"#,
        &["`multipleOf` of result"],
    );
    // Known one by one, and not together.
    unchecked(r#"{"const":3,"minimum":1}"#, &["`const` of result"]);
    unchecked(
        r#"{"allOf":[{"type":"string"},{"minLength":3}]}"#,
        &["`allOf` of result"],
    );
    unchecked(r##"{"$ref":"#/$defs/Nobody"}"##, &["`$ref` of result"]);
    unchecked(r#"{"type":"thing"}"#, &["`type` of result"]);
}

#[test]
fn what_is_looked_at_and_what_is_a_note_is_not_said() {
    for text in [
        "true",
        "false",
        r#"{"type":"string","format":"date-time","title":"when","minLength":3,"x-unit":"s"}"#,
        r#"{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}"#,
        r#"{"type":"integer","format":"uint8","multipleOf":2,"exclusiveMinimum":0}"#,
        r#"{"type":"number","format":"double","maximum":2.5}"#,
        r#"{"type":"array","prefixItems":[{"type":"null"}],"items":false,"minItems":1,"uniqueItems":false}"#,
        r#"{"type":"object","properties":{"a":{"enum":["b",null]}},"required":["a"],"additionalProperties":{"type":"boolean"},"minProperties":1}"#,
        r#"{"oneOf":[{"type":"null"},{"type":"object","properties":{"kind":{"const":"a"}}}]}"#,
    ] {
        unchecked(text, &[]);
    }
}

#[test]
fn definitions_are_looked_into_once() {
    let tree = schema(
        r##"{"type":"object","properties":{"name":{"type":"string","pattern":"a"},"left":{"$ref":"#/$defs/Tree"},"right":{"$ref":"#/$defs/Tree"}}}"##,
    );
    let root = schema(r##"{"$ref":"#/$defs/Tree"}"##);
    let method = Method::new("grow", MethodKind::Unary)
        .with_param(Param::new("tree").with_schema(root.clone()))
        .with_result(root);
    let contract = Contract::new("test")
        .with_definition("Tree", tree)
        .and_then(|contract| contract.with_method(method))
        .unwrap();
    let (_, validator) = &contract.validators().unwrap()[0];
    let found = validator.unchecked();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].to_string(), "`pattern` of params.tree.name");
}
