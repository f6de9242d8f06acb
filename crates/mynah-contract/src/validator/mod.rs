//! Whether values are what a contract says.
//!
//! What a schema says is looked at as far as it is understood ([`crate::shape`]): types, ranges, lengths, fields, values,
//! alternatives. Patterns and conditions are not, nor are keywords that are unknown: a validator says which there are.

mod fits;
#[cfg(test)]
mod tests;
mod unchecked;

pub use unchecked::Unchecked;

use crate::fault::{Fault, Step};
use crate::shape::{Node, Shapes};
use crate::{Contract, ContractError, ParamKind, ParamsForm};
use fits::Checking;
use mynah_protocol::Value;
use std::sync::Arc;

/// What a contract says of the values of one method: made by [`Contract::validators`].
///
/// It knows types, ranges of numbers, lengths, fields that must be there or must not, listed values and alternatives (of
/// `oneOf` as of `anyOf`: one that fits is enough). What a schema says beyond (`pattern`, `uniqueItems`, `if`, keywords of
/// others) is not looked at, and [`unchecked`](Self::unchecked) says what that is; `format` is a note, as JSON Schema has
/// it. The work is bounded by the size of the value.
///
/// ```
/// use mynah_contract::{Contract, Method, MethodKind, Param, Schema};
/// use mynah_protocol::Value;
///
/// let age: Schema = r#"{"type":"integer","minimum":0,"maximum":150}"#.parse()?;
/// let enter = Method::new("enter", MethodKind::Unary).with_param(Param::new("age").with_schema(age));
/// let contract = Contract::new("inn").with_method(enter)?;
/// let (_, validator) = &contract.validators()?[0];
///
/// assert_eq!(validator.params(&Value::from([Value::from(20)])), []);
/// let faults = validator.params(&Value::from([("age", 151.into())]));
/// assert_eq!(faults[0].to_string(), "age: integer from 0 to 150 was expected, not 151");
/// # Ok::<(), mynah_contract::ContractError>(())
/// ```
#[derive(Debug)]
pub struct Validator {
    form: ParamsForm,
    params: Vec<ParamShape>,
    result: Option<Node>,
    definitions: Arc<[Node]>,
}

#[derive(Debug)]
struct ParamShape {
    name: String,
    /// `None`: nothing is known of it, or it is a stream or a function, which no schema tells of.
    node: Option<Node>,
    /// It may be absent.
    lacks: bool,
    /// And null is absent too.
    optional: bool,
}

impl Contract {
    /// What it says of the values of its methods, each with its name; those of which it says nothing are left out.
    ///
    /// # Errors
    /// [`ContractError::TooDeep`] and [`ContractError::TooComplex`] for schemas that are too large to be looked at.
    pub fn validators(&self) -> Result<Vec<(&str, Validator)>, ContractError> {
        let shapes = Shapes::of(self)?;
        let mut made = Vec::new();
        for method in self.methods() {
            let mut params = Vec::with_capacity(method.params().len());
            for param in method.params() {
                let schema = param.schema().filter(|_| param.kind() == ParamKind::Value);
                params.push(ParamShape {
                    name: param.name().to_owned(),
                    node: schema.map(|schema| shapes.node(schema)).transpose()?,
                    lacks: param.is_optional() || param.default().is_some(),
                    // With a default, only a schema with null in it has null.
                    optional: param.is_optional() && param.default().is_none(),
                });
            }
            let result = method.result().map(|schema| shapes.node(schema));
            made.push((method.name(), method.form(), params, result.transpose()?));
        }
        let definitions: Arc<[Node]> = shapes.into_nodes().into();
        let validators = made.into_iter().map(|(name, form, params, result)| {
            let validator = Validator {
                form,
                params,
                result,
                definitions: Arc::clone(&definitions),
            };
            (name, validator)
        });
        Ok(validators
            .filter(|(_, validator)| validator.says_something())
            .collect())
    }
}

impl Validator {
    fn says_something(&self) -> bool {
        self.result.is_some() || self.params.iter().any(|param| param.node.is_some())
    }

    /// Whether it knows anything of the result, or of the items of a stream of results.
    #[must_use]
    pub const fn checks_results(&self) -> bool {
        self.result.is_some()
    }

    /// What is wrong with the params of a call, in whatever way they are spelled: in order, by name, or as one object.
    /// Null is no params at all. Empty: nothing is wrong. At most 32 faults are told.
    #[must_use]
    pub fn params(&self, params: &Value) -> Vec<Fault> {
        let mut readings = self.readings(params);
        // The first is the one that is told of, if none is right.
        let Some(first) = readings.next() else {
            return Vec::new();
        };
        if first.is_empty() || readings.any(|faults| faults.is_empty()) {
            return Vec::new();
        }
        first
    }

    /// What is wrong with a result, or with one item of a stream of results. Empty: nothing is.
    #[must_use]
    pub fn result(&self, result: &Value) -> Vec<Fault> {
        let mut checking = Checking::of(&self.definitions, result);
        if let Some(node) = &self.result {
            checking.node(node, result);
        }
        checking.into_faults()
    }

    /// What is wrong with params in each way in which they may be meant, the most likely first.
    fn readings<'a>(&'a self, params: &'a Value) -> impl Iterator<Item = Vec<Fault>> + 'a {
        type Reading = fn(&Validator, &Value) -> Vec<Fault>;
        let alone = match params.as_array() {
            Some([alone]) => Some(alone),
            _ => None,
        };
        let one = self.params.len() == 1;
        let readings: Vec<(Reading, &Value)> = match (self.form, params) {
            (ParamsForm::Unknown, _) => Vec::new(),
            (ParamsForm::Object, _) => {
                // A wire with positions has the object as the one element of its array.
                let of = |value| (Self::whole as Reading, value);
                let others = alone.map(of);
                [of(params)].into_iter().chain(others).collect()
            }
            (ParamsForm::Separate, Value::Null) => vec![(Self::positional as Reading, &NOTHING)],
            (ParamsForm::Separate, Value::Array(_)) => {
                let named = alone.filter(|alone| alone.as_map().is_some());
                let named = named.map(|alone| (Self::named as Reading, alone));
                let whole = one.then_some((Self::whole as Reading, params));
                let first = (Self::positional as Reading, params);
                [first].into_iter().chain(named).chain(whole).collect()
            }
            (ParamsForm::Separate, Value::Map(_)) => vec![(Self::named as Reading, params)],
            (ParamsForm::Separate, _) if one => vec![(Self::whole as Reading, params)],
            (ParamsForm::Separate, _) => vec![(Self::neither as Reading, params)],
        };
        readings
            .into_iter()
            .map(|(reading, params)| reading(self, params))
    }

    fn positional(&self, params: &Value) -> Vec<Fault> {
        let elements = params.as_array().unwrap_or_default();
        let mut checking = Checking::of(&self.definitions, params);
        for (param, place) in self.params.iter().zip(0..) {
            param.check(elements.get(place), &mut checking);
        }
        if elements.len() > self.params.len() {
            checking.add(
                "invalid_length",
                format!(
                    "at most {} params were expected, not {}",
                    self.params.len(),
                    elements.len()
                ),
            );
        }
        checking.into_faults()
    }

    fn named(&self, params: &Value) -> Vec<Fault> {
        let members = params.as_map().unwrap_or_default();
        let mut checking = Checking::of(&self.definitions, params);
        for param in &self.params {
            param.check(params.get(&param.name), &mut checking);
        }
        for (name, _) in members {
            let name = name.as_str().unwrap_or_default();
            if !self.params.iter().any(|param| param.name == name) {
                let text = format!("unknown param `{}`", fits::shown(name));
                checking.add("unknown_field", text);
            }
        }
        checking.into_faults()
    }

    fn whole(&self, params: &Value) -> Vec<Fault> {
        let mut checking = Checking::of(&self.definitions, params);
        if let Some(node) = self.params.first().and_then(|param| param.node.as_ref()) {
            checking.node(node, params);
        }
        checking.into_faults()
    }

    fn neither(&self, params: &Value) -> Vec<Fault> {
        let mut checking = Checking::of(&self.definitions, params);
        checking.add("invalid_type", "an array or a map of params was expected");
        checking.into_faults()
    }
}

/// No params, in order.
static NOTHING: Value = Value::Array(Vec::new());

impl ParamShape {
    fn check(&self, value: Option<&Value>, checking: &mut Checking<'_>) {
        let absent = match value {
            None => true,
            Some(value) => self.optional && value.is_null(),
        };
        checking.within(Step::Name(self.name.clone().into()), |checking| {
            match (value, &self.node) {
                _ if absent && self.lacks => {}
                (None, _) => {
                    let text = format!("param `{}` is missing", self.name);
                    checking.add("missing_field", text);
                }
                (Some(value), Some(node)) => checking.node(node, value),
                (Some(_), None) => {}
            }
        });
    }
}
