//! The text of a method that is hashed.
//!
//! One line of JSON, members in the order of their names, without anything that is for people, and with definitions
//! numbered in the order in which they are met: other names for the same are the same text.

use crate::schema::MAX_PARTS;
use crate::shape::{
    Alternative, Arrays, Bound, Extra, Integers, Node, Numbers, Objects, Rest, Shapes, Texts,
};
use crate::{Contract, ContractError, Event, Hash, Method, Param, Schema, json};
use mynah_protocol::Value;
use std::collections::BTreeMap;

/// The text of a method.
pub(crate) fn method(shapes: &Shapes, method: &Method) -> Result<String, ContractError> {
    let mut canon = Canon::new(shapes);
    let mut members = BTreeMap::new();
    members.insert("kind", method.kind.name().into());
    if let Some(form) = method.form.name() {
        members.insert("form", form.into());
    }
    let params: Result<_, _> = method
        .params
        .iter()
        .map(|param| canon.param(param))
        .collect();
    members.insert("params", Value::Array(params?));
    canon.schema(&mut members, "result", method.result.as_ref())?;
    if !method.errors.is_empty() {
        let errors: Result<_, ContractError> = method
            .errors
            .iter()
            .map(|error| {
                let mut members = BTreeMap::from([("code", Value::from(error.code))]);
                canon.schema(&mut members, "data", error.data.as_ref())?;
                Ok(json::object(members))
            })
            .collect();
        members.insert("errors", Value::Array(errors?));
    }
    if method.idempotent {
        members.insert("idempotent", true.into());
    }
    canon.finish(members)
}

/// The text of an event.
pub(crate) fn event(shapes: &Shapes, event: &Event) -> Result<String, ContractError> {
    let mut canon = Canon::new(shapes);
    let mut members = BTreeMap::new();
    canon.schema(&mut members, "message", event.message.as_ref())?;
    canon.finish(members)
}

/// The text of a definition, with all that it refers to.
pub(crate) fn definition(shapes: &Shapes, name: &str) -> Result<String, ContractError> {
    let mut canon = Canon::new(shapes);
    let place = shapes.place(name);
    let root = place.map(|place| canon.reference(place));
    canon.finish(BTreeMap::from([("root", root.unwrap_or_default())]))
}

/// The hash of everything that a contract has.
pub(crate) fn whole(contract: &Contract) -> Result<Hash, ContractError> {
    let shapes = Shapes::of(contract)?;
    let mut entries = BTreeMap::new();
    for entry in contract.methods() {
        let text = method(&shapes, entry)?;
        entries.insert(
            format!("method {}", entry.name),
            Hash::of(&text).to_string(),
        );
    }
    for entry in contract.events() {
        let text = event(&shapes, entry)?;
        entries.insert(
            format!("event {}", entry.topic),
            Hash::of(&text).to_string(),
        );
    }
    let entries = entries
        .iter()
        .map(|(name, hash)| (&**name, Value::from(&**hash)));
    Ok(Hash::of(&json::compact(&json::object(entries))))
}

struct Canon<'a> {
    shapes: &'a Shapes,
    /// The number of each definition that was met, by its place.
    numbers: BTreeMap<usize, usize>,
    /// Definitions in the order in which they were met.
    met: Vec<usize>,
    parts: usize,
    /// Whether a key is made by which alternatives are put in order: then references are places.
    keyed: bool,
}

impl<'a> Canon<'a> {
    fn new(shapes: &'a Shapes) -> Self {
        Self {
            shapes,
            numbers: BTreeMap::new(),
            met: Vec::new(),
            parts: 0,
            keyed: false,
        }
    }

    fn finish(mut self, mut members: BTreeMap<&str, Value>) -> Result<String, ContractError> {
        let mut definitions = Vec::new();
        // Each definition may bring more.
        while let Some(place) = self.met.get(definitions.len()) {
            let node = self.shapes.definition(*place);
            let value = node.map(|node| self.node(node)).transpose()?;
            definitions.push(value.unwrap_or_default());
        }
        if !definitions.is_empty() {
            members.insert("$defs", Value::Array(definitions));
        }
        Ok(json::compact(&json::object(members)))
    }

    fn param(&mut self, param: &Param) -> Result<Value, ContractError> {
        let mut members = BTreeMap::from([
            ("kind", Value::from(param.kind.name())),
            ("name", Value::from(&*param.name)),
        ]);
        if param.optional {
            members.insert("optional", true.into());
        }
        if let Some(default) = &param.default {
            members.insert("default", json::sorted(default));
        }
        self.schema(&mut members, "schema", param.schema.as_ref())?;
        self.schema(&mut members, "reply", param.reply.as_ref())?;
        Ok(json::object(members))
    }

    fn schema<'m>(
        &mut self,
        members: &mut BTreeMap<&'m str, Value>,
        name: &'m str,
        schema: Option<&Schema>,
    ) -> Result<(), ContractError> {
        if let Some(schema) = schema {
            let node = self.shapes.node(schema)?;
            members.insert(name, self.node(&node)?);
        }
        Ok(())
    }

    fn part(&mut self) -> Result<(), ContractError> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(ContractError::TooComplex { limit: MAX_PARTS });
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<Value, ContractError> {
        self.part()?;
        match &*node.alternatives {
            [] => Ok(Value::Bool(false)),
            [one] => self.alternative(one),
            many if self.keyed => {
                let many: Result<_, _> = many.iter().map(|one| self.alternative(one)).collect();
                Ok(json::object([("anyOf", Value::Array(many?))]))
            }
            many => {
                self.keyed = true;
                let keys: Result<Vec<(String, &Alternative)>, ContractError> = many
                    .iter()
                    .map(|one| Ok((json::compact(&self.alternative(one)?), one)))
                    .collect();
                self.keyed = false;
                let mut keys = keys?;
                keys.sort_by(|(one, _), (other, _)| one.cmp(other));
                let sorted: Result<_, _> =
                    keys.iter().map(|(_, one)| self.alternative(one)).collect();
                Ok(json::object([("anyOf", Value::Array(sorted?))]))
            }
        }
    }

    fn alternative(&mut self, alternative: &Alternative) -> Result<Value, ContractError> {
        self.part()?;
        Ok(match alternative {
            Alternative::Definition(place) => self.reference(*place),
            Alternative::Any => Value::Bool(true),
            Alternative::Null => typed("null", []),
            Alternative::Bool => typed("boolean", []),
            Alternative::Integer(integers) => of_integers(integers),
            Alternative::Number(numbers) => of_numbers(numbers),
            Alternative::Text(texts) => of_texts(texts),
            Alternative::Values(values) => {
                let values = values.values().cloned().collect();
                json::object([("enum", Value::Array(values))])
            }
            Alternative::Array(arrays) => self.arrays(arrays)?,
            Alternative::Object(objects) => self.objects(objects)?,
            Alternative::Unknown(schema) => json::object([("unknown", schema.clone())]),
        })
    }

    fn reference(&mut self, place: usize) -> Value {
        let number = if self.keyed {
            place
        } else {
            let next = self.met.len();
            let number = *self.numbers.entry(place).or_insert(next);
            if number == next {
                self.met.push(place);
            }
            number
        };
        json::object([("$ref", number.into())])
    }

    fn arrays(&mut self, arrays: &Arrays) -> Result<Value, ContractError> {
        let mut members = with_extra(&arrays.extra);
        members.insert("type".into(), "array".into());
        if !arrays.first.is_empty() {
            let first: Result<_, _> = arrays.first.iter().map(|node| self.node(node)).collect();
            members.insert("prefixItems".into(), Value::Array(first?));
        }
        members.insert("items".into(), self.node(&arrays.rest)?);
        if arrays.min > 0 {
            members.insert("minItems".into(), arrays.min.into());
        }
        if let Some(max) = arrays.max {
            members.insert("maxItems".into(), max.into());
        }
        Ok(of_members(members))
    }

    fn objects(&mut self, objects: &Objects) -> Result<Value, ContractError> {
        let mut members = with_extra(&objects.extra);
        members.insert("type".into(), "object".into());
        let mut fields = Vec::with_capacity(objects.fields.len());
        let mut defaults = Vec::new();
        let mut required = Vec::new();
        for (name, field) in &objects.fields {
            fields.push((Value::from(&**name), self.node(&field.node)?));
            if field.required {
                required.push(Value::from(&**name));
            }
            if let Some(default) = &field.default {
                defaults.push((Value::from(&**name), default.clone()));
            }
        }
        if !fields.is_empty() {
            members.insert("properties".into(), Value::Map(fields));
        }
        if !defaults.is_empty() {
            members.insert("defaults".into(), Value::Map(defaults));
        }
        if !required.is_empty() {
            members.insert("required".into(), Value::Array(required));
        }
        match &objects.rest {
            Rest::Passed => {}
            Rest::Refused => {
                members.insert("additionalProperties".into(), false.into());
            }
            Rest::Of(node) => {
                members.insert("additionalProperties".into(), self.node(node)?);
            }
        }
        Ok(of_members(members))
    }
}

fn typed<'a>(name: &'a str, more: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let mut members: BTreeMap<&str, Value> = more.into_iter().collect();
    members.insert("type", name.into());
    json::object(members)
}

fn with_extra(extra: &Extra) -> BTreeMap<String, Value> {
    extra.clone()
}

fn of_members(members: BTreeMap<String, Value>) -> Value {
    let members = members
        .into_iter()
        .map(|(name, value)| (name.into(), value));
    Value::Map(members.collect())
}

fn of_integers(integers: &Integers) -> Value {
    let mut members = with_extra(&integers.extra);
    members.insert("type".into(), "integer".into());
    for (name, bound) in [("minimum", integers.min), ("maximum", integers.max)] {
        if let Some(bound) = bound {
            members.insert(name.into(), bound.into());
        }
    }
    of_members(members)
}

fn of_numbers(numbers: &Numbers) -> Value {
    let mut members = with_extra(&numbers.extra);
    members.insert("type".into(), "number".into());
    let names = [
        (numbers.min, "minimum", "exclusiveMinimum"),
        (numbers.max, "maximum", "exclusiveMaximum"),
    ];
    for (bound, closed, open) in names {
        if let Some(Bound {
            value,
            open: is_open,
        }) = bound
        {
            members.insert((if is_open { open } else { closed }).into(), value.into());
        }
    }
    of_members(members)
}

fn of_texts(texts: &Texts) -> Value {
    let mut members = with_extra(&texts.extra);
    members.insert("type".into(), "string".into());
    if texts.min > 0 {
        members.insert("minLength".into(), texts.min.into());
    }
    if let Some(max) = texts.max {
        members.insert("maxLength".into(), max.into());
    }
    of_members(members)
}
