//! Documents in the words of others.

use super::{contract, schema};
use crate::clamator::{self, Target, zod_form};
use crate::{Contract, ContractError, Manifest, Method, MethodKind, Param, openrpc};

/// Schemas and hashes that the real generator gave (zod 3.25.76, zod-to-json-schema 3.25.2).
#[test]
fn known_hashes_of_clamator_come_out() {
    let integer = || schema(r#"{"type":"integer"}"#);
    let number = || schema(r#"{"type":"number"}"#);
    let arith = Contract::new("arith")
        .with_method(
            Method::new("add", MethodKind::Unary)
                .with_param(Param::new("a").with_schema(integer()))
                .with_param(Param::new("b").with_schema(integer()))
                .with_result(schema(r#"{"type":"object","properties":{"sum":{"type":"integer"}},"required":["sum"],"additionalProperties":false}"#)),
        )
        .unwrap()
        .with_method(
            Method::new("addB", MethodKind::Unary)
                .with_param(Param::new("q").with_schema(number()))
                .with_param(Param::new("r").with_schema(integer()))
                .with_result(schema(r#"{"type":"object","properties":{},"additionalProperties":false}"#)),
        )
        .unwrap();
    let notifications = Contract::new("notifications")
        .with_method(
            Method::new("ping", MethodKind::Notification).with_param(
                Param::new("tag")
                    .optional()
                    .with_schema(schema(r#"{"type":"string"}"#)),
            ),
        )
        .unwrap();
    let text = clamator::manifest(
        &[notifications, arith],
        "@clamator/codegen v0.1.9",
        Target::JsonSchema7,
    )
    .unwrap();
    assert_eq!(
        text,
        r#"{
  "generatedBy": "@clamator/codegen v0.1.9",
  "contracts": {
    "arith": {
      "add": {
        "paramsHash": "e5d51ce338d3a4663c3aad0cc8c2fa88767a2ccfe5db2ab9c6a45d65b64ba131",
        "resultHash": "4ae7f2c4bfaa06d44262d095f81415a845d0df08b6b10e542234e5933cc02af8"
      },
      "addB": {
        "paramsHash": "bcecd04471822f2ec1ebf6c6d9c986475ed4ac2d7d905772eaa93888fef6bc69",
        "resultHash": "6c9f16e97bc4049d69d6b4679008d06cc12612156d3db99d0dec1fee3d320091"
      }
    },
    "notifications": {
      "ping": {
        "paramsHash": "8c0dc31e45bc656504171a30f477aa20e6894cd5c0f7e9f742c853c2d441df05",
        "resultHash": null
      }
    }
  }
}
"#
    );
}

#[test]
fn what_clamator_cannot_say_is_an_error() {
    let refused = |service: &str, method: Method| {
        let contract = Contract::new(service).with_method(method).unwrap();
        clamator::manifest(&[contract], "x", Target::OpenApi3).unwrap_err()
    };
    let unary = |name: &str| Method::new(name, MethodKind::Unary);
    assert!(matches!(
        refused("Arith", unary("m")),
        ContractError::Name {
            what: "service",
            ..
        }
    ));
    assert!(matches!(
        refused("a_b", unary("m")),
        ContractError::Name { .. }
    ));
    assert!(matches!(
        refused("s", unary("a-b")),
        ContractError::Name { what: "method", .. }
    ));
    assert!(matches!(
        refused("s", unary("m\n")),
        ContractError::Name { .. }
    ));
    let stream = Method::new("m", MethodKind::ServerStream);
    assert!(matches!(refused("s", stream), ContractError::Shape { .. }));
    let callback = unary("m").with_param(Param::callback("f"));
    assert!(matches!(
        refused("s", callback),
        ContractError::Shape { .. }
    ));
    let missing = unary("m").with_result(schema(r##"{"$ref":"#/$defs/Gone"}"##));
    assert!(matches!(
        refused("s", missing),
        ContractError::Reference { .. }
    ));
}

#[test]
fn references_are_put_in_and_a_type_within_itself_is_anything() {
    let result = r##"{"$ref":"#/$defs/Node","$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"item":{"$ref":"#/$defs/Item","default":1}}},"Item":{"type":"integer"}}}"##;
    let contract = contract(&[], result);
    let method = contract.method("m").unwrap();
    assert_eq!(
        clamator::result_text(&contract, method, Target::OpenApi3).unwrap(),
        r#"{"type":"object","properties":{"next":{},"item":{"type":"integer","default":1}}}"#
    );
}

#[test]
fn schemars_words_become_those_of_zod() {
    let check = |from: &str, expected: &str| {
        let contract = zod_form(&contract(&[], from)).unwrap();
        assert_eq!(
            contract.method("m").unwrap().result().unwrap().to_string(),
            expected,
            "{from}"
        );
    };
    check("true", "{}");
    check(
        r#"{"type":"integer","format":"int64"}"#,
        r#"{"type":"integer"}"#,
    );
    check(
        r#"{"type":"integer","format":"uint8","minimum":0,"maximum":255}"#,
        r#"{"type":"integer","minimum":0,"maximum":255}"#,
    );
    check(
        r#"{"type":["string","null"]}"#,
        r#"{"type":["string","null"]}"#,
    );
    check(
        r#"{"type":["integer","null"],"format":"int64"}"#,
        r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#,
    );
    check(
        r#"{"oneOf":[{"type":"string","enum":["B"]},{"type":"string","const":"A","description":"a"}]}"#,
        r#"{"type":"string","enum":["B","A"]}"#,
    );
    check(
        r#"{"type":"object","description":"d","properties":{"z":{"type":["string","null"]},"a":{"type":"boolean"}},"required":["a"]}"#,
        r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"boolean"}},"required":["a"],"additionalProperties":false}"#,
    );
    check(
        r#"{"type":"object","additionalProperties":{"type":"number","format":"double"}}"#,
        r#"{"type":"object","additionalProperties":{"type":"number"}}"#,
    );
    check(
        r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"boolean"}],"minItems":2,"maxItems":2}"#,
        r#"{"type":"array","minItems":2,"maxItems":2,"items":[{"type":"string"},{"type":"boolean"}]}"#,
    );
    check(
        r#"{"type":"integer","format":"uint32","minimum":0,"default":7}"#,
        r#"{"type":"integer","minimum":0,"default":7}"#,
    );
}

#[test]
fn definitions_of_one_name_stand_apart_in_openrpc() {
    let of = |service: &str, inner: &str| {
        let result = schema(&format!(
            r##"{{"$ref":"#/$defs/T","$defs":{{"T":{inner}}}}}"##
        ));
        Contract::new(service)
            .with_method(Method::new("m", MethodKind::Unary).with_result(result))
            .unwrap()
    };
    let manifest = Manifest::new([
        of("a", r#"{"type":"string"}"#),
        of("b", r#"{"type":"string"}"#),
        of("c", r#"{"type":"null"}"#),
    ])
    .unwrap();
    let document = openrpc::document(&manifest, &openrpc::Info::new("T", "1"));
    assert_eq!(
        document
            .matches(r##""$ref": "#/components/schemas/T""##)
            .count(),
        2
    );
    assert_eq!(
        document
            .matches(r##""$ref": "#/components/schemas/c.T""##)
            .count(),
        1
    );
}
