//! `OpenRPC` documents against the published meta-schema, by a validator of JSON Schema that is not ours.

use interop_tests::python::{Venv, root, run};
use mynah::contract::{
    Contract, ErrorEntry, Event, Manifest, Method, MethodKind, Param, Schema, openrpc,
};
use mynah::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Tree<T> {
    /// What it holds.
    value: T,
    children: Vec<Tree<T>>,
    shape: Option<Shape>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
enum Shape {
    Round,
    Square { side: u32 },
}

#[derive(Clone, Debug, mynah::DomainError)]
enum ForestError {
    #[error(code = 7, message = "{0} burns")]
    Burns(String),
}

/// Trees.
#[mynah::service(schema)]
trait Forest {
    /// Plants one.
    #[idempotent]
    #[role("forester")]
    async fn plant(
        &self,
        tree: Tree<u8>,
        #[default = "here"] place: String,
    ) -> Result<u64, ForestError>;
    fn walk(&self, from: Option<u64>) -> impl Stream<Item = Tree<String>> + Send;
    async fn fell(
        &self,
        numbers: Incoming<u64>,
        told: Callback<Tree<u8>>,
        asked: Callback<u8, bool>,
    );
    #[notification]
    async fn rain(&self, litres: f64);
    async fn replace(&self, #[params] tree: Tree<u8>) -> bool;
    #[event]
    fn grown(tree: Tree<u8>);
}

fn by_hand() -> Contract {
    let schema = |text: &str| text.parse::<Schema>().expect("a schema");
    Contract::new("")
        .with_docs("Without a name.")
        .with_method(
            Method::new("old", MethodKind::Unary)
                .with_unknown_params()
                .with_error(ErrorEntry::new(1, "no").with_data(schema(r#"{"type":"string"}"#))),
        )
        .and_then(|contract| {
            contract.with_method(
                Method::new("count", MethodKind::Unary)
                    .with_param(Param::new("any"))
                    .with_param(
                        Param::new("none")
                            .with_schema(schema("false"))
                            .with_default(()),
                    )
                    .with_result(schema(
                        r##"{"$ref":"#/$defs/A<B>","$defs":{"A<B>":{"type":"integer"}}}"##,
                    )),
            )
        })
        .and_then(|contract| contract.with_event(Event::new("happened")))
        .expect("a contract")
}

async fn check(document: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("openrpc.json");
    std::fs::write(&path, document).expect("the document is written");
    let schema = root().join("vectors/open-rpc/meta-schema.json");
    let arguments = [
        path.to_str().expect("a path"),
        schema.to_str().expect("a path"),
    ];
    let printed = run(Venv::Contract, "open_rpc.py", &arguments).await;
    assert_eq!(printed.stdout.trim(), "valid");
}

#[tokio::test]
async fn documents_fit_the_meta_schema_and_their_references_resolve() {
    let forest = mynah::contract_of::<ForestClient>();
    let manifest = Manifest::new([forest, by_hand()]).expect("a manifest");
    let info = openrpc::Info::new("Forest", "1.2.3").with_description("Trees, and more.");
    let document = openrpc::document(&manifest, &info);
    assert!(document.contains("\"forest.plant\"") && document.contains("\"count\""));
    check(&document).await;
    check(&openrpc::document(
        &Manifest::default(),
        &openrpc::Info::new("Nothing", "0"),
    ))
    .await;
}

/// The validator can say no.
#[tokio::test]
async fn a_document_that_is_wrong_does_not_fit() {
    let manifest = Manifest::new([mynah::contract_of::<ForestClient>()]).expect("a manifest");
    let document = openrpc::document(&manifest, &openrpc::Info::new("Forest", "1"));
    for (from, to) in [
        ("\"either\"", "\"somehow\""),
        ("\"version\": \"1\"", "\"version\": 1"),
        ("#/components/schemas/", "#/components/elsewhere/"),
    ] {
        assert!(document.contains(from), "{from}");
        let wrong = document.replacen(from, to, 1);
        let outcome = tokio::spawn(async move { check(&wrong).await }).await;
        assert!(outcome.is_err(), "{from} to {to} fits");
    }
}
