//! Check 34 of clamator: the manifest's hashes, and the file itself, to the byte, for schemas that zod and
//! zod-to-json-schema make.

use interop_tests::python::within;
use mynah::contract::clamator::{self, Target, zod_form};
use mynah::contract::{Contract, Method, MethodKind, Param, Schema, received, sent};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use tokio::process::Command;

const TARGETS: [(&str, Target); 2] = [
    ("jsonSchema7", Target::JsonSchema7),
    ("openApi3", Target::OpenApi3),
];

/// What the script prints.
async fn node(arguments: &[&str]) -> serde_json::Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/node/clamator_manifest.js");
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = within("node", output)
        .await
        .unwrap_or_else(|error| panic!("node does not start ({error}): run `cargo xtask test`"));
    assert!(
        output.status.success(),
        "run `cargo xtask test`, which installs what is missing: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn schema(text: &serde_json::Value) -> Schema {
    let text = text.as_str().expect("a text");
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The contracts that the script has, from the texts of their schemas.
fn contracts(texts: &serde_json::Value) -> Vec<Contract> {
    let services = texts.as_object().expect("services");
    let of_service = |(name, methods): (&String, &serde_json::Value)| {
        let methods = methods.as_object().expect("methods");
        methods
            .iter()
            .fold(Contract::new(name), |contract, (name, texts)| {
                let result = &texts["result"];
                let kind = if result.is_null() {
                    MethodKind::Notification
                } else {
                    MethodKind::Unary
                };
                let mut method = Method::new(name, kind)
                    .with_object(Param::new("params").with_schema(schema(&texts["params"])));
                if !result.is_null() {
                    method = method.with_result(schema(result));
                }
                contract.with_method(method).expect("a method")
            })
    };
    services.iter().map(of_service).collect()
}

#[tokio::test]
async fn the_manifest_file_is_the_same_to_the_byte() {
    let printed = node(&[]).await;
    for (name, target) in TARGETS {
        let contracts = contracts(&printed["texts"][name]);
        let methods: usize = contracts
            .iter()
            .map(|contract| contract.methods().len())
            .sum();
        assert!(methods >= 15, "{methods}");
        let text =
            clamator::manifest(&contracts, "@clamator/codegen v0.1.9", target).expect("a manifest");
        assert_eq!(
            text,
            printed["manifests"][name].as_str().expect("a file"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn texts_before_hashing_are_the_same_to_the_byte() {
    let printed = node(&[]).await;
    for (name, target) in TARGETS {
        let texts = &printed["texts"][name];
        for contract in contracts(texts) {
            for method in contract.methods() {
                let expected = &texts[contract.name()][method.name()];
                let params = clamator::params_text(&contract, method, target).expect("a text");
                assert_eq!(params, expected["params"].as_str().expect("a text"));
                if let Some(expected) = expected["result"].as_str() {
                    let result = clamator::result_text(&contract, method, target).expect("a text");
                    assert_eq!(result, expected);
                }
            }
        }
    }
}

#[tokio::test]
async fn names_are_sorted_as_the_generator_sorts_them() {
    let printed = node(&["names", "2000"]).await;
    let names: Vec<&str> = printed
        .as_array()
        .expect("names")
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    assert_eq!(names.len(), 2000);
    let mut shuffled = names.clone();
    shuffled.sort_unstable();
    assert_ne!(shuffled, names, "another order than that of bytes");
    let contract = shuffled.iter().fold(Contract::new("s"), |contract, name| {
        contract
            .with_method(Method::new(*name, MethodKind::Unary))
            .expect("a method")
    });
    let text = clamator::manifest(&[contract], "x", Target::JsonSchema7).expect("a manifest");
    let mut rest = &*text;
    for name in names {
        let place = rest.find(&format!("\n      \"{name}\": {{"));
        let place = place.unwrap_or_else(|| panic!("{name} is not where it belongs"));
        rest = rest.split_at(place + 1).1;
    }
}

#[derive(JsonSchema, Serialize)]
struct Home {
    street: String,
    number: u32,
}

/// Docs are no descriptions there.
#[derive(JsonSchema, Serialize)]
#[allow(dead_code, reason = "its schema is what counts")]
enum Pet {
    /// Says miaow.
    Cat,
    /// Says woof.
    Dog,
}

#[derive(JsonSchema, Serialize)]
struct Person {
    /// How it is called.
    name: String,
    age: u8,
    score: f64,
    nick: Option<String>,
    tags: Vec<String>,
    home: Home,
    pet: Pet,
    extra: BTreeMap<String, i64>,
    spot: (f64, bool),
}

#[derive(JsonSchema, Serialize)]
struct Nothing {}

#[derive(JsonSchema, Serialize)]
struct Total {
    sum: i64,
    note: Option<String>,
}

#[derive(JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(dead_code, reason = "its schema is what counts")]
enum Event {
    Opened { by: String },
    Closed,
}

#[tokio::test]
async fn rust_types_have_the_hashes_of_the_same_types_in_zod() {
    let printed = node(&[]).await;
    let check = |name: &str, schema: Schema| {
        let contract = Contract::new("s")
            .with_method(Method::new("m", MethodKind::Unary).with_result(schema))
            .expect("a method");
        let contract = zod_form(&contract).expect("the form of zod");
        let text = clamator::result_text(&contract, &contract.methods()[0], Target::JsonSchema7);
        assert_eq!(
            text.expect("a text"),
            printed["types"][name].as_str().expect("a text"),
            "{name}"
        );
    };
    check("person", received::<Person>());
    check("nothing", sent::<Nothing>());
    check("total", sent::<Total>());
    check("event", sent::<Event>());
}
