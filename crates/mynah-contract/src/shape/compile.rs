//! From a schema to its shape.

use super::keywords::{Place, place};
use super::weight::{parts_of_value, weight_of_object};
use super::{
    Alternative, Arrays, Bound, Extra, Field, Integers, Node, Numbers, Objects, Rest, Texts,
    reference,
};
use crate::schema::{MAX_DEPTH, MAX_PARTS};
use crate::{ContractError, json};
use mynah_protocol::Value;
use std::cell::Cell;
use std::collections::BTreeMap;

type Places = BTreeMap<String, usize>;
/// What a schema says, without what is for people.
type Said<'a> = BTreeMap<&'a str, &'a Value>;

pub(super) fn node(
    places: &Places,
    copied: &Cell<usize>,
    schema: &Value,
    depth: usize,
) -> Result<Node, ContractError> {
    if depth > MAX_DEPTH {
        return Err(ContractError::TooDeep { limit: MAX_DEPTH });
    }
    let compiler = Compiler {
        places,
        copied,
        depth,
    };
    match schema {
        Value::Bool(true) => Ok(Node::any()),
        Value::Bool(false) => Ok(Node::default()),
        Value::Map(members) => {
            let said = members
                .iter()
                .filter_map(|(keyword, value)| Some((keyword.as_str()?, value)))
                .filter(|(keyword, _)| {
                    place(keyword) != Place::Note && !matches!(*keyword, "$defs" | "definitions")
                })
                .collect();
            compiler.said(&said)
        }
        other => Ok(Alternative::Unknown(json::sorted(other)).into()),
    }
}

struct Compiler<'a> {
    places: &'a Places,
    copied: &'a Cell<usize>,
    depth: usize,
}

impl Compiler<'_> {
    fn node(&self, schema: &Value) -> Result<Node, ContractError> {
        node(self.places, self.copied, schema, self.depth + 1)
    }

    /// Counts what is copied: a short schema may say a long one as often as it has alternatives.
    fn spend(&self, parts: usize) -> Result<(), ContractError> {
        let all = self.copied.get().saturating_add(parts);
        self.copied.set(all);
        if all > MAX_PARTS {
            return Err(ContractError::TooComplex { limit: MAX_PARTS });
        }
        Ok(())
    }

    /// A schema that is not understood, as it stands.
    fn unknown(&self, said: &Said<'_>) -> Result<Node, ContractError> {
        let parts = said.values().map(|value| parts_of_value(value)).sum();
        self.spend(parts)?;
        Ok(unknown(said))
    }

    fn nodes(&self, schemas: &[Value]) -> Result<Vec<Node>, ContractError> {
        schemas.iter().map(|schema| self.node(schema)).collect()
    }

    fn said(&self, said: &Said<'_>) -> Result<Node, ContractError> {
        let mut rest = said.clone();
        let nullable = rest.remove("nullable").and_then(Value::as_bool) == Some(true);
        let mut node = self.combined(&mut rest, said)?;
        if nullable {
            node.alternatives.push(Alternative::Null);
        }
        Ok(normal(node.alternatives))
    }

    fn combined(&self, rest: &mut Said<'_>, said: &Said<'_>) -> Result<Node, ContractError> {
        if rest.is_empty() {
            return Ok(Node::any());
        }
        if let Some(target) = rest.remove("$ref") {
            let place = target.as_str().and_then(reference::name);
            let place = place.and_then(|name| self.places.get(&name));
            return Ok(match place {
                Some(place) if rest.is_empty() => Alternative::Definition(*place).into(),
                _ => self.unknown(said)?,
            });
        }
        if let Some(Value::Array(all)) = rest.remove("allOf") {
            return self.all(all, rest, said);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(some)) = rest.remove(keyword) {
                return self.some(some, rest, said);
            }
        }
        let values = match (rest.remove("const"), rest.remove("enum")) {
            (Some(value), None) => Some(std::slice::from_ref(value)),
            (None, Some(Value::Array(values))) => Some(&**values),
            (None, None) => None,
            _ => return self.unknown(said),
        };
        if let Some(values) = values {
            // The type of values that are listed says nothing new.
            rest.remove("type");
            return Ok(if rest.is_empty() {
                of_values(values)
            } else {
                self.unknown(said)?
            });
        }
        self.typed(rest, said)
    }

    /// All of these: objects become one, and one stands for itself.
    fn all(&self, all: &[Value], rest: &Said<'_>, said: &Said<'_>) -> Result<Node, ContractError> {
        let mut nodes = self.nodes(all)?;
        if !rest.is_empty() {
            nodes.push(self.said(rest)?);
        }
        let mut nodes = nodes.into_iter().filter(|node| !node.is_any());
        let Some(mut merged) = nodes.next() else {
            return Ok(Node::any());
        };
        for node in nodes {
            let ([Alternative::Object(one)], [Alternative::Object(other)]) =
                (&*merged.alternatives, &*node.alternatives)
            else {
                return self.unknown(said);
            };
            self.spend(weight_of_object(one) + weight_of_object(other))?;
            merged = Alternative::Object(Box::new(both(one, other))).into();
        }
        Ok(merged)
    }

    /// One of these, and what is said beside them: fields, where a flattened enum stands beside them.
    fn some(
        &self,
        some: &[Value],
        rest: &Said<'_>,
        said: &Said<'_>,
    ) -> Result<Node, ContractError> {
        let nodes = self.nodes(some)?;
        let alternatives = nodes.into_iter().flat_map(|node| node.alternatives);
        if rest.keys().all(|keyword| *keyword == "type") {
            return Ok(Node {
                alternatives: alternatives.collect(),
            });
        }
        let base = self.said(rest)?;
        let [Alternative::Object(base)] = &*base.alternatives else {
            return self.unknown(said);
        };
        let weight = weight_of_object(base);
        let mut merged = Vec::new();
        for alternative in alternatives {
            match alternative {
                Alternative::Object(object) => {
                    self.spend(weight + weight_of_object(&object))?;
                    merged.push(Alternative::Object(Box::new(both(base, &object))));
                }
                _ => return self.unknown(said),
            }
        }
        Ok(Node {
            alternatives: merged,
        })
    }

    fn typed(&self, rest: &mut Said<'_>, said: &Said<'_>) -> Result<Node, ContractError> {
        let types: Vec<&str> = match rest.remove("type") {
            Some(Value::Text(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            None => inferred(rest).into_iter().collect(),
            Some(_) => Vec::new(),
        };
        if types.is_empty() {
            return self.unknown(said);
        }
        let mut alternatives = Vec::with_capacity(types.len());
        for name in &types {
            alternatives.push(match *name {
                "null" => Alternative::Null,
                "boolean" => Alternative::Bool,
                "integer" => Alternative::Integer(integers(rest)),
                "number" => Alternative::Number(numbers(rest)),
                "string" => Alternative::Text(texts(rest)),
                "array" => Alternative::Array(Box::new(self.arrays(rest)?)),
                "object" => Alternative::Object(Box::new(self.objects(rest)?)),
                _ => return self.unknown(said),
            });
        }
        let known = |keyword: &&str| types.iter().any(|name| belongs(keyword, name));
        if rest.keys().all(known) {
            Ok(Node { alternatives })
        } else {
            self.unknown(said)
        }
    }

    fn arrays(&self, said: &Said<'_>) -> Result<Arrays, ContractError> {
        let mut first = match (said.get("prefixItems"), said.get("items")) {
            (Some(Value::Array(first)), _) | (None, Some(Value::Array(first))) => {
                self.nodes(first)?
            }
            _ => Vec::new(),
        };
        let rest = match (said.get("items"), said.get("additionalItems")) {
            (Some(Value::Array(_)), additional) => additional,
            (items, _) => items,
        };
        let rest = rest.map_or_else(|| Ok(Node::any()), |rest| self.node(rest))?;
        let mut max = count(said, "maxItems");
        let len = u64::try_from(first.len()).unwrap_or(u64::MAX);
        if rest.alternatives.is_empty() {
            max = Some(max.map_or(len, |max| max.min(len)));
        }
        if let Some(max) = max {
            first.truncate(usize::try_from(max).unwrap_or(usize::MAX));
        }
        let closed = max.is_some_and(|max| max <= len);
        Ok(Arrays {
            first,
            rest: if closed { Node::default() } else { rest },
            min: count(said, "minItems").unwrap_or(0),
            max,
            extra: extra(
                said,
                &[
                    "contains",
                    "maxContains",
                    "minContains",
                    "unevaluatedItems",
                    "uniqueItems",
                ],
            ),
        })
    }

    fn objects(&self, said: &Said<'_>) -> Result<Objects, ContractError> {
        let mut objects = Objects {
            rest: match said
                .get("additionalProperties")
                .or_else(|| said.get("unevaluatedProperties"))
            {
                None | Some(Value::Bool(true)) => Rest::Passed,
                Some(Value::Bool(false)) => Rest::Refused,
                Some(schema) => Rest::Of(self.node(schema)?),
            },
            extra: extra(
                said,
                &[
                    "dependentRequired",
                    "dependentSchemas",
                    "maxProperties",
                    "minProperties",
                    "patternProperties",
                    "propertyNames",
                ],
            ),
            ..Objects::default()
        };
        if let Some(Value::Map(fields)) = said.get("properties") {
            for (name, schema) in fields {
                let field = Field {
                    node: self.node(schema)?,
                    required: false,
                    default: schema.get("default").map(json::sorted),
                };
                objects
                    .fields
                    .insert(name.as_str().unwrap_or_default().to_owned(), field);
            }
        }
        let required = said.get("required").and_then(|names| names.as_array());
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            let field = objects.fields.entry(name.to_owned());
            field
                .or_insert_with(|| Field {
                    node: Node::any(),
                    required: true,
                    default: None,
                })
                .required = true;
        }
        Ok(objects)
    }
}

/// An object that is both.
fn both(one: &Objects, other: &Objects) -> Objects {
    let mut merged = one.clone();
    for (name, field) in &other.fields {
        let known = merged.fields.insert(name.clone(), field.clone());
        if let (Some(known), Some(field)) = (known, merged.fields.get_mut(name)) {
            field.required |= known.required;
        }
    }
    merged.extra.extend(other.extra.clone());
    merged.rest = match (&one.rest, &other.rest) {
        (Rest::Refused, _) | (_, Rest::Refused) => Rest::Refused,
        (Rest::Of(node), _) | (_, Rest::Of(node)) => Rest::Of(node.clone()),
        _ => Rest::Passed,
    };
    merged
}

/// Alternatives without those that say nothing new, and with all values in one.
fn normal(alternatives: Vec<Alternative>) -> Node {
    if alternatives.contains(&Alternative::Any) {
        return Node::any();
    }
    let mut normal: Vec<Alternative> = Vec::with_capacity(alternatives.len());
    let mut values = BTreeMap::new();
    for alternative in alternatives {
        match alternative {
            Alternative::Values(more) => values.extend(more),
            // Of many, nobody writes one twice.
            other if normal.len() < 32 && normal.contains(&other) => {}
            other => normal.push(other),
        }
    }
    if !values.is_empty() {
        normal.push(Alternative::Values(values));
    }
    Node {
        alternatives: normal,
    }
}

fn of_values(values: &[Value]) -> Node {
    let mut alternatives = Vec::new();
    let mut listed = BTreeMap::new();
    for value in values {
        if value.is_null() {
            alternatives.push(Alternative::Null);
        } else {
            let value = json::sorted(value);
            listed.insert(json::compact(&value), value);
        }
    }
    if !listed.is_empty() {
        alternatives.push(Alternative::Values(listed));
    }
    Node { alternatives }
}

fn unknown(said: &Said<'_>) -> Node {
    let members = said
        .iter()
        .map(|(keyword, value)| (*keyword, json::sorted(value)));
    Alternative::Unknown(json::object(members)).into()
}

/// The type that is meant where none is written.
fn inferred(said: &Said<'_>) -> Option<&'static str> {
    ["object", "array", "string", "number"]
        .into_iter()
        .find(|name| said.keys().all(|keyword| belongs(keyword, name)))
}

/// Whether a keyword says something of some type.
pub(crate) fn is_known(keyword: &str) -> bool {
    let types = ["object", "array", "string", "number"];
    types.iter().any(|name| belongs(keyword, name))
}

/// Whether a keyword says something of a type, and is looked at or kept with it.
fn belongs(keyword: &str, name: &str) -> bool {
    match name {
        "object" => matches!(
            keyword,
            "additionalProperties"
                | "dependentRequired"
                | "dependentSchemas"
                | "maxProperties"
                | "minProperties"
                | "patternProperties"
                | "properties"
                | "propertyNames"
                | "required"
                | "unevaluatedProperties"
        ),
        "array" => matches!(
            keyword,
            "additionalItems"
                | "contains"
                | "items"
                | "maxContains"
                | "maxItems"
                | "minContains"
                | "minItems"
                | "prefixItems"
                | "unevaluatedItems"
                | "uniqueItems"
        ),
        "string" => matches!(
            keyword,
            "contentEncoding"
                | "contentMediaType"
                | "contentSchema"
                | "format"
                | "maxLength"
                | "minLength"
                | "pattern"
        ),
        "integer" | "number" => matches!(
            keyword,
            "exclusiveMaximum"
                | "exclusiveMinimum"
                | "format"
                | "maximum"
                | "minimum"
                | "multipleOf"
        ),
        _ => false,
    }
}

fn extra(said: &Said<'_>, keywords: &[&str]) -> Extra {
    let some = keywords.iter().filter_map(|keyword| {
        let value = said.get(keyword)?;
        Some(((*keyword).to_owned(), json::sorted(value)))
    });
    // Said without a word.
    some.filter(|(keyword, value)| !(keyword == "uniqueItems" && *value == Value::Bool(false)))
        .collect()
}

fn count(said: &Said<'_>, keyword: &str) -> Option<u64> {
    let value = said.get(keyword)?;
    value
        .as_u64()
        .or_else(|| whole(value.as_f64()?).and_then(|value| value.try_into().ok()))
}

fn texts(said: &Said<'_>) -> Texts {
    Texts {
        min: count(said, "minLength").unwrap_or(0),
        max: count(said, "maxLength"),
        extra: extra(
            said,
            &[
                "contentEncoding",
                "contentMediaType",
                "contentSchema",
                "format",
                "pattern",
            ],
        ),
    }
}

fn integers(said: &Said<'_>) -> Integers {
    let (mut min, mut max) = (None, None);
    let mut extra = extra(said, &["multipleOf"]);
    if let Some(format) = said.get("format").and_then(|format| format.as_str()) {
        match range(format) {
            Some(range) => (min, max) = range,
            None => extra.extend([("format".to_owned(), format.into())]),
        }
    }
    let bound = |keyword: &str, up: bool| {
        let value = said.get(keyword)?;
        let whole = value.as_i64().map(i128::from);
        let whole = whole.or_else(|| value.as_u64().map(i128::from));
        whole.or_else(|| {
            let value = value.as_f64()?;
            self::whole(if up { value.ceil() } else { value.floor() })
        })
    };
    let open = |keyword: &str, by: i128, up: bool| {
        let value = said.get(keyword)?;
        // 1.5 < x is 2 <= x: only a whole bound moves.
        let moved = value.as_f64().is_none_or(|value| value.fract() == 0.0);
        bound(keyword, up)?.checked_add(if moved { by } else { 0 })
    };
    for low in [bound("minimum", true), open("exclusiveMinimum", 1, true)] {
        min = min.max(low);
    }
    for high in [bound("maximum", false), open("exclusiveMaximum", -1, false)]
        .into_iter()
        .flatten()
    {
        max = Some(max.map_or(high, |max: i128| max.min(high)));
    }
    Integers { min, max, extra }
}

/// The bounds that a format of an integer stands for.
fn range(format: &str) -> Option<(Option<i128>, Option<i128>)> {
    let both = |min, max| Some((Some(min), Some(max)));
    match format {
        "int8" => both(i8::MIN.into(), i8::MAX.into()),
        "int16" => both(i16::MIN.into(), i16::MAX.into()),
        "int32" => both(i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => both(i64::MIN.into(), i64::MAX.into()),
        "int128" => both(i128::MIN, i128::MAX),
        "uint8" => both(0, u8::MAX.into()),
        "uint16" => both(0, u16::MAX.into()),
        "uint32" => both(0, u32::MAX.into()),
        "uint64" | "uint" => both(0, u64::MAX.into()),
        "uint128" => Some((Some(0), None)),
        _ => None,
    }
}

fn numbers(said: &Said<'_>) -> Numbers {
    let bound = |closed: &str, open: &str, low: bool| {
        let of = |keyword: &str, open| {
            let value = said.get(keyword)?.as_f64()?;
            Some(Bound { value, open })
        };
        match (of(closed, false), of(open, true)) {
            (Some(closed), Some(open)) => {
                let open_is_tighter = if low {
                    open.value >= closed.value
                } else {
                    open.value <= closed.value
                };
                Some(if open_is_tighter { open } else { closed })
            }
            (one, other) => one.or(other),
        }
    };
    let mut extra = extra(said, &["format", "multipleOf"]);
    // How many bits somebody has for it: every format writes and reads both.
    if matches!(
        extra.get("format").and_then(Value::as_str),
        Some("double" | "float")
    ) {
        extra.remove("format");
    }
    Numbers {
        min: bound("minimum", "exclusiveMinimum", true),
        max: bound("maximum", "exclusiveMaximum", false),
        extra,
    }
}

/// A whole number as one.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and what is beyond every integer is no bound of one"
)]
fn whole(value: f64) -> Option<i128> {
    (value.is_finite() && value.fract() == 0.0).then_some(value as i128)
}

#[cfg(test)]
mod tests;
