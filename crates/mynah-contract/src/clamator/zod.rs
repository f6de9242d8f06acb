//! What schemars writes of Rust types, in the words of zod-to-json-schema.

use super::inline;
use crate::{Contract, ContractError, Method, Schema, json};
use mynah_protocol::Value;

type Members = Vec<(Value, Value)>;

/// The same contract with schemas as zod-to-json-schema would write them for the same types: without references, titles
/// and descriptions, with members in its order.
///
/// - A struct is closed (`z.object`), a map is a `z.record`, a tuple a `z.tuple`, an enum a `z.enum` or a union.
/// - An integer is `z.number().int()`; bounds are kept where they are not those of 32 bits and more, which schemars says
///   by a format alone: `u8` has both, `u32` and `u64` have a minimum of 0.
/// - A field that may be left out and may be null is `.optional()`: what zod has for it refuses null.
///
/// An enum of which some variants have docs and some have not loses its order: schemars lists those without first.
///
/// Members keep the order of the fields only if `schemars` has its feature `preserve_order`; without it they are in the
/// order of their names, and hashes are not those of zod.
///
/// # Errors
/// [`ContractError::Reference`] and [`ContractError::TooComplex`] when references cannot be resolved.
pub fn zod_form(contract: &Contract) -> Result<Contract, ContractError> {
    let form = |schema: &Option<Schema>, optional: bool| {
        let Some(schema) = schema else {
            return Ok(None);
        };
        let inlined = inline::inlined(contract, schema.as_value())?;
        let inlined = if optional {
            without_null(&inlined)
        } else {
            inlined
        };
        Ok::<_, ContractError>(Some(Schema::new(of_schema(&inlined))?))
    };
    let mut formed = Contract::new(contract.name());
    for method in contract.methods() {
        let mut method: Method = method.clone();
        for param in &mut method.params {
            param.schema = form(&param.schema, param.optional && param.default.is_none())?;
            param.reply = form(&param.reply, false)?;
        }
        method.result = form(&method.result, false)?;
        formed = formed.with_method(method)?;
    }
    Ok(formed)
}

fn of_schema(schema: &Value) -> Value {
    let Value::Map(_) = schema else {
        // `false` has no word in zod; `z.never()` is this.
        return match schema {
            Value::Bool(false) => json::object([("not", Value::Map(Vec::new()))]),
            _ => Value::Map(Vec::new()),
        };
    };
    let mut formed = formed(schema);
    if let (Some(default), Value::Map(members)) = (schema.get("default"), &mut formed) {
        members.push(("default".into(), default.clone()));
    }
    formed
}

fn formed(schema: &Value) -> Value {
    for keyword in ["anyOf", "oneOf"] {
        if let Some(some) = schema.get(keyword).and_then(Value::as_array) {
            return union(some);
        }
    }
    match schema.get("type") {
        Some(Value::Array(types)) => {
            let each: Vec<Value> = types.iter().map(|name| with_type(schema, name)).collect();
            union(&each)
        }
        _ => single(schema),
    }
}

/// One of the types of a schema with several, which keeps what is said of that type only.
fn with_type(schema: &Value, name: &Value) -> Value {
    if name.as_str() == Some("null") {
        return json::object([("type", "null".into())]);
    }
    let members = schema.as_map().unwrap_or_default().iter();
    let members = members.map(|(keyword, value)| {
        let value = if keyword.as_str() == Some("type") {
            name
        } else {
            value
        };
        (keyword.clone(), value.clone())
    });
    Value::Map(members.collect())
}

fn union(some: &[Value]) -> Value {
    let formed: Vec<Value> = some.iter().map(of_schema).collect();
    // Variants without content, one by one, are one enum.
    let texts: Option<Vec<Value>> = formed
        .iter()
        .map(values)
        .collect::<Option<Vec<_>>>()
        .map(|values| values.concat());
    if let Some(texts) = texts {
        return match &*texts {
            [one] => json::object([("type", "string".into()), ("const", one.clone())]),
            _ => json::object([("type", "string".into()), ("enum", Value::Array(texts))]),
        };
    }
    let bare = |schema: &Value| match schema.as_map() {
        Some([(keyword, Value::Text(name))]) if keyword.as_str() == Some("type") => {
            ["string", "number", "boolean", "null"]
                .contains(&&**name)
                .then(|| Value::from(&**name))
        }
        _ => None,
    };
    match formed.iter().map(bare).collect::<Option<Vec<Value>>>() {
        Some(names) => json::object([("type", Value::Array(names))]),
        None => json::object([("anyOf", Value::Array(formed))]),
    }
}

/// The texts of an enum, or of one constant.
fn values(schema: &Value) -> Option<Vec<Value>> {
    if schema.get("type")?.as_str()? != "string" {
        return None;
    }
    if let Some(value) = schema.get("const") {
        return Some(vec![value.clone()]);
    }
    schema.get("enum")?.as_array().map(<[Value]>::to_vec)
}

fn single(schema: &Value) -> Value {
    let kept = |keywords: &[&str]| -> Members {
        let some = keywords.iter().filter_map(|keyword| {
            let value = schema.get(keyword)?;
            Some((Value::from(*keyword), value.clone()))
        });
        some.collect()
    };
    let named = |name: &str| -> Members { vec![("type".into(), name.into())] };
    let mut members = match schema.get("type").and_then(Value::as_str) {
        Some("object") => return object(schema),
        Some("array") => return array(schema),
        Some("integer") => {
            let mut members = named("integer");
            members.extend(kept(&[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ]));
            return Value::Map(members);
        }
        Some("number") => {
            let mut members = named("number");
            members.extend(kept(&[
                "minimum",
                "maximum",
                "exclusiveMinimum",
                "exclusiveMaximum",
                "multipleOf",
            ]));
            return Value::Map(members);
        }
        Some(name) => named(name),
        None => Members::new(),
    };
    if schema
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|values| values.len() == 1)
    {
        let value = schema.get("enum").and_then(|values| values.at(0));
        members.extend(value.map(|value| ("const".into(), value.clone())));
    } else {
        members.extend(kept(&[
            "const",
            "enum",
            "minLength",
            "maxLength",
            "format",
            "pattern",
        ]));
    }
    Value::Map(members)
}

fn object(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_map);
    let additional = schema.get("additionalProperties");
    let (Some(properties), _) = (properties, additional) else {
        return match additional {
            Some(additional @ Value::Map(_)) => json::object([
                ("type", "object".into()),
                ("additionalProperties", of_schema(additional)),
            ]),
            Some(Value::Bool(true)) => json::object([
                ("type", "object".into()),
                ("additionalProperties", Value::Map(Vec::new())),
            ]),
            _ => closed(Vec::new(), Vec::new()),
        };
    };
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .unwrap_or_default();
    let mut fields = Members::with_capacity(properties.len());
    let mut names = Vec::new();
    for (name, field) in properties {
        if required.contains(name) {
            names.push(name.clone());
            fields.push((name.clone(), of_schema(field)));
        } else {
            fields.push((name.clone(), of_schema(&without_null(field))));
        }
    }
    closed(fields, names)
}

fn closed(fields: Members, required: Vec<Value>) -> Value {
    let mut members = vec![
        ("type", "object".into()),
        ("properties", Value::Map(fields)),
    ];
    if !required.is_empty() {
        members.push(("required", Value::Array(required)));
    }
    members.push(("additionalProperties", false.into()));
    json::object(members)
}

fn array(schema: &Value) -> Value {
    if let Some(first) = schema.get("prefixItems").and_then(Value::as_array) {
        let len = Value::from(first.len());
        let items = first.iter().map(of_schema).collect();
        return json::object([
            ("type", "array".into()),
            ("minItems", len.clone()),
            ("maxItems", len),
            ("items", Value::Array(items)),
        ]);
    }
    let mut members: Members = vec![("type".into(), "array".into())];
    if let Some(items) = schema.get("items") {
        let items = of_schema(items);
        if items.as_map().is_some_and(|items| !items.is_empty()) {
            members.push(("items".into(), items));
        }
    }
    for keyword in ["minItems", "maxItems"] {
        if let Some(count) = schema.get(keyword) {
            members.push((keyword.into(), count.clone()));
        }
    }
    Value::Map(members)
}

/// What may be left out needs no null.
fn without_null(schema: &Value) -> Value {
    let Value::Map(members) = schema else {
        return schema.clone();
    };
    let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
    let mut left = Vec::with_capacity(members.len());
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            (Some("type"), Value::Array(names)) => {
                let names: Vec<&Value> = names
                    .iter()
                    .filter(|name| name.as_str() != Some("null"))
                    .collect();
                let value = match &*names {
                    [one] => (*one).clone(),
                    names => Value::Array(names.iter().map(|name| (*name).clone()).collect()),
                };
                left.push((keyword.clone(), value));
            }
            (Some("anyOf" | "oneOf"), Value::Array(some)) => {
                let some: Vec<&Value> = some.iter().filter(|schema| !is_null(schema)).collect();
                if let [Value::Map(one)] = &*some {
                    left.extend(one.iter().cloned());
                } else {
                    let some = some.into_iter().cloned().collect();
                    left.push((keyword.clone(), Value::Array(some)));
                }
            }
            _ => left.push((keyword.clone(), value.clone())),
        }
    }
    Value::Map(left)
}
