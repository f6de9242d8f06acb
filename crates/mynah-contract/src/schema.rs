//! A JSON Schema, as it was given.

use crate::{ContractError, json};
use mynah_protocol::Value;
use std::fmt;
use std::str::FromStr;

/// How deep a schema may be nested; what schemars makes of a type is rarely deeper than 20.
pub(crate) const MAX_DEPTH: usize = 120;
/// How many parts a schema, or all schemas together in one look, may have.
pub(crate) const MAX_PARTS: usize = 1_000_000;

/// A JSON Schema (draft 2020-12, and draft 7 where they differ in names only).
///
/// It keeps the order of its members. In a [`Contract`](crate::Contract) it refers to the definitions of the contract as
/// `#/$defs/Name`; definitions that it brings along are moved there. Two are equal when their members are, in whatever
/// order. A number is what JSON says of it: 30.0 is 30.
#[derive(Clone, Debug)]
pub struct Schema(Value);

impl Schema {
    /// A schema from its value: an object, `true` or `false`.
    ///
    /// # Errors
    /// [`ContractError::Shape`] for anything else, and where a part is nothing that JSON has; [`ContractError::TooDeep`]
    /// and [`ContractError::TooComplex`] for what is too large to be looked at.
    pub fn new(value: impl Into<Value>) -> Result<Self, ContractError> {
        let value = value.into();
        if !matches!(value, Value::Map(_) | Value::Bool(_)) {
            return Err(ContractError::shape("schema", "an object, true or false"));
        }
        let mut parts = 0;
        plain(&value, 0, &mut parts)?;
        Ok(Self(json::settled(value)))
    }

    /// A schema that everything fits.
    #[must_use]
    pub const fn any() -> Self {
        Self(Value::Bool(true))
    }

    /// Its value.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// Its value, given away.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }

    /// A schema that was checked before.
    pub(crate) const fn trusted(value: Value) -> Self {
        Self(value)
    }
}

/// Whether JSON can say a value, and it is not too large.
pub(crate) fn check_value(value: &Value) -> Result<(), ContractError> {
    plain(value, 0, &mut 0)
}

fn plain(value: &Value, depth: usize, parts: &mut usize) -> Result<(), ContractError> {
    *parts += 1;
    if *parts > MAX_PARTS {
        return Err(ContractError::TooComplex { limit: MAX_PARTS });
    }
    if depth > MAX_DEPTH {
        return Err(ContractError::TooDeep { limit: MAX_DEPTH });
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Uint(_) | Value::Int(_) | Value::Text(_) => Ok(()),
        Value::Big(number) if number.as_i128().is_some() || number.as_u128().is_some() => Ok(()),
        Value::Float(number) if number.is_finite() => Ok(()),
        Value::Array(elements) => elements
            .iter()
            .try_for_each(|element| plain(element, depth + 1, parts)),
        Value::Map(members) => members.iter().try_for_each(|(name, value)| {
            if name.as_str().is_none() {
                return Err(ContractError::shape(
                    "schema",
                    "a text as the name of a member",
                ));
            }
            plain(value, depth + 1, parts)
        }),
        _ => Err(ContractError::shape(
            "schema",
            "something that JSON can say",
        )),
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        json::sorted(&self.0) == json::sorted(&other.0)
    }
}

impl FromStr for Schema {
    type Err = ContractError;

    fn from_str(text: &str) -> Result<Self, ContractError> {
        Self::new(json::parse(text)?)
    }
}

impl TryFrom<Value> for Schema {
    type Error = ContractError;

    fn try_from(value: Value) -> Result<Self, ContractError> {
        Self::new(value)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&json::compact(&self.0))
    }
}
