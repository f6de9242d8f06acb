//! Whether a value fits a shape.

use crate::fault::{Fault, Step};
use crate::json;
use crate::shape::{
    Alternative, Arrays, Bound, Integers, Node, Numbers, Objects, Rest, Texts, flattened, label,
};
use mynah_protocol::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Faults that are told.
const MOST_FAULTS: usize = 32;
/// Looks for each part of a value, and for any value: a value in which every part may be one of many alternatives, deep
/// into each, would take more than anybody has.
const STEPS_EACH: u64 = 64;
const STEPS: u64 = 100_000;

/// One look at a value.
pub(super) struct Checking<'a> {
    definitions: &'a [Node],
    faults: Vec<Fault>,
    at: Vec<Step>,
    /// Looks that are left.
    steps: u64,
    spent: bool,
}

impl<'a> Checking<'a> {
    pub(super) fn of(definitions: &'a [Node], value: &Value) -> Self {
        Self {
            definitions,
            faults: Vec::new(),
            at: Vec::new(),
            steps: parts(value)
                .saturating_mul(STEPS_EACH)
                .saturating_add(STEPS),
            spent: false,
        }
    }

    pub(super) fn into_faults(mut self) -> Vec<Fault> {
        if self.spent {
            self.faults.clear();
            self.faults.push(Fault::new(
                Vec::new(),
                "too_complex",
                "the value takes too much work to be checked",
            ));
        }
        self.faults
    }

    pub(super) fn add(&mut self, kind: &'static str, message: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            let fault = Fault::new(self.at.clone(), kind, message);
            self.faults.push(fault);
        }
    }

    pub(super) fn within(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.at.push(step);
        check(self);
        self.at.pop();
    }

    /// Whether there is work left to be spent.
    fn step(&mut self) -> bool {
        match self.steps.checked_sub(1) {
            Some(left) => {
                self.steps = left;
                true
            }
            None => {
                self.spent = true;
                false
            }
        }
    }

    /// Adds what is wrong with a value.
    pub(super) fn node(&mut self, node: &Node, value: &Value) {
        if self.spent || self.faults.len() >= MOST_FAULTS || self.fits(node, value) {
            return;
        }
        let alternatives = flattened(self.definitions, node);
        // One that is nearly right says more than all of them.
        let near: Vec<&Alternative> = alternatives
            .iter()
            .copied()
            .filter(|alternative| self.is_near(alternative, value))
            .collect();
        let before = self.faults.len();
        if let [near] = &*near {
            self.explain(near, value);
        }
        if self.faults.len() == before {
            let listed = |one: &&Alternative| matches!(one, Alternative::Values(_));
            let kind = if near.is_empty() && !alternatives.iter().any(listed) {
                "invalid_type"
            } else {
                "invalid_value"
            };
            self.add(kind, expected(&alternatives, value));
        }
    }

    fn fits(&mut self, node: &Node, value: &Value) -> bool {
        if node.is_any() {
            return true;
        }
        let alternatives = flattened(self.definitions, node);
        alternatives
            .iter()
            .any(|alternative| self.step() && self.one(alternative, value))
    }

    /// Whether a value is of the kind of an alternative: of an object, what its listed values say decides.
    fn is_near(&self, alternative: &Alternative, value: &Value) -> bool {
        match (alternative, plain(value)) {
            (Alternative::Integer(_) | Alternative::Number(_), value) => is_number(value),
            (Alternative::Text(_), Value::Text(_)) | (Alternative::Array(_), Value::Array(_)) => {
                true
            }
            (Alternative::Object(objects), Value::Map(_)) => {
                objects.fields.iter().all(|(name, field)| {
                    let nodes = flattened(self.definitions, &field.node);
                    let [Alternative::Values(values)] = &*nodes else {
                        return true;
                    };
                    values.len() != 1
                        || !field.required
                        || value
                            .get(name)
                            .is_some_and(|value| is_listed(values, value))
                })
            }
            _ => false,
        }
    }

    /// Whether a value is this one of several.
    fn one(&mut self, alternative: &Alternative, value: &Value) -> bool {
        let value = plain(value);
        match alternative {
            // What is not understood is not looked at. Definitions have been replaced.
            Alternative::Any | Alternative::Unknown(_) | Alternative::Definition(_) => true,
            Alternative::Null => value.is_null(),
            Alternative::Bool => matches!(value, Value::Bool(_)),
            Alternative::Integer(integers) => is_integer(integers, value),
            Alternative::Number(numbers) => is_within(numbers, value),
            Alternative::Text(texts) => is_text(texts, value),
            Alternative::Values(values) => is_listed(values, value),
            Alternative::Array(arrays) => self.array(arrays, value),
            Alternative::Object(objects) => self.object(objects, value),
        }
    }

    fn array(&mut self, arrays: &Arrays, value: &Value) -> bool {
        let len_fits = |len: usize| {
            let len = u64::try_from(len).unwrap_or(u64::MAX);
            arrays.min <= len && arrays.max.is_none_or(|max| len <= max)
        };
        match value {
            // A list of small numbers, where a format has a word for it.
            Value::Bytes(bytes) => {
                let ends = [bytes.iter().min(), bytes.iter().max()];
                len_fits(bytes.len())
                    && arrays.first.is_empty()
                    && ends
                        .into_iter()
                        .flatten()
                        .all(|byte| self.fits(&arrays.rest, &Value::from(*byte)))
            }
            Value::Array(elements) => {
                len_fits(elements.len())
                    && elements.iter().zip(0..).all(|(element, place)| {
                        let node = arrays.first.get(place).unwrap_or(&arrays.rest);
                        self.fits(node, element)
                    })
            }
            _ => false,
        }
    }

    fn object(&mut self, objects: &Objects, value: &Value) -> bool {
        let Value::Map(members) = value else {
            return false;
        };
        if self.len_of_object(objects, members.len()).is_some() {
            return false;
        }
        for (name, member) in members {
            let name = name_of(name);
            let fits = match (objects.fields.get(&*name), &objects.rest) {
                (Some(field), _) => self.fits(&field.node, member),
                (None, Rest::Passed) => true,
                (None, Rest::Refused) => has_patterns(objects),
                (None, Rest::Of(node)) => has_patterns(objects) || self.fits(node, member),
            };
            if !fits {
                return false;
            }
        }
        objects
            .fields
            .iter()
            .all(|(name, field)| !field.required || value.get(name).is_some())
    }

    /// What is wrong with the number of members of an object.
    fn len_of_object(&self, objects: &Objects, len: usize) -> Option<String> {
        let _ = self;
        let bound = |keyword: &str| objects.extra.get(keyword).and_then(Value::as_u64);
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if let Some(min) = bound("minProperties").filter(|min| len < *min) {
            return Some(format!("at least {min} members were expected, not {len}"));
        }
        let max = bound("maxProperties").filter(|max| len > *max)?;
        Some(format!("at most {max} members were expected, not {len}"))
    }

    /// Adds what is wrong with a value that should be this one.
    fn explain(&mut self, alternative: &Alternative, value: &Value) {
        let value = plain(value);
        match (alternative, value) {
            (Alternative::Array(arrays), Value::Array(elements)) => {
                let len = u64::try_from(elements.len()).unwrap_or(u64::MAX);
                if len < arrays.min {
                    let text = format!("at least {} elements were expected, not {len}", arrays.min);
                    self.add("too_short", text);
                }
                if let Some(max) = arrays.max.filter(|max| len > *max) {
                    let text = format!("at most {max} elements were expected, not {len}");
                    return self.add("too_long", text);
                }
                for (element, place) in elements.iter().zip(0..) {
                    let node = arrays.first.get(place).unwrap_or(&arrays.rest);
                    self.within(Step::Index(place), |own| own.node(node, element));
                }
            }
            (Alternative::Object(objects), Value::Map(members)) => {
                if let Some(text) = self.len_of_object(objects, members.len()) {
                    self.add("invalid_length", text);
                }
                for (name, field) in &objects.fields {
                    if field.required && value.get(name).is_none() {
                        let text = format!("missing field `{name}`");
                        let step = Step::Name(name.clone().into());
                        self.within(step, |own| own.add("missing_field", text));
                    }
                }
                for (name, member) in members {
                    let name = name_of(name);
                    let step = Step::Name(name.clone().into_owned().into());
                    match (objects.fields.get(&*name), &objects.rest) {
                        (Some(field), _) => self.within(step, |own| own.node(&field.node, member)),
                        (None, Rest::Refused) if !has_patterns(objects) => {
                            let text = format!("unknown field `{}`", shown(&name));
                            self.add("unknown_field", text);
                        }
                        (None, Rest::Of(node)) if !has_patterns(objects) => {
                            self.within(step, |own| own.node(node, member));
                        }
                        (None, _) => {}
                    }
                }
            }
            (Alternative::Text(texts), Value::Text(text)) => {
                let len = length(text);
                if len < texts.min {
                    let text =
                        format!("at least {} characters were expected, not {len}", texts.min);
                    self.add("too_short", text);
                } else if let Some(max) = texts.max.filter(|max| len > *max) {
                    let text = format!("at most {max} characters were expected, not {len}");
                    self.add("too_long", text);
                }
            }
            (alternative, value) => {
                let text = expected(&[alternative], value);
                self.add("invalid_value", text);
            }
        }
    }
}

/// Members whose names fit a pattern are not known here to be wrong.
fn has_patterns(objects: &Objects) -> bool {
    objects.extra.contains_key("patternProperties")
}

/// A tagged value is its content: a date, a number that is an identifier.
fn plain(value: &Value) -> &Value {
    let mut value = value;
    while let Value::Tag(_, inner) = value {
        value = inner;
    }
    value
}

/// The name of a member: in some formats a number.
fn name_of(name: &Value) -> Cow<'_, str> {
    match plain(name) {
        Value::Text(name) => Cow::Borrowed(name),
        other => Cow::Owned(other.to_string()),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(
        value,
        Value::Uint(_) | Value::Int(_) | Value::Big(_) | Value::Float(_)
    )
}

/// A whole number; beyond 128 bits the nearest that there is.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Uint(number) => Some((*number).into()),
        Value::Int(number) => Some((*number).into()),
        Value::Big(number) => Some(match number.as_i128() {
            Some(whole) => whole,
            None if number.to_f64() < 0.0 => i128::MIN,
            None => i128::MAX,
        }),
        Value::Float(number) => whole_float(*number),
        _ => None,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, as beyond 128 bits in general"
)]
fn whole_float(number: f64) -> Option<i128> {
    (number.is_finite() && number.fract() == 0.0).then_some(number as i128)
}

fn is_integer(integers: &Integers, value: &Value) -> bool {
    let Some(number) = whole(value) else {
        return false;
    };
    let step = integers.extra.get("multipleOf").and_then(whole);
    integers.min.is_none_or(|min| number >= min)
        && integers.max.is_none_or(|max| number <= max)
        && step
            .is_none_or(|step| step == 0 || number.checked_rem(step).is_none_or(|rest| rest == 0))
}

#[allow(clippy::cast_precision_loss, reason = "a bound near it is near enough")]
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Uint(number) => Some(*number as f64),
        Value::Int(number) => Some(*number as f64),
        Value::Big(number) => Some(number.to_f64()),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn is_within(numbers: &Numbers, value: &Value) -> bool {
    let Some(number) = float(value) else {
        return false;
    };
    let low = |bound: Bound| number > bound.value || number >= bound.value && !bound.open;
    let high = |bound: Bound| number < bound.value || number <= bound.value && !bound.open;
    numbers.min.is_none_or(low) && numbers.max.is_none_or(high)
}

fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

fn is_text(texts: &Texts, value: &Value) -> bool {
    match value {
        Value::Text(text) => {
            let len = length(text);
            texts.min <= len && texts.max.is_none_or(|max| len <= max)
        }
        // A text in JSON, where a format has a word for what it says.
        Value::Bytes(_) | Value::Ext(..) => {
            texts.extra.contains_key("contentEncoding") || texts.extra.contains_key("format")
        }
        _ => false,
    }
}

fn is_listed(values: &BTreeMap<String, Value>, value: &Value) -> bool {
    let value = plain(value);
    if let Value::Float(number) = value
        && let Some(number) = whole_float(*number)
        && values.contains_key(&number.to_string())
    {
        return true;
    }
    crate::schema::check_value(value).is_ok()
        && values.contains_key(&json::compact(&json::sorted(value)))
}

/// How many parts a value has.
fn parts(value: &Value) -> u64 {
    match value {
        Value::Array(elements) => elements.iter().map(parts).fold(1, u64::saturating_add),
        Value::Map(members) => members
            .iter()
            .map(|(name, value)| parts(name).saturating_add(parts(value)))
            .fold(1, u64::saturating_add),
        Value::Tag(_, inner) => parts(inner).saturating_add(1),
        _ => 1,
    }
}

fn expected(alternatives: &[&Alternative], value: &Value) -> String {
    format!("{} was expected, not {}", label(alternatives), found(value))
}

/// What is there, in a few words.
fn found(value: &Value) -> String {
    match plain(value) {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        number if is_number(number) => shown(&number.to_string()),
        Value::Text(text) => format!("\"{}\"", shown(text)),
        Value::Bytes(_) => "bytes".into(),
        Value::Array(_) => "a list".into(),
        Value::Map(_) => "an object".into(),
        _ => "something else".into(),
    }
}

/// The beginning of a text of the other side.
pub(super) fn shown(text: &str) -> String {
    crate::shape::cut(&text.escape_debug().to_string())
}
