//! Schemas of Rust types, by schemars. With the feature `schema`.

use crate::Schema;
use mynah_protocol::Value;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize as _;

/// The schema of what is read as a `T`: fields with a default need not be there.
#[must_use]
pub fn received<T: JsonSchema + ?Sized>() -> Schema {
    of::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of what is written of a `T`: fields that are never skipped are always there.
#[must_use]
pub fn sent<T: JsonSchema + ?Sized>() -> Schema {
    of::<T>(SchemaSettings::draft2020_12().for_serialize())
}

/// A schema that brings its definitions along.
fn of<T: JsonSchema + ?Sized>(settings: SchemaSettings) -> Schema {
    let mut generator = settings.into_generator();
    let mut schema = generator.subschema_for::<T>();
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty()
        && let Some(members) = schema.as_object_mut()
    {
        members.insert("$defs".into(), definitions.into());
    }
    // What schemars writes is JSON, and no type is nested as deep as what is refused.
    let value = Value::deserialize(schema.to_value()).unwrap_or_default();
    Schema::new(value).unwrap_or_else(|_| Schema::any())
}
