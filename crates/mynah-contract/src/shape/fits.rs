//! Whether everything that one side writes is understood by the other.

use super::{
    Alternative, Arrays, Bound, Extra, Integers, Node, Numbers, Objects, Rest, Shapes, Texts,
};
use crate::ContractError;
use mynah_protocol::Value;
use std::collections::HashSet;

/// How many pairs are looked at in one comparison.
pub(crate) const MAX_STEPS: usize = 1_000_000;
/// How deep two shapes are followed into each other, definitions included.
pub(crate) const MAX_LEVELS: usize = 160;

/// Work that is bounded.
#[derive(Debug, Default)]
pub(crate) struct Steps(usize);

impl Steps {
    pub(crate) fn step(&mut self, levels: usize) -> Result<(), ContractError> {
        self.count(1)?;
        if levels > MAX_LEVELS {
            return Err(ContractError::TooDeep { limit: MAX_LEVELS });
        }
        Ok(())
    }

    pub(crate) fn count(&mut self, parts: usize) -> Result<(), ContractError> {
        self.0 = self.0.saturating_add(parts);
        if self.0 > MAX_STEPS {
            return Err(ContractError::TooComplex { limit: MAX_STEPS });
        }
        Ok(())
    }
}

type Pair = (usize, usize);
type Fits = Result<bool, ContractError>;

/// Whether what is written in one shape is understood in another.
///
/// Who writes an object sends the fields that it knows; who reads one passes over fields that it does not know, unless its
/// schema refuses them. Two shapes that contain themselves fit if nothing shows the contrary.
pub(crate) struct Reading<'a, 's> {
    writer: &'a Shapes,
    reader: &'a Shapes,
    steps: &'s mut Steps,
    /// Pairs that fit unless one of them above does not, in the order in which they were assumed.
    assumed: Vec<Pair>,
    known: HashSet<Pair>,
    refuted: HashSet<Pair>,
    levels: usize,
}

impl<'a, 's> Reading<'a, 's> {
    pub(crate) fn new(writer: &'a Shapes, reader: &'a Shapes, steps: &'s mut Steps) -> Self {
        Self {
            writer,
            reader,
            steps,
            assumed: Vec::new(),
            known: HashSet::new(),
            refuted: HashSet::new(),
            levels: 0,
        }
    }

    pub(crate) fn nodes(&mut self, written: &'a Node, read: &'a Node) -> Fits {
        self.steps.step(self.levels)?;
        if read.is_any() {
            return Ok(true);
        }
        let pair = (address(written), address(read));
        if self.refuted.contains(&pair) {
            return Ok(false);
        }
        if !self.known.insert(pair) {
            return Ok(true);
        }
        let mark = self.assumed.len();
        self.assumed.push(pair);
        self.levels += 1;
        let fits = self.alternatives(written, read);
        self.levels -= 1;
        if !matches!(fits, Ok(true)) {
            // What rested on the assumption falls with it.
            for pair in self.assumed.drain(mark..) {
                self.known.remove(&pair);
            }
            self.refuted.insert(pair);
        }
        fits
    }

    fn alternatives(&mut self, written: &'a Node, read: &'a Node) -> Fits {
        let read = self.reader.alternatives(read);
        let written = self.writer.alternatives(written);
        self.steps.count(read.len() + written.len())?;
        for alternative in written {
            if !self.one_of(alternative, &read)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what is written in this way is understood in one of those.
    pub(crate) fn one_of(&mut self, written: &'a Alternative, read: &[&'a Alternative]) -> Fits {
        if let Alternative::Values(values) = written {
            for (text, value) in values {
                self.steps.step(self.levels)?;
                if !read.iter().any(|read| holds(read, text, value)) {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        for read in read {
            if self.alternative(written, read)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn alternative(&mut self, written: &'a Alternative, read: &'a Alternative) -> Fits {
        self.steps.step(self.levels)?;
        Ok(match (written, read) {
            (_, Alternative::Any) => true,
            (Alternative::Integer(written), Alternative::Integer(read)) => integers(written, read),
            (Alternative::Integer(written), Alternative::Number(read)) => as_numbers(written, read),
            (Alternative::Number(written), Alternative::Number(read)) => numbers(written, read),
            (Alternative::Text(written), Alternative::Text(read)) => texts(written, read),
            (Alternative::Array(written), Alternative::Array(read)) => {
                return self.arrays(written, read);
            }
            (Alternative::Object(written), Alternative::Object(read)) => {
                return self.objects(written, read);
            }
            (Alternative::Bool, Alternative::Values(values)) => {
                values.contains_key("true") && values.contains_key("false")
            }
            (written, read) => written == read,
        })
    }

    fn arrays(&mut self, written: &'a Arrays, read: &'a Arrays) -> Fits {
        let longest = written.max.unwrap_or(u64::MAX);
        if written.min < read.min
            || read.max.is_some_and(|max| longest > max)
            || !extra(&written.extra, &read.extra)
        {
            return Ok(false);
        }
        for place in 0..written.first.len().max(read.first.len()) {
            if u64::try_from(place).is_ok_and(|place| place >= longest) {
                return Ok(true);
            }
            let written = written.first.get(place).unwrap_or(&written.rest);
            let read = read.first.get(place).unwrap_or(&read.rest);
            if !self.nodes(written, read)? {
                return Ok(false);
            }
        }
        let more = u64::try_from(written.first.len()).is_ok_and(|len| longest > len);
        Ok(!more || self.nodes(&written.rest, &read.rest)?)
    }

    fn objects(&mut self, written: &'a Objects, read: &'a Objects) -> Fits {
        if !extra(&written.extra, &read.extra) {
            return Ok(false);
        }
        for (name, field) in &written.fields {
            let fits = match read.fields.get(name) {
                Some(known) if known.required && !field.required => false,
                Some(known) => self.nodes(&field.node, &known.node)?,
                None => self.unknown_field(&field.node, &read.rest)?,
            };
            if !fits {
                return Ok(false);
            }
        }
        for (name, known) in &read.fields {
            if written.fields.contains_key(name) {
                continue;
            }
            if known.required {
                return Ok(false);
            }
            if let Rest::Of(rest) = &written.rest
                && !self.nodes(rest, &known.node)?
            {
                return Ok(false);
            }
        }
        match (&written.rest, &read.rest) {
            (Rest::Of(written), Rest::Of(read)) => self.nodes(written, read),
            (Rest::Of(_), Rest::Refused) => Ok(false),
            _ => Ok(true),
        }
    }

    /// Whether a field that the reader does not know does no harm.
    pub(crate) fn unknown_field(&mut self, written: &'a Node, rest: &'a Rest) -> Fits {
        match rest {
            Rest::Passed => Ok(true),
            Rest::Refused => Ok(false),
            Rest::Of(read) => self.nodes(written, read),
        }
    }
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

/// Whether one value is understood.
fn holds(read: &Alternative, text: &str, value: &Value) -> bool {
    match read {
        Alternative::Any => true,
        Alternative::Values(values) => values.contains_key(text),
        Alternative::Bool => value.as_bool().is_some(),
        Alternative::Integer(integers) => whole(value).is_some_and(|value| {
            integers.extra.is_empty()
                && integers.min.is_none_or(|min| min <= value)
                && integers.max.is_none_or(|max| value <= max)
        }),
        Alternative::Number(numbers) => value
            .as_f64()
            .or_else(|| rounded(whole(value)?))
            .is_some_and(|value| {
                let value = Bound { value, open: false };
                numbers.extra.is_empty()
                    && numbers.min.is_none_or(|min| above(value, min))
                    && numbers.max.is_none_or(|max| below(value, max))
            }),
        Alternative::Text(texts) => value.as_str().is_some_and(|value| {
            let len = u64::try_from(value.chars().count()).unwrap_or(u64::MAX);
            texts.extra.is_empty() && texts.min <= len && texts.max.is_none_or(|max| len <= max)
        }),
        _ => false,
    }
}

fn whole(value: &Value) -> Option<i128> {
    let whole = value.as_i64().map(i128::from);
    whole.or_else(|| value.as_u64().map(i128::from))
}

#[allow(clippy::cast_precision_loss, reason = "a bound near it is near enough")]
#[allow(clippy::unnecessary_wraps, reason = "stands behind `or_else`")]
fn rounded(value: i128) -> Option<f64> {
    Some(value as f64)
}

fn integers(written: &Integers, read: &Integers) -> bool {
    let low = read
        .min
        .is_none_or(|read| written.min.is_some_and(|written| written >= read));
    let high = read
        .max
        .is_none_or(|read| written.max.is_some_and(|written| written <= read));
    low && high && extra(&written.extra, &read.extra)
}

fn as_numbers(written: &Integers, read: &Numbers) -> bool {
    let bound = |value: i128| rounded(value).map(|value| Bound { value, open: false });
    let low = read.min.is_none_or(|read| {
        written
            .min
            .and_then(bound)
            .is_some_and(|written| above(written, read))
    });
    let high = read.max.is_none_or(|read| {
        written
            .max
            .and_then(bound)
            .is_some_and(|written| below(written, read))
    });
    low && high && extra(&written.extra, &read.extra)
}

fn numbers(written: &Numbers, read: &Numbers) -> bool {
    let low = read
        .min
        .is_none_or(|read| written.min.is_some_and(|written| above(written, read)));
    let high = read
        .max
        .is_none_or(|read| written.max.is_some_and(|written| below(written, read)));
    low && high && extra(&written.extra, &read.extra)
}

/// Whether all that is above one lower bound is above another.
fn above(bound: Bound, other: Bound) -> bool {
    bound.value > other.value || bound.value >= other.value && (bound.open || !other.open)
}

/// Whether all that is below one upper bound is below another.
fn below(bound: Bound, other: Bound) -> bool {
    bound.value < other.value || bound.value <= other.value && (bound.open || !other.open)
}

fn texts(written: &Texts, read: &Texts) -> bool {
    written.min >= read.min
        && read
            .max
            .is_none_or(|read| written.max.is_some_and(|written| written <= read))
        && extra(&written.extra, &read.extra)
}

/// Whether what the reader asks for beyond what is understood here is what the writer keeps to.
pub(crate) fn extra(written: &Extra, read: &Extra) -> bool {
    read.iter()
        .all(|(keyword, value)| written.get(keyword) == Some(value))
}
