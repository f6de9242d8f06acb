//! A manifest as an `OpenRPC` document, for the tools that read those: explorers, mock servers, generators.
//!
//! ```
//! use mynah_contract::{Contract, Manifest, Method, MethodKind, openrpc};
//!
//! let contract = Contract::new("clock").with_method(Method::new("now", MethodKind::Unary))?;
//! let document = openrpc::document(&Manifest::new([contract])?, &openrpc::Info::new("Clock", "1.0.0"));
//! assert!(document.contains("\"name\": \"clock.now\""));
//! # Ok::<(), mynah_contract::ContractError>(())
//! ```

use crate::shape::{keywords, reference};
use crate::{
    Contract, ErrorEntry, Manifest, Method, MethodKind, Param, ParamKind, ParamsForm, Schema, json,
};
use mynah_protocol::Value;
use std::collections::BTreeMap;

/// The version of `OpenRPC` that is written.
pub const OPENRPC_VERSION: &str = "1.3.2";
const SCHEMAS: &str = "#/components/schemas/";

/// What a document says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    title: String,
    version: String,
    description: Option<String>,
}

impl Info {
    /// A title, and the version of what is described.
    #[must_use]
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
        }
    }

    /// The same with some lines more.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }
}

/// The document, as JSON in two-space indent with a new line at the end.
///
/// A method is named `service.method`. `OpenRPC` has unary methods and notifications; of another kind of method it is
/// said in `x-mynah-kind`, of a param that is a stream or a callback in `x-mynah-kind` of the param, and of what can be
/// repeated in `x-mynah-idempotent`. Events stand under `x-mynah-events`.
#[must_use]
pub fn document(manifest: &Manifest, info: &Info) -> String {
    let mut writer = Writer::default();
    let mut methods = Vec::new();
    let mut events = Vec::new();
    for contract in manifest.contracts() {
        let names = writer.components(contract);
        let written = contract.methods().iter();
        methods.extend(written.map(|one| method(contract, one, &names)));
        for event in contract.events() {
            let mut members = vec![("name", Value::from(event.topic()))];
            described(&mut members, event.docs());
            members.push(("schema", schema(event.message(), &names)));
            events.push(json::object(members));
        }
    }
    let mut about = vec![
        ("title", Value::from(&*info.title)),
        ("version", Value::from(&*info.version)),
    ];
    described(&mut about, info.description.as_deref());
    let mut members = vec![
        ("openrpc", Value::from(OPENRPC_VERSION)),
        ("info", json::object(about)),
        ("methods", Value::Array(methods)),
    ];
    if !writer.schemas.is_empty() {
        let schemas = writer.schemas.into_iter();
        let schemas = schemas
            .map(|(name, schema)| (name.into(), schema))
            .collect();
        members.push((
            "components",
            json::object([("schemas", Value::Map(schemas))]),
        ));
    }
    if !events.is_empty() {
        members.push(("x-mynah-events", Value::Array(events)));
    }
    let mut text = json::pretty(&json::object(members));
    text.push('\n');
    text
}

/// The names of a contract's definitions among the components.
type Names = BTreeMap<String, String>;

#[derive(Default)]
struct Writer {
    schemas: BTreeMap<String, Value>,
}

impl Writer {
    /// Adds the definitions of a contract. One whose name stands for something else gets the name of its service before
    /// its own.
    fn components(&mut self, contract: &Contract) -> Names {
        let own: Names = contract
            .definitions()
            .map(|(name, _)| (name.to_owned(), component(name)))
            .collect();
        let clash = contract.definitions().any(|(name, schema)| {
            let known = own.get(name).and_then(|name| self.schemas.get(name));
            known.is_some_and(|known| *known != moved(schema.as_value(), &own))
        });
        let names: Names = if clash {
            let prefixed = |name: &str| component(&format!("{}.{name}", contract.name()));
            own.keys()
                .map(|name| (name.clone(), prefixed(name)))
                .collect()
        } else {
            own
        };
        for (name, schema) in contract.definitions() {
            if let Some(name) = names.get(name) {
                self.schemas
                    .insert(name.clone(), moved(schema.as_value(), &names));
            }
        }
        names
    }
}

/// Components have plain names.
fn component(name: &str) -> String {
    let plain = |char: char| {
        if char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_') {
            char
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

fn moved(schema: &Value, names: &Names) -> Value {
    json::sorted(&keywords::with_references(schema, &mut |target| {
        let name = reference::name(target)?;
        names
            .get(&name)
            .map(|name| reference::within(SCHEMAS, name))
    }))
}

fn schema(schema: Option<&Schema>, names: &Names) -> Value {
    schema.map_or(Value::Bool(true), |schema| moved(schema.as_value(), names))
}

type Members = Vec<(&'static str, Value)>;

fn described(members: &mut Members, docs: Option<&str>) {
    if let Some(docs) = docs {
        members.push(("description", docs.into()));
    }
}

fn method(contract: &Contract, method: &Method, names: &Names) -> Value {
    let name = match contract.name() {
        "" => method.name().to_owned(),
        service => format!("{service}.{}", method.name()),
    };
    let mut members: Members = vec![("name", name.into())];
    described(&mut members, method.docs());
    let structure = match method.form() {
        ParamsForm::Separate | ParamsForm::Unknown => "either",
        ParamsForm::Object => "by-name",
    };
    members.push(("paramStructure", structure.into()));
    let params = match (method.form(), method.params()) {
        (ParamsForm::Object, [object]) => fields(contract, object, names),
        (_, params) => params.iter().map(|one| param(one, names)).collect(),
    };
    members.push(("params", Value::Array(params)));
    if method.kind() != MethodKind::Notification {
        let result = json::object([
            ("name", "result".into()),
            ("schema", schema(method.result(), names)),
        ]);
        members.push(("result", result));
    }
    let errors: Vec<Value> = method
        .errors()
        .iter()
        .map(|one| error(one, names))
        .collect();
    if !errors.is_empty() {
        members.push(("errors", Value::Array(errors)));
    }
    if !method.roles().is_empty() {
        let tags = method
            .roles()
            .iter()
            .map(|role| json::object([("name", Value::from(&**role))]));
        members.push(("tags", Value::Array(tags.collect())));
    }
    if !matches!(method.kind(), MethodKind::Unary | MethodKind::Notification) {
        members.push(("x-mynah-kind", method.kind().name().into()));
    }
    if method.is_idempotent() {
        members.push(("x-mynah-idempotent", true.into()));
    }
    json::object(members)
}

fn param(param: &Param, names: &Names) -> Value {
    let mut members: Members = vec![("name", param.name().into())];
    if !param.is_optional() {
        members.push(("required", true.into()));
    }
    let mut shape = schema(param.schema(), names);
    if let Some(default) = param.default() {
        let said = ("default".into(), default.clone());
        match &mut shape {
            Value::Map(members) => {
                members.retain(|(name, _)| name.as_str() != Some("default"));
                members.push(said);
            }
            other => *other = Value::Map(vec![said]),
        }
    }
    members.push(("schema", shape));
    if param.kind() != ParamKind::Value {
        members.push(("x-mynah-kind", param.kind().name().into()));
    }
    if param.reply().is_some() {
        members.push(("x-mynah-reply", schema(param.reply(), names)));
    }
    json::object(members)
}

/// The members of an object that stands for all params: `OpenRPC` lists them one by one.
fn fields(contract: &Contract, object: &Param, names: &Names) -> Vec<Value> {
    let target = object.schema().map(Schema::as_value);
    let referred = target
        .and_then(|schema| schema.get("$ref"))
        .and_then(Value::as_str);
    let definition = referred.and_then(reference::name);
    let definition = definition.and_then(|name| contract.definition(&name));
    let shape = definition.map(Schema::as_value).or(target);
    let Some(fields) = shape.and_then(|shape| shape.get("properties")?.as_map()) else {
        return vec![param(object, names)];
    };
    let required = shape.and_then(|shape| shape.get("required")?.as_array());
    let required = required.unwrap_or_default();
    fields
        .iter()
        .map(|(name, field)| {
            let mut members: Members = vec![("name", name.clone())];
            described(
                &mut members,
                field.get("description").and_then(Value::as_str),
            );
            if required.contains(name) {
                members.push(("required", true.into()));
            }
            members.push(("schema", moved(field, names)));
            json::object(members)
        })
        .collect()
}

fn error(error: &ErrorEntry, names: &Names) -> Value {
    let mut members: Members = vec![
        ("code", error.code().into()),
        ("message", error.message().into()),
    ];
    if let Some(data) = error.data() {
        // The meta-schema takes anything as data; its shape is what can be said beforehand.
        members.push(("data", schema(Some(data), names)));
    }
    json::object(members)
}
