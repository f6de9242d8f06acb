//! What the members of a schema are, so that nobody takes the name of a property for a keyword.

use mynah_protocol::Value;

/// What stands behind a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A schema.
    Schema,
    /// A list of schemas, or one.
    Schemas,
    /// Schemas by name.
    Named,
    /// Something for people; it says nothing of what fits.
    Note,
    /// Anything else.
    Other,
}

/// What stands behind a keyword of JSON Schema.
pub(crate) fn place(keyword: &str) -> Place {
    match keyword {
        "additionalProperties"
        | "additionalItems"
        | "contains"
        | "contentSchema"
        | "else"
        | "if"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Place::Schema,
        "allOf" | "anyOf" | "items" | "oneOf" | "prefixItems" => Place::Schemas,
        "$defs" | "definitions" | "dependentSchemas" | "patternProperties" | "properties" => {
            Place::Named
        }
        "$anchor" | "$comment" | "$id" | "$schema" | "$vocabulary" | "default" | "deprecated"
        | "description" | "discriminator" | "examples" | "example" | "readOnly" | "title"
        | "writeOnly" => Place::Note,
        keyword if keyword.starts_with("x-") => Place::Note,
        _ => Place::Other,
    }
}

/// Whether a reference somewhere in a schema is one of those asked for. The walk ends with the first.
pub(crate) fn any_reference(schema: &Value, ask: &mut dyn FnMut(&str) -> bool) -> bool {
    let Value::Map(members) = schema else {
        return false;
    };
    for (keyword, value) in members {
        let keyword = keyword.as_str().unwrap_or_default();
        let found = match (place(keyword), value) {
            (Place::Other, Value::Text(target)) if keyword == "$ref" => ask(target),
            (Place::Schema, value) => any_reference(value, ask),
            (Place::Schemas, Value::Array(schemas)) => {
                schemas.iter().any(|schema| any_reference(schema, ask))
            }
            (Place::Schemas, schema) => any_reference(schema, ask),
            (Place::Named, Value::Map(schemas)) => {
                schemas.iter().any(|(_, schema)| any_reference(schema, ask))
            }
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// The same schema with other references, where `change` gives one.
pub(crate) fn with_references(
    schema: &Value,
    change: &mut dyn FnMut(&str) -> Option<String>,
) -> Value {
    let Value::Map(members) = schema else {
        return schema.clone();
    };
    let mut changed = Vec::with_capacity(members.len());
    for (name, value) in members {
        let keyword = name.as_str().unwrap_or_default();
        let value = match (place(keyword), value) {
            (Place::Other, Value::Text(target)) if keyword == "$ref" => {
                Value::Text(change(target).unwrap_or_else(|| target.clone()))
            }
            (Place::Schemas, Value::Array(schemas)) => Value::Array(
                schemas
                    .iter()
                    .map(|schema| with_references(schema, change))
                    .collect(),
            ),
            (Place::Schema | Place::Schemas, schema) => with_references(schema, change),
            (Place::Named, Value::Map(schemas)) => Value::Map(
                schemas
                    .iter()
                    .map(|(name, schema)| (name.clone(), with_references(schema, change)))
                    .collect(),
            ),
            _ => value.clone(),
        };
        changed.push((name.clone(), value));
    }
    Value::Map(changed)
}
