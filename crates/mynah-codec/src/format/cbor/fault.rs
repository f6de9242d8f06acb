//! What can be wrong with CBOR alone.

pub(super) use crate::format::fault::*;

pub(super) const RESERVED: &str = "a reserved length";
pub(super) const NOT_INDEFINITE: &str = "an indefinite length where there is none";
pub(super) const STRAY_BREAK: &str = "a break where nothing can end";
pub(super) const LONG_SIMPLE: &str = "a simple value in two bytes that has one";
pub(super) const NOT_A_CHUNK: &str = "a string holds something else than its chunks";
