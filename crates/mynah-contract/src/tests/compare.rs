//! What a change breaks: each line of the tables is one change of a schema, in the place of a param and of a result.

use super::{contract, schema};
use crate::{Comparison, Contract, ErrorEntry, Event, Method, MethodKind, Param, Verdict};

/// What is said of a change of `old` to `new` as a param, and as a result.
fn check(old: &str, new: &str, as_param: &[&str], as_result: &[&str]) {
    let told = |old: Contract, new: Contract| -> Vec<String> {
        let comparison = Comparison::of(&old.manifest(), &new.manifest());
        let changes = comparison.changes().iter();
        changes
            .map(|change| change.to_string().replace(": s.m ", ": "))
            .collect()
    };
    let params = told(
        contract(&[("p", old)], "true"),
        contract(&[("p", new)], "true"),
    );
    assert_eq!(params, as_param, "as a param: {old} to {new}");
    let results = told(contract(&[], old), contract(&[], new));
    assert_eq!(results, as_result, "as a result: {old} to {new}");
}

fn object(fields: &str, required: &str) -> String {
    format!(r#"{{"type":"object","properties":{{{fields}}},"required":[{required}]}}"#)
}

#[test]
fn fields_come_and_go() {
    let none = object("", "");
    let optional = object(r#""a":{"type":"string"}"#, "");
    let required = object(r#""a":{"type":"string"}"#, r#""a""#);
    check(
        &none,
        &optional,
        &["compatible: params.p.a: optional field added"],
        &["compatible: result.a: optional field added"],
    );
    check(
        &none,
        &required,
        &["breaking: params.p.a: required field added"],
        &["needs both sides: result.a: required field added"],
    );
    check(
        &required,
        &none,
        &["needs both sides: params.p.a: required field removed"],
        &["breaking: result.a: required field removed"],
    );
    check(
        &optional,
        &none,
        &["compatible: params.p.a: optional field removed"],
        &["compatible: result.a: optional field removed"],
    );
    check(
        &required,
        &optional,
        &["needs both sides: params.p.a: became optional"],
        &["breaking: result.a: became optional"],
    );
    check(
        &optional,
        &required,
        &["breaking: params.p.a: became required"],
        &["needs both sides: result.a: became required"],
    );
}

#[test]
fn closed_objects_refuse_what_they_do_not_know() {
    let closed = |fields: &str, required: &str| {
        format!(
            r#"{{"type":"object","properties":{{{fields}}},"required":[{required}],"additionalProperties":false}}"#
        )
    };
    let none = closed("", "");
    let optional = closed(r#""a":{"type":"string"}"#, "");
    check(
        &none,
        &optional,
        // An old server refuses it when a new client sends it.
        &["needs both sides: params.p.a: optional field added"],
        &["breaking: result.a: optional field added"],
    );
    check(
        &optional,
        &none,
        &["breaking: params.p.a: optional field removed"],
        &["needs both sides: result.a: optional field removed"],
    );
    check(
        &object("", ""),
        &none,
        &["compatible: params.p: unknown fields are refused now"],
        &["compatible: result: unknown fields are refused now"],
    );
}

#[test]
fn types_widen_narrow_and_change() {
    check(
        r#"{"type":"integer","format":"uint8","minimum":0,"maximum":255}"#,
        r#"{"type":"integer","format":"uint16","minimum":0,"maximum":65535}"#,
        &[
            "needs both sides: params.p: type widened from integer from 0 to 255 to integer from 0 to 65535",
        ],
        &["breaking: result: type widened from integer from 0 to 255 to integer from 0 to 65535"],
    );
    check(
        r#"{"type":"integer","minimum":0}"#,
        r#"{"type":"integer","minimum":1}"#,
        &["breaking: params.p: type narrowed from integer from 0 to integer from 1"],
        &["needs both sides: result: type narrowed from integer from 0 to integer from 1"],
    );
    check(
        r#"{"type":"integer"}"#,
        r#"{"type":"string"}"#,
        &["breaking: params.p: type changed from integer to text"],
        &["breaking: result: type changed from integer to text"],
    );
    check(
        r#"{"type":"integer","format":"uint32","minimum":0}"#,
        r#"{"type":"integer","format":"int32"}"#,
        &[
            "breaking: params.p: type changed from integer from 0 to 4294967295 to integer from -2147483648 to 2147483647",
        ],
        &[
            "breaking: result: type changed from integer from 0 to 4294967295 to integer from -2147483648 to 2147483647",
        ],
    );
    check(
        r#"{"type":"integer"}"#,
        r#"{"type":"number"}"#,
        &["needs both sides: params.p: type widened from integer to number"],
        &["breaking: result: type widened from integer to number"],
    );
    check(
        r#"{"type":"string"}"#,
        r#"{"type":"string","format":"uuid"}"#,
        &["breaking: params.p: type narrowed from text to text, format uuid"],
        &["needs both sides: result: type narrowed from text to text, format uuid"],
    );
    check(
        r#"{"type":"string"}"#,
        "true",
        &["needs both sides: params.p: type widened from text to anything"],
        &["breaking: result: type widened from text to anything"],
    );
    check(
        r#"{"type":"string","maxLength":3}"#,
        r#"{"type":"string","pattern":"^a"}"#,
        &["breaking: params.p: type changed from text, at most 3 long to text, pattern ^a"],
        &["breaking: result: type changed from text, at most 3 long to text, pattern ^a"],
    );
}

#[test]
fn null_is_told_apart_from_absence() {
    check(
        r#"{"type":"string"}"#,
        r#"{"type":["string","null"]}"#,
        &["needs both sides: params.p: may be null now"],
        &["breaking: result: may be null now"],
    );
    check(
        r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
        r#"{"type":"string"}"#,
        &["breaking: params.p: may not be null any more"],
        &["needs both sides: result: may not be null any more"],
    );
    check(
        r#"{"type":["integer","null"],"format":"uint8"}"#,
        r#"{"type":["integer","null"],"format":"uint16"}"#,
        &[
            "needs both sides: params.p: type widened from integer from 0 to 255 to integer from 0 to 65535",
        ],
        &["breaking: result: type widened from integer from 0 to 255 to integer from 0 to 65535"],
    );
}

#[test]
fn values_of_enums_come_and_go() {
    let two = r#"{"type":"string","enum":["A","B"]}"#;
    let three =
        r#"{"oneOf":[{"type":"string","enum":["A","B"]},{"const":"C","description":"new"}]}"#;
    check(
        two,
        three,
        &["needs both sides: params.p: enum value \"C\" added"],
        &["breaking: result: enum value \"C\" added"],
    );
    check(
        three,
        two,
        &["breaking: params.p: enum value \"C\" removed"],
        &["needs both sides: result: enum value \"C\" removed"],
    );
    check(
        r#"{"type":"string"}"#,
        two,
        &["breaking: params.p: type narrowed from text to \"A\" | \"B\""],
        &["needs both sides: result: type narrowed from text to \"A\" | \"B\""],
    );
}

#[test]
fn variants_are_told_by_their_tag() {
    let external = |more: &str| {
        format!(
            r#"{{"oneOf":[{{"type":"string","enum":["None"]}},
                {{"type":"object","properties":{{"Circle":{{"type":"object","properties":{{"r":{{"type":"number"}}}},"required":["r"]}}}},"required":["Circle"],"additionalProperties":false}}{more}]}}"#
        )
    };
    let square = r#",{"type":"object","properties":{"Square":{"type":"number"}},"required":["Square"],"additionalProperties":false}"#;
    check(
        &external(""),
        &external(square),
        &["needs both sides: params.p: variant Square added"],
        &["breaking: result: variant Square added"],
    );
    let wider = external("").replace(r#""type":"number""#, r#""type":"string""#);
    check(
        &external(""),
        &wider,
        &["breaking: params.p<Circle>.Circle.r: type changed from number to text"],
        &["breaking: result<Circle>.Circle.r: type changed from number to text"],
    );
    let internal = |extra: &str| {
        format!(
            r#"{{"oneOf":[{{"type":"object","properties":{{"kind":{{"const":"a"}}}},"required":["kind"]}},
                {{"type":"object","properties":{{"kind":{{"const":"b"}},"x":{{"type":"integer"}}{extra}}},"required":["kind","x"]}}]}}"#
        )
    };
    check(
        &internal(""),
        &internal(r#","y":{"type":"null"}"#),
        &["compatible: params.p<kind=b>.y: optional field added"],
        &["compatible: result<kind=b>.y: optional field added"],
    );
}

#[test]
fn lists_tuples_and_maps_are_looked_into() {
    check(
        r#"{"type":"array","items":{"type":"integer","minimum":0}}"#,
        r#"{"type":"array","items":{"type":"integer"}}"#,
        &["needs both sides: params.p[]: type widened from integer from 0 to integer"],
        &["breaking: result[]: type widened from integer from 0 to integer"],
    );
    check(
        r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"minItems":2,"maxItems":2}"#,
        r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"string"}],"minItems":2,"maxItems":2}"#,
        &["breaking: params.p[1]: type changed from integer to text"],
        &["breaking: result[1]: type changed from integer to text"],
    );
    check(
        r#"{"type":"array","items":true,"maxItems":3}"#,
        r#"{"type":"array","items":true}"#,
        &["needs both sides: params.p: type widened from list of at most 3 to list"],
        &["breaking: result: type widened from list of at most 3 to list"],
    );
    check(
        r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        r#"{"type":"object","additionalProperties":{"type":"number"}}"#,
        &["needs both sides: params.p{}: type widened from integer to number"],
        &["breaking: result{}: type widened from integer to number"],
    );
    check(
        r#"{"type":"array","items":true,"uniqueItems":true}"#,
        r#"{"type":"array","items":true}"#,
        &["needs both sides: params.p: type widened from list, uniqueItems to list"],
        &["breaking: result: type widened from list, uniqueItems to list"],
    );
}

#[test]
fn defaults_of_fields_are_told_and_break_nothing() {
    check(
        r#"{"type":"object","properties":{"n":{"type":"integer","default":1}}}"#,
        r#"{"type":"object","properties":{"n":{"type":"integer","default":2}}}"#,
        &["compatible: params.p.n: default changed from 1 to 2"],
        &["compatible: result.n: default changed from 1 to 2"],
    );
}

#[test]
fn words_for_people_and_names_of_types_are_no_change() {
    check(
        r##"{"$ref":"#/$defs/Pair","$defs":{"Pair":{"type":"object","title":"Pair","properties":{"a":{"type":"string"}}}}}"##,
        r##"{"$ref":"#/$defs/Couple","$defs":{"Couple":{"type":"object","description":"Two.","properties":{"a":{"type":"string","examples":["x"]}}}}}"##,
        &[],
        &[],
    );
}

#[test]
fn types_that_contain_themselves_are_compared() {
    let node = |value: &str, next: &str| {
        format!(
            r##"{{"$ref":"#/$defs/Node","$defs":{{"Node":{{"type":"object","properties":{{"value":{{"type":"{value}"}},
                "next":{{"anyOf":[{{"$ref":"{next}"}},{{"type":"null"}}]}}}},"required":["value"]}}}}}}"##
        )
    };
    let one = node("integer", "#/$defs/Node");
    check(&one, &one, &[], &[]);
    check(
        &one,
        &node("string", "#/$defs/Node"),
        &["breaking: params.p.value: type changed from integer to text"],
        &["breaking: result.value: type changed from integer to text"],
    );
    // The same, unrolled once.
    let unrolled = r##"{"$ref":"#/$defs/A","$defs":{
        "A":{"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/B"},{"type":"null"}]}},"required":["value"]},
        "B":{"type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/A"},{"type":"null"}]}},"required":["value"]}}}"##;
    check(&one, unrolled, &[], &[]);
    // A whole that refers to itself.
    let itself = r##"{"title":"N","type":"object","properties":{"value":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["value"]}"##;
    check(&one, itself, &[], &[]);
}

#[test]
fn what_is_not_understood_is_not_called_compatible() {
    check(
        r#"{"not":{"const":1}}"#,
        r#"{"not":{"const":2}}"#,
        &[r#"breaking: params.p: type changed from {"not":{"const":1}} to {"not":{"const":2}}"#],
        &[r#"breaking: result: type changed from {"not":{"const":1}} to {"not":{"const":2}}"#],
    );
    check(
        r#"{"type":"object","properties":{},"minProperties":1}"#,
        r#"{"type":"object","properties":{}}"#,
        &[
            r#"needs both sides: params.p: type widened from object with {"minProperties":1} to object with {}"#,
        ],
        &[
            r#"breaking: result: type widened from object with {"minProperties":1} to object with {}"#,
        ],
    );
}

fn told(old: &Contract, new: &Contract) -> Vec<String> {
    let comparison = Comparison::of(&old.manifest(), &new.manifest());
    comparison
        .changes()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn of(method: Method) -> Contract {
    Contract::new("s").with_method(method).unwrap()
}

fn unary() -> Method {
    Method::new("m", MethodKind::Unary)
}

#[test]
fn params_come_go_move_and_are_renamed() {
    let ab = of(unary()
        .with_param(Param::new("a"))
        .with_param(Param::new("b")));
    let with = |param: Param| {
        of(unary()
            .with_param(Param::new("a"))
            .with_param(Param::new("b"))
            .with_param(param))
    };
    assert_eq!(
        told(&ab, &with(Param::new("c"))),
        ["breaking: s.m params.c: required param added"]
    );
    assert_eq!(
        told(&ab, &with(Param::new("c").with_default(5))),
        ["needs both sides: s.m params.c: optional param added"]
    );
    assert_eq!(
        told(&with(Param::new("c").optional()), &ab),
        ["breaking: s.m params.c: param removed"]
    );
    assert_eq!(
        told(
            &with(Param::new("c").with_default(5)),
            &with(Param::new("c").with_default(6))
        ),
        ["compatible: s.m params.c: default changed from 5 to 6"]
    );
    assert_eq!(
        told(&with(Param::new("c").optional()), &with(Param::new("c"))),
        ["breaking: s.m params.c: became required"]
    );
    let renamed = of(unary()
        .with_param(Param::new("a"))
        .with_param(Param::new("z")));
    assert_eq!(
        told(&ab, &renamed),
        ["breaking: s.m params.b: param renamed to z"]
    );
    let swapped = of(unary()
        .with_param(Param::new("b"))
        .with_param(Param::new("a")));
    assert_eq!(
        told(&ab, &swapped),
        [
            "breaking: s.m params.a: param moved from position 0 to 1",
            "breaking: s.m params.b: param moved from position 1 to 0"
        ]
    );
    let inserted = of(unary()
        .with_param(Param::new("a"))
        .with_param(Param::new("n").optional())
        .with_param(Param::new("b")));
    assert_eq!(
        told(&ab, &inserted),
        [
            "breaking: s.m params.b: param moved from position 1 to 2",
            "needs both sides: s.m params.n: optional param added"
        ]
    );
}

#[test]
fn kinds_streams_and_callbacks_have_their_own_direction() {
    let kind = |kind| of(Method::new("m", kind));
    assert_eq!(
        told(&kind(MethodKind::Unary), &kind(MethodKind::ServerStream)),
        ["breaking: s.m: kind changed from unary to server-stream"]
    );
    let (small, large) = (
        schema(r#"{"type":"integer","minimum":0}"#),
        schema(r#"{"type":"integer"}"#),
    );
    let stream = |items| {
        of(Method::new("m", MethodKind::ClientStream)
            .with_param(Param::stream("x").with_schema(items)))
    };
    assert_eq!(
        told(&stream(small.clone()), &stream(large.clone())),
        ["needs both sides: s.m params.x[]: type widened from integer from 0 to integer"]
    );
    // The server writes what a callback is told, and reads what it gives back.
    let callback = |told, reply| {
        of(unary().with_param(
            Param::asked_callback("f")
                .with_schema(told)
                .with_reply(reply),
        ))
    };
    assert_eq!(
        told(
            &callback(small.clone(), small.clone()),
            &callback(large.clone(), small.clone())
        ),
        ["breaking: s.m params.f(): type widened from integer from 0 to integer"]
    );
    assert_eq!(
        told(
            &callback(small.clone(), small.clone()),
            &callback(small.clone(), large.clone())
        ),
        ["needs both sides: s.m params.f() reply: type widened from integer from 0 to integer"]
    );
    let value = of(unary().with_param(Param::new("f")));
    assert_eq!(
        told(&value, &callback(small, large)),
        ["breaking: s.m params.f: value became asked-callback"]
    );
}

#[test]
fn methods_services_events_errors_and_promises() {
    let empty = Contract::new("s");
    let one = of(unary());
    assert_eq!(told(&empty, &one), ["needs both sides: s.m: method added"]);
    assert_eq!(told(&one, &empty), ["breaking: s.m: method removed"]);
    assert_eq!(
        told(&one, &Contract::new("t")),
        [
            "breaking: s: service removed",
            "needs both sides: t: service added"
        ]
    );
    let event = |text| {
        Contract::new("s")
            .with_event(Event::new("s.e").with_message(schema(text)))
            .unwrap()
    };
    assert_eq!(
        told(
            &event(r#"{"type":"integer"}"#),
            &event(r#"{"type":"number"}"#)
        ),
        ["breaking: s.e message: type widened from integer to number"]
    );
    assert_eq!(
        told(&event("true"), &empty),
        ["breaking: s.e: event removed"]
    );
    assert_eq!(
        told(&empty, &event("true")),
        ["needs both sides: s.e: event added"]
    );
    let error = of(unary().with_error(ErrorEntry::new(1, "no")));
    assert_eq!(told(&one, &error), ["compatible: s.m: error 1 added"]);
    assert_eq!(told(&error, &one), ["compatible: s.m: error 1 removed"]);
    let again = of(unary().idempotent());
    assert_eq!(
        told(&one, &again),
        ["needs both sides: s.m: idempotent now"]
    );
    assert_eq!(told(&again, &one), ["breaking: s.m: no longer idempotent"]);
    let admin = of(unary().with_role("admin"));
    assert_eq!(
        told(&one, &admin),
        ["compatible: s.m: roles changed from none to admin"]
    );
    let typed = of(unary().with_result(schema("true")));
    assert_eq!(
        told(&typed, &one),
        ["compatible: s.m result: there is no schema any more to compare with"]
    );
    assert_eq!(
        told(&one, &typed),
        ["compatible: s.m result: there was no schema to compare with"]
    );
    let object = of(unary().with_object(Param::new("p")));
    let separate = of(unary().with_param(Param::new("p")));
    assert_eq!(
        told(&separate, &object),
        ["breaking: s.m params: separate params became one object, or the other way round"]
    );
}

#[test]
fn verdicts_are_asked_for_each_method() {
    let old = of(unary())
        .with_method(Method::new("n", MethodKind::Unary))
        .unwrap();
    let new = of(Method::new("n", MethodKind::Unary));
    let comparison = Comparison::of(&old.manifest(), &new.manifest());
    assert_eq!(comparison.verdict(), Verdict::Breaking);
    assert_eq!(comparison.verdict_of("s", "m"), Verdict::Breaking);
    assert_eq!(comparison.verdict_of("s", "n"), Verdict::Compatible);
    assert_eq!(
        comparison.to_string(),
        "breaking\n  breaking: s.m: method removed"
    );
    assert!(Comparison::of(&old.manifest(), &old.manifest()).is_empty());
}
