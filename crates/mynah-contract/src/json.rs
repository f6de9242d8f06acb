//! JSON as text, written as JavaScript writes it: what others hash must be the same to the byte.

use crate::ContractError;
use mynah_protocol::Value;
use std::fmt::Write as _;

/// The longest text that is read, in bytes: 8 MiB, some hundred times a large manifest.
pub const MAX_TEXT_BYTES: usize = 8 << 20;

/// Reads a text. Members keep their order; no member may be there twice.
///
/// # Errors
/// [`ContractError::TooLarge`] above [`MAX_TEXT_BYTES`], [`ContractError::Json`] when it is no JSON or nested more than
/// 127 levels deep, [`ContractError::Duplicate`] for a member that is there twice.
pub fn parse(text: &str) -> Result<Value, ContractError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ContractError::TooLarge {
            bytes: text.len(),
            limit: MAX_TEXT_BYTES,
        });
    }
    let value =
        serde_json::from_str(text).map_err(|error| ContractError::Json(error.to_string()))?;
    unique(&value)?;
    Ok(value)
}

/// As deep as what serde_json reads.
fn unique(value: &Value) -> Result<(), ContractError> {
    match value {
        Value::Array(elements) => elements.iter().try_for_each(unique),
        Value::Map(members) => {
            let mut names: Vec<&str> = members
                .iter()
                .filter_map(|(name, _)| name.as_str())
                .collect();
            names.sort_unstable();
            let mut pairs = names.iter().zip(names.iter().skip(1));
            if let Some((name, _)) = pairs.find(|(a, b)| a == b) {
                return Err(ContractError::Duplicate {
                    what: "member",
                    name: (*name).to_owned(),
                });
            }
            members.iter().try_for_each(|(_, value)| unique(value))
        }
        _ => Ok(()),
    }
}

/// The text that `JSON.stringify(value)` gives.
///
/// Integers beyond 2^53, which JavaScript has not, are written in full. What JSON has no word for (bytes, tags, NaN) is
/// written as a text that shows it.
#[must_use]
pub fn compact(value: &Value) -> String {
    let mut writer = Writer::default();
    writer.value(value, None);
    writer.text
}

/// The text that `JSON.stringify(value, null, 2)` gives.
#[must_use]
pub fn pretty(value: &Value) -> String {
    let mut writer = Writer::default();
    writer.value(value, Some(0));
    writer.text
}

/// The same value with the members of every object in the order of their names.
#[must_use]
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => Value::Array(elements.iter().map(sorted).collect()),
        Value::Map(members) => {
            let mut members: Vec<(Value, Value)> = members
                .iter()
                .map(|(name, value)| (name.clone(), sorted(value)))
                .collect();
            members.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            Value::Map(members)
        }
        other => other.clone(),
    }
}

/// The same value with its numbers as they are read again after they were written: JSON has one kind of number, so that
/// 30.0 is 30, and an integer beyond 64 bits is the nearest number with a fraction.
pub(crate) fn settled(value: Value) -> Value {
    match value {
        Value::Float(number) if number.is_finite() => {
            let text = float(number);
            let whole = text.parse().map(Value::Uint);
            let whole = whole.or_else(|_| text.parse().map(Value::Int));
            whole.unwrap_or(Value::Float(number))
        }
        Value::Big(number) => {
            let nearest = number.to_string().parse().ok();
            let nearest = nearest.filter(|nearest: &f64| nearest.is_finite());
            nearest.map_or(Value::Big(number), |nearest| settled(Value::Float(nearest)))
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(settled).collect()),
        Value::Map(members) => Value::Map(
            members
                .into_iter()
                .map(|(name, value)| (name, settled(value)))
                .collect(),
        ),
        other => other,
    }
}

/// An object of members.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members = members.into_iter();
    Value::Map(members.map(|(name, value)| (name.into(), value)).collect())
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    /// `indent`: how deep it stands, where each member has a line of its own.
    fn value(&mut self, value: &Value, indent: Option<usize>) {
        match value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Value::Uint(number) => self.show(number),
            Value::Int(number) => self.show(number),
            Value::Big(number) => self.show(number),
            Value::Float(number) if number.is_finite() => self.text.push_str(&float(*number)),
            Value::Text(text) => self.quoted(text),
            Value::Array(elements) => {
                self.list('[', ']', elements, indent, |writer, element, indent| {
                    writer.value(element, indent);
                });
            }
            Value::Map(members) => {
                self.list(
                    '{',
                    '}',
                    members,
                    indent,
                    |writer, (name, value), indent| {
                        match name.as_str() {
                            Some(name) => writer.quoted(name),
                            None => writer.quoted(&name.to_string()),
                        }
                        writer
                            .text
                            .push_str(if indent.is_some() { ": " } else { ":" });
                        writer.value(value, indent);
                    },
                );
            }
            other => self.quoted(&other.to_string()),
        }
    }

    fn list<T>(
        &mut self,
        open: char,
        close: char,
        elements: &[T],
        indent: Option<usize>,
        mut write: impl FnMut(&mut Self, &T, Option<usize>),
    ) {
        self.text.push(open);
        let inner = indent.map(|indent| indent + 1);
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.new_line(inner);
            write(self, element, inner);
        }
        if !elements.is_empty() {
            self.new_line(indent);
        }
        self.text.push(close);
    }

    fn new_line(&mut self, indent: Option<usize>) {
        if let Some(indent) = indent {
            self.text.push('\n');
            for _ in 0..indent {
                self.text.push_str("  ");
            }
        }
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for char in text.chars() {
            match char {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\u{8}' => self.text.push_str("\\b"),
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\u{c}' => self.text.push_str("\\f"),
                '\r' => self.text.push_str("\\r"),
                '\0'..='\u{1f}' => {
                    self.text.push_str("\\u00");
                    let code = u32::from(char);
                    self.text.extend(char::from_digit(code >> 4, 16));
                    self.text.extend(char::from_digit(code & 15, 16));
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }

    fn show(&mut self, number: impl std::fmt::Display) {
        // Writing into a text does not fail.
        write!(self.text, "{number}").unwrap_or_default();
    }
}

/// A finite number as ECMAScript writes it (ECMA-262, Number::toString): the shortest digits that give it back, with an
/// exponent below 1e-6 and from 1e21 on.
fn float(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let mut text = String::with_capacity(24);
    if number < 0.0 {
        text.push('-');
    }
    let len = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    match exponent {
        0..=20 if len <= exponent + 1 => {
            text.push_str(&digits);
            text.extend((len..=exponent).map(|_| '0'));
        }
        0..=20 => {
            let whole = usize::try_from(exponent + 1).unwrap_or_default();
            let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((&digits, ""));
            text.extend([whole, ".", fraction]);
        }
        -6..=-1 => {
            text.push_str("0.");
            text.extend((exponent + 1..0).map(|_| '0'));
            text.push_str(&digits);
        }
        _ => {
            text.push_str(mantissa);
            text.push('e');
            if exponent > 0 {
                text.push('+');
            }
            text.push_str(&exponent.to_string());
        }
    }
    text
}

#[cfg(test)]
mod tests;
