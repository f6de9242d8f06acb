//! From contracts to a value.

use super::{Manifest, canonical};
use crate::shape::Shapes;
use crate::{
    Contract, ContractError, ErrorEntry, Event, Hash, Method, Param, ParamKind, Schema, json,
};
use mynah_protocol::Value;

type Members = Vec<(Value, Value)>;

pub(super) fn manifest(manifest: &Manifest) -> Result<Value, ContractError> {
    let services: Result<Members, _> = manifest
        .contracts()
        .iter()
        .map(|one| Ok::<_, ContractError>((one.name().into(), contract(one)?)))
        .collect();
    Ok(json::object([
        ("manifest", 1u64.into()),
        ("services", Value::Map(services?)),
    ]))
}

fn contract(contract: &Contract) -> Result<Value, ContractError> {
    let shapes = Shapes::of(contract)?;
    let mut members = Vec::new();
    text(&mut members, "docs", contract.docs());
    let mut methods: Vec<&Method> = contract.methods().iter().collect();
    methods.sort_by(|one, other| one.name.cmp(&other.name));
    let methods: Result<Members, _> = methods
        .into_iter()
        .map(|one| Ok::<_, ContractError>((Value::from(&*one.name), method(&shapes, one)?)))
        .collect();
    members.push(("methods".into(), Value::Map(methods?)));
    let mut events: Vec<&Event> = contract.events().iter().collect();
    events.sort_by(|one, other| one.topic.cmp(&other.topic));
    let events: Result<Members, _> = events
        .into_iter()
        .map(|one| Ok::<_, ContractError>((Value::from(&*one.topic), event(&shapes, one)?)))
        .collect();
    let events = events?;
    if !events.is_empty() {
        members.push(("events".into(), Value::Map(events)));
    }
    let definitions = contract.definitions();
    let definitions: Members = definitions
        .map(|(name, schema)| (name.into(), json::sorted(schema.as_value())))
        .collect();
    if !definitions.is_empty() {
        members.push(("$defs".into(), Value::Map(definitions)));
    }
    Ok(Value::Map(members))
}

fn method(shapes: &Shapes, method: &Method) -> Result<Value, ContractError> {
    let hash = Hash::of(&canonical::method(shapes, method)?);
    let mut members = vec![
        ("hash".into(), hash.to_string().into()),
        ("kind".into(), method.kind.name().into()),
    ];
    text(&mut members, "docs", method.docs());
    if let Some(form) = method.form.name() {
        members.push(("form".into(), form.into()));
    }
    let params = method.params.iter().map(param).collect();
    members.push(("params".into(), Value::Array(params)));
    schema(&mut members, "result", method.result());
    if !method.errors.is_empty() {
        let errors = method.errors.iter().map(error).collect();
        members.push(("errors".into(), Value::Array(errors)));
    }
    if method.idempotent {
        members.push(("idempotent".into(), true.into()));
    }
    if !method.roles.is_empty() {
        let roles = method
            .roles
            .iter()
            .map(|role| Value::from(&**role))
            .collect();
        members.push(("roles".into(), Value::Array(roles)));
    }
    Ok(Value::Map(members))
}

fn param(param: &Param) -> Value {
    let mut members: Members = vec![("name".into(), Value::from(&*param.name))];
    if param.kind != ParamKind::Value {
        members.push(("kind".into(), param.kind.name().into()));
    }
    if param.optional {
        members.push(("optional".into(), true.into()));
    }
    if let Some(default) = &param.default {
        members.push(("default".into(), json::sorted(default)));
    }
    schema(&mut members, "schema", param.schema());
    schema(&mut members, "reply", param.reply());
    Value::Map(members)
}

fn error(error: &ErrorEntry) -> Value {
    let mut members: Members = vec![
        ("code".into(), error.code.into()),
        ("message".into(), Value::from(&*error.message)),
    ];
    schema(&mut members, "data", error.data());
    Value::Map(members)
}

fn event(shapes: &Shapes, event: &Event) -> Result<Value, ContractError> {
    let hash = Hash::of(&canonical::event(shapes, event)?);
    let mut members = vec![("hash".into(), hash.to_string().into())];
    text(&mut members, "docs", event.docs());
    schema(&mut members, "message", event.message());
    Ok(Value::Map(members))
}

fn text(members: &mut Members, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        members.push((name.into(), value.into()));
    }
}

fn schema(members: &mut Members, name: &str, schema: Option<&Schema>) {
    if let Some(schema) = schema {
        members.push((name.into(), json::sorted(schema.as_value())));
    }
}
