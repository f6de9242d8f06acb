//! Values as text, for people.

use super::{BigInt, Value};
use core::fmt::{self, Display, Write as _};

/// What is nested deeper is printed as `...`.
const MAX_DEPTH: usize = 128;

/// The diagnostic notation of CBOR (RFC 8949 section 8), on one line, with everything escaped that is not printable;
/// an extension type of MessagePack, for which it has none, is `ext(5, h'00')`.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(self, f, 0)
    }
}

/// In decimal up to 128 bits, as a tagged byte string beyond.
impl Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.as_i128() {
            return value.fmt(f);
        }
        if let Some(value) = self.as_u128() {
            return value.fmt(f);
        }
        write!(f, "{}(", if self.is_negative() { 3 } else { 2 })?;
        write_bytes(self.digits(), f)?;
        f.write_char(')')
    }
}

fn write_value(value: &Value, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
    if depth > MAX_DEPTH {
        return f.write_str("...");
    }
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(value) => value.fmt(f),
        Value::Uint(value) => value.fmt(f),
        Value::Int(value) => value.fmt(f),
        Value::Big(value) => value.fmt(f),
        Value::Float(value) => write_float(*value, f),
        Value::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
        Value::Bytes(bytes) => write_bytes(bytes, f),
        Value::Array(elements) => {
            f.write_char('[')?;
            for (index, element) in elements.iter().enumerate() {
                separate(index, f)?;
                write_value(element, f, depth + 1)?;
            }
            f.write_char(']')
        }
        Value::Map(entries) => {
            f.write_char('{')?;
            for (index, (key, value)) in entries.iter().enumerate() {
                separate(index, f)?;
                write_value(key, f, depth + 1)?;
                f.write_str(": ")?;
                write_value(value, f, depth + 1)?;
            }
            f.write_char('}')
        }
        Value::Tag(number, content) => {
            write!(f, "{number}(")?;
            write_value(content, f, depth + 1)?;
            f.write_char(')')
        }
        Value::Simple(23) => f.write_str("undefined"),
        Value::Simple(number) => write!(f, "simple({number})"),
        Value::Ext(number, content) => {
            write!(f, "ext({number}, ")?;
            write_bytes(content, f)?;
            f.write_char(')')
        }
    }
}

fn separate(index: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if index == 0 {
        Ok(())
    } else {
        f.write_str(", ")
    }
}

fn write_float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        f.write_str("NaN")
    } else if value.is_infinite() {
        f.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        write!(f, "{value:?}")
    }
}

fn write_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("h'")?;
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    f.write_char('\'')
}
