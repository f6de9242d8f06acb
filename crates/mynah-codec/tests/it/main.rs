//! Tests of the formats, framings and dialects through their public interface.

mod cbor;
mod fields;
mod json;
mod msgpack;
mod values;
