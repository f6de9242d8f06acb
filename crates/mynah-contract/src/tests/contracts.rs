//! What a contract takes, and what becomes of definitions.

use super::{contract, schema};
use crate::{Contract, ContractError, ErrorEntry, Event, Method, MethodKind, Param, Schema};

#[test]
fn names_that_are_there_twice_are_refused() {
    let unary = |name: &str| Method::new(name, MethodKind::Unary);
    let twice = |result: Result<Contract, ContractError>, expected: &str| match result {
        Err(ContractError::Duplicate { what, name }) => {
            assert_eq!(format!("{what} {name}"), expected);
        }
        other => panic!("{other:?}"),
    };
    let one = || Contract::new("s").with_method(unary("m")).unwrap();
    twice(one().with_method(unary("m")), "method m");
    let params = unary("n")
        .with_param(Param::new("a"))
        .with_param(Param::new("a"));
    twice(one().with_method(params), "param a");
    let errors = unary("n")
        .with_error(ErrorEntry::new(1, ""))
        .with_error(ErrorEntry::new(1, ""));
    twice(one().with_method(errors), "code 1");
    let event = one()
        .with_event(Event::new("e"))
        .unwrap()
        .with_event(Event::new("e"));
    twice(event, "topic e");
    let definition = one()
        .with_definition("A", Schema::any())
        .unwrap()
        .with_definition("A", Schema::any());
    twice(definition, "definition A");
    assert!(matches!(
        one().with_method(unary("")),
        Err(ContractError::Name { .. })
    ));
}

#[test]
fn params_that_no_call_can_have_are_refused() {
    let refused = |method: Method| {
        let result = Contract::new("s").with_method(method);
        assert!(
            matches!(result, Err(ContractError::Shape { .. })),
            "{result:?}"
        );
    };
    refused(Method::new("m", MethodKind::Unary).with_param(Param::stream("x")));
    refused(Method::new("m", MethodKind::ClientStream));
    refused(
        Method::new("m", MethodKind::BothStreams)
            .with_param(Param::stream("x"))
            .with_param(Param::stream("y")),
    );
    refused(Method::new("m", MethodKind::Notification).with_param(Param::callback("f")));
    refused(Method::new("m", MethodKind::Unary).with_object(Param::callback("f")));
    refused(Method::new("m", MethodKind::Unary).with_param(Param::new("a").with_default(f64::NAN)));
}

#[test]
fn definitions_that_schemas_bring_along_are_shared_or_renamed() {
    let pair = |inner: &str| {
        format!(
            r##"{{"$ref":"#/$defs/Pair","$defs":{{"Pair":{{"type":"array","items":{{"$ref":"#/$defs/Item"}}}},"Item":{inner}}}}}"##
        )
    };
    let (text, number) = (r#"{"type":"string"}"#, r#"{"type":"number"}"#);
    let contract = contract(
        &[("a", &pair(text)), ("b", &pair(number)), ("c", &pair(text))],
        &pair(number),
    );
    let names: Vec<&str> = contract.definitions().map(|(name, _)| name).collect();
    assert_eq!(names, ["Item", "Item2", "Pair", "Pair2"]);
    let method = contract.method("m").unwrap();
    let params: Vec<String> = method
        .params()
        .iter()
        .map(|param| param.schema().unwrap().to_string())
        .collect();
    let reference = |name: &str| format!(r##"{{"$ref":"#/$defs/{name}"}}"##);
    assert_eq!(
        params,
        [reference("Pair"), reference("Pair2"), reference("Pair")]
    );
    assert_eq!(method.result().unwrap().to_string(), reference("Pair2"));
    assert_eq!(
        contract.definition("Pair2").unwrap().to_string(),
        r##"{"type":"array","items":{"$ref":"#/$defs/Item2"}}"##
    );
}

#[test]
fn what_is_written_can_be_read_whatever_schemas_bring_along() {
    let with = |text: &str| {
        let method = Method::new("m", MethodKind::Unary).with_result(schema(text));
        Contract::new("s").with_method(method)
    };
    for none in [
        r#"{"type":"string","$defs":{}}"#,
        r#"{"definitions":{},"type":"string"}"#,
    ] {
        let manifest = with(none).unwrap().manifest();
        let text = manifest.to_json().unwrap();
        assert_eq!(text.parse(), Ok(manifest), "{none}");
    }
    for wrong in [
        r##"{"$ref":"#/$defs/T","$defs":300}"##,
        r#"{"definitions":[]}"#,
    ] {
        let refused = with(wrong).unwrap_err();
        assert!(
            refused.to_string().contains("definitions by name"),
            "{refused}"
        );
    }
}

#[test]
fn what_is_filtered_takes_its_definitions_along() {
    let named = |name: &str| schema(&format!(r##"{{"$ref":"#/$defs/{name}"}}"##));
    let contract = Contract::new("s")
        .with_definition("A", named("B"))
        .unwrap()
        .with_definition("B", schema("true"))
        .unwrap()
        .with_definition("Secret", schema("true"))
        .unwrap()
        .with_method(Method::new("open", MethodKind::Unary).with_result(named("A")))
        .unwrap()
        .with_method(Method::new("hidden", MethodKind::Unary).with_result(named("Secret")))
        .unwrap()
        .with_event(Event::new("e"))
        .unwrap();
    let seen = contract.filtered(|method| method.name() == "open", |_| false);
    let names: Vec<&str> = seen.definitions().map(|(name, _)| name).collect();
    assert_eq!(names, ["A", "B"]);
    assert_eq!(seen.methods().len(), 1);
    assert!(seen.events().is_empty());
    let open = contract.method("open").unwrap();
    assert_eq!(seen.hash(open).unwrap(), contract.hash(open).unwrap());
}
