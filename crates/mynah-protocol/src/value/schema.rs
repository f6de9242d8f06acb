//! The JSON Schema of a value: anything.

use super::Value;
use alloc::borrow::Cow;
use schemars::{JsonSchema, Schema, SchemaGenerator};

impl JsonSchema for Value {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}
