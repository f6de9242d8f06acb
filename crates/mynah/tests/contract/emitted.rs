//! What the macro says of a trait.

use crate::support::{MyShelf, PlainClient, ShelfClient, ShelfService};
use mynah::Contracted as _;
use mynah::contract::{Contract, Method, MethodKind, ParamKind, ParamsForm, openrpc};

fn shelf() -> Contract {
    mynah::contract_of::<ShelfClient>()
}

fn method<'a>(contract: &'a Contract, name: &str) -> &'a Method {
    contract.method(name).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn methods_have_their_kinds_docs_and_promises() {
    let shelf = shelf();
    assert_eq!(shelf.name(), "shelf");
    assert_eq!(shelf.docs(), Some("Keeps documents.\n\nFor a while."));
    let kinds: Vec<(&str, MethodKind)> = shelf
        .methods()
        .iter()
        .map(|one| (one.name(), one.kind()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("put", MethodKind::Unary),
            ("all", MethodKind::ServerStream),
            ("fill", MethodKind::ClientStream),
            ("sorted", MethodKind::BothStreams),
            ("watch", MethodKind::Unary),
            ("touch", MethodKind::Notification),
            ("replaceAll", MethodKind::Unary),
        ]
    );
    let put = method(&shelf, "put");
    assert_eq!(put.docs(), Some("Puts a document there."));
    assert!(put.is_idempotent() && !method(&shelf, "all").is_idempotent());
    assert_eq!(put.roles(), ["clerk", "admin"]);
}

#[test]
fn params_have_their_names_defaults_and_kinds() {
    let shelf = shelf();
    let put = method(&shelf, "put");
    let params: Vec<(&str, bool)> = put
        .params()
        .iter()
        .map(|one| (one.name(), one.is_optional()))
        .collect();
    assert_eq!(params, [("doc", false), ("days", true), ("note", true)]);
    assert_eq!(put.params()[1].default(), Some(&3u64.into()));
    assert_eq!(put.params()[2].default(), None);
    let kinds = |name: &str| -> Vec<ParamKind> {
        method(&shelf, name)
            .params()
            .iter()
            .map(|one| one.kind())
            .collect()
    };
    assert_eq!(kinds("sorted"), [ParamKind::Stream]);
    assert_eq!(
        kinds("watch"),
        [ParamKind::Callback, ParamKind::AskedCallback]
    );
    assert!(method(&shelf, "watch").params()[1].reply().is_some());
    assert_eq!(method(&shelf, "replaceAll").form(), ParamsForm::Object);
    assert_eq!(put.form(), ParamsForm::Separate);
}

#[test]
fn schemas_tell_what_is_read_from_what_is_written() {
    let shelf = shelf();
    let required = |schema: &mynah::contract::Schema| -> Vec<String> {
        let name = schema
            .as_value()
            .get("$ref")
            .unwrap()
            .as_str()
            .unwrap()
            .replace("#/$defs/", "");
        let definition = shelf.definition(&name).unwrap().as_value();
        let names = definition.get("required").unwrap().as_array().unwrap();
        names
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    // A param is read by the server: what has a default need not be there. A result is always whole.
    assert_eq!(
        required(method(&shelf, "put").params()[0].schema().unwrap()),
        ["title"]
    );
    assert_eq!(
        required(method(&shelf, "sorted").result().unwrap()),
        ["title", "pages", "part_of"]
    );
    assert_eq!(
        required(method(&shelf, "sorted").params()[0].schema().unwrap()),
        ["title"]
    );
    assert_eq!(
        required(shelf.events()[0].message().unwrap()),
        ["title", "pages", "part_of"]
    );
    let result = method(&shelf, "put").result().unwrap().as_value();
    assert_eq!(result.get("format").unwrap().as_str(), Some("uint64"));
}

#[test]
fn errors_are_those_of_the_domain_error() {
    let shelf = shelf();
    let errors = |name: &str| -> Vec<(i64, String)> {
        let errors = method(&shelf, name).errors().iter();
        errors
            .map(|error| (error.code(), error.message().to_owned()))
            .collect()
    };
    assert_eq!(
        errors("put"),
        [(1, "closed".into()), (2, "{title} is lent".into())]
    );
    assert_eq!(errors("all"), errors("put"));
    assert_eq!(errors("fill"), []);
}

#[test]
fn events_have_their_topics() {
    let shelf = shelf();
    assert_eq!(shelf.events().len(), 1);
    assert_eq!(shelf.events()[0].topic(), "shelf.changed");
    assert_eq!(shelf.events()[0].docs(), Some("A document was changed."));
}

#[test]
fn a_service_knows_the_same_contract_and_needs_no_schemas() {
    assert_eq!(ShelfService::<MyShelf>::contract(), shelf());
    let plain = mynah::contract_of::<PlainClient>();
    let add = method(&plain, "add");
    assert_eq!(add.params().len(), 2);
    assert!(add.params()[0].schema().is_none() && add.result().is_none());
    let text = plain.manifest().to_json().unwrap();
    assert_eq!(
        text.parse::<mynah::contract::Manifest>()
            .unwrap()
            .contracts(),
        [plain]
    );
}

#[test]
fn the_manifest_of_a_service_comes_back_and_is_exported() {
    let manifest = shelf().manifest();
    let text = manifest.to_json().unwrap();
    let read: mynah::contract::Manifest = text.parse().unwrap();
    assert_eq!(read.to_json().unwrap(), text);
    let document = openrpc::document(&manifest, &openrpc::Info::new("Shelf", "1.0.0"));
    assert!(document.contains("\"x-mynah-kind\": \"both-streams\""));
}
