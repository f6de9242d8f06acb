//! From a value to contracts. It may come from a peer: nothing in it is trusted.

use super::{Manifest, canonical};
use crate::shape::Shapes;
use crate::{
    Contract, ContractError, ErrorEntry, Event, Hash, Method, MethodKind, Param, ParamKind,
    ParamsForm, Schema,
};
use mynah_protocol::Value;

/// The most methods, events and definitions of one service: each is looked at as often as it is referred to.
const MAX_ENTRIES: usize = 10_000;

pub(super) fn manifest(value: &Value) -> Result<Manifest, ContractError> {
    let root = Place::new("manifest", value)?;
    match root.get("manifest").and_then(Value::as_u64) {
        Some(1) => {}
        Some(other) => return Err(ContractError::Version(other)),
        None => return Err(root.wrong("manifest", "the number of its version")),
    }
    let services = root.get("services").and_then(|services| services.as_map());
    let services = services.ok_or_else(|| root.wrong("services", "an object"))?;
    // Of all services together.
    let mut bytes = 0;
    let contracts: Result<Vec<Contract>, _> = services
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().unwrap_or_default();
            contract(name, &Place::new(name, value)?, &mut bytes)
        })
        .collect();
    Manifest::new(contracts?)
}

fn contract(name: &str, place: &Place<'_>, bytes: &mut usize) -> Result<Contract, ContractError> {
    let mut contract = Contract::new(name);
    if let Some(docs) = place.text("docs")? {
        contract = contract.with_docs(docs);
    }
    for (name, value) in place.members("$defs")? {
        let at = place.at(&format!("$defs.{name}"));
        contract = contract.with_definition(name, read_schema(&at, value)?)?;
    }
    let mut hashes = Vec::new();
    for (name, value) in place.members("methods")? {
        let inner = Place::new(place.at(name), value)?;
        contract = contract.with_method(method(name, &inner)?)?;
        hashes.push(inner.text("hash")?.map(str::to_owned));
    }
    let mut event_hashes = Vec::new();
    for (topic, value) in place.members("events")? {
        let inner = Place::new(place.at(topic), value)?;
        let mut event = Event::new(topic);
        event.docs = inner.text("docs")?.map(str::to_owned);
        event.message = inner.schema("message")?;
        contract = contract.with_event(event)?;
        event_hashes.push(inner.text("hash")?.map(str::to_owned));
    }
    check_hashes(&contract, &hashes, &event_hashes, bytes)?;
    Ok(contract)
}

/// Holds the hashes that are written against those of what is written. All of them together take a bounded amount of
/// work.
fn check_hashes(
    contract: &Contract,
    methods: &[Option<String>],
    events: &[Option<String>],
    bytes: &mut usize,
) -> Result<(), ContractError> {
    let shapes = Shapes::of(contract)?;
    let mut check = |name: &str, text: String, written: &Option<String>| {
        *bytes = bytes.saturating_add(text.len());
        if *bytes > crate::json::MAX_TEXT_BYTES.saturating_mul(8) {
            return Err(ContractError::TooComplex {
                limit: crate::schema::MAX_PARTS,
            });
        }
        match written {
            Some(written) if Hash::from_hex(written) != Some(Hash::of(&text)) => {
                Err(ContractError::Hash(format!("{}.{name}", contract.name())))
            }
            _ => Ok(()),
        }
    };
    for (method, written) in contract.methods().iter().zip(methods) {
        check(&method.name, canonical::method(&shapes, method)?, written)?;
    }
    for (event, written) in contract.events().iter().zip(events) {
        check(&event.topic, canonical::event(&shapes, event)?, written)?;
    }
    Ok(())
}

fn method(name: &str, place: &Place<'_>) -> Result<Method, ContractError> {
    let kind = place.text("kind")?.and_then(MethodKind::from_name);
    let kind = kind.ok_or_else(|| place.wrong("kind", "a kind of method"))?;
    let mut method = Method::new(name, kind);
    method.docs = place.text("docs")?.map(str::to_owned);
    method.form = match place.text("form")? {
        None => ParamsForm::Separate,
        Some("object") => ParamsForm::Object,
        Some("unknown") => ParamsForm::Unknown,
        Some(_) => return Err(place.wrong("form", "`object`, `unknown`, or nothing")),
    };
    for (index, value) in place.elements("params")?.iter().enumerate() {
        let inner = Place::new(place.at(&format!("params[{index}]")), value)?;
        method.params.push(param(&inner)?);
    }
    method.result = place.schema("result")?;
    for (index, value) in place.elements("errors")?.iter().enumerate() {
        let inner = Place::new(place.at(&format!("errors[{index}]")), value)?;
        let code = inner.get("code").and_then(Value::as_i64);
        let code = code.ok_or_else(|| inner.wrong("code", "an integer"))?;
        let mut error = ErrorEntry::new(code, inner.text("message")?.unwrap_or_default());
        error.data = inner.schema("data")?;
        method.errors.push(error);
    }
    method.idempotent = place.flag("idempotent")?;
    for role in place.elements("roles")? {
        let role = role.as_str().ok_or_else(|| place.wrong("roles", "texts"))?;
        method.roles.push(role.to_owned());
    }
    Ok(method)
}

fn param(place: &Place<'_>) -> Result<Param, ContractError> {
    let name = place.text("name")?;
    let name = name.ok_or_else(|| place.wrong("name", "a text"))?;
    let kind = match place.text("kind")? {
        None => ParamKind::Value,
        Some(kind) => ParamKind::from_name(kind)
            .ok_or_else(|| place.wrong("kind", "a kind of param, or nothing"))?,
    };
    let mut param = Param::of_kind(name, kind);
    param.optional = place.flag("optional")?;
    param.default = place.get("default").cloned().map(crate::json::settled);
    param.schema = place.schema("schema")?;
    param.reply = place.schema("reply")?;
    Ok(param)
}

/// A schema of a manifest: what it refers to stands in its contract, so that each definition is looked at once.
fn read_schema(at: &str, value: &Value) -> Result<Schema, ContractError> {
    let own = value.get("$defs").is_some() || value.get("definitions").is_some();
    if own {
        return Err(ContractError::shape(
            at,
            "definitions beside the methods, and none in a schema",
        ));
    }
    Schema::new(value.clone()).map_err(|error| match error {
        ContractError::Shape { expected, .. } => ContractError::shape(at, expected),
        other => other,
    })
}

/// An object, and where it stands.
struct Place<'a> {
    at: String,
    value: &'a Value,
}

impl<'a> Place<'a> {
    fn new(at: impl Into<String>, value: &'a Value) -> Result<Self, ContractError> {
        let at = at.into();
        match value {
            Value::Map(_) => Ok(Self { at, value }),
            _ => Err(ContractError::shape(at, "an object")),
        }
    }

    fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.at)
    }

    fn wrong(&self, name: &str, expected: &'static str) -> ContractError {
        ContractError::shape(self.at(name), expected)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name)
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, ContractError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a text")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, ContractError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    fn schema(&self, name: &str) -> Result<Option<Schema>, ContractError> {
        let value = self.get(name);
        value
            .map(|value| read_schema(&self.at(name), value))
            .transpose()
    }

    fn elements(&self, name: &str) -> Result<&'a [Value], ContractError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(elements)) if elements.len() <= MAX_ENTRIES => Ok(elements),
            Some(_) => Err(self.wrong(name, "a list of at most 10000")),
        }
    }

    fn members(
        &self,
        name: &str,
    ) -> Result<impl Iterator<Item = (&'a str, &'a Value)>, ContractError> {
        let members: &[(Value, Value)] = match self.get(name) {
            None => &[],
            Some(Value::Map(members)) if members.len() <= MAX_ENTRIES => members,
            Some(_) => return Err(self.wrong(name, "an object of at most 10000 members")),
        };
        let named = |(name, value): &'a (Value, Value)| Some((name.as_str()?, value));
        Ok(members.iter().filter_map(named))
    }
}
