//! What a value must be beside its type.

mod impls;

pub use mynah_contract::{Fault, Step};
use mynah_protocol::{ErrorCode, RpcError, Value};
use std::borrow::Cow;

/// Checks what its type cannot say: that a number is in its range, a text not empty, two fields go together.
///
/// A server checks the params of a call before its handler is started, and the result before it leaves, where that is
/// asked for: `#[service(validate)]`, or [`validated`](crate::validated) around a handler of one's own. Params that do
/// not pass are refused with -32602, in `data.errors` what is wrong and where; a result that does not pass is the
/// handler's mistake, and its caller hears -32603 `Result validation failed` and no more.
///
/// Numbers, texts and the like are always right; what holds others (`Option`, `Vec`, maps, tuples) is right when they
/// are. It runs for every call, and must not block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be validated",
    note = "implement `mynah::Validate` for it; one with nothing to check has an empty `validate`"
)]
pub trait Validate {
    /// Adds what is wrong with it to the faults; adds nothing when it is right.
    fn validate(&self, faults: &mut Faults);
}

/// What is wrong with a value, as it is gathered.
///
/// It knows at which part of the value the check stands: [`field`](Self::field) and [`element`](Self::element) go one
/// step down for as long as their closure runs.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    path: Vec<Step>,
    list: Vec<Fault>,
    dropped: usize,
}

/// Faults of one value that are kept; a peer may send a list of a million wrong elements.
const MOST_FAULTS: usize = 32;
/// Steps of a way that are kept. A path of [`DecodeLimits::max_depth`](mynah_protocol::DecodeLimits) steps tells nobody
/// more.
const MOST_STEPS: usize = 32;
/// Bytes of a name that are kept: the keys of a map are the peer's.
const MOST_NAME_BYTES: usize = 64;
/// Bytes of a text that are kept: it may quote what the peer sent.
const MOST_TEXT_BYTES: usize = 256;

/// What a result is refused with: the words of every peer that validates results.
const RESULT_TEXT: &str = "Result validation failed";

impl Faults {
    /// None so far.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            path: Vec::new(),
            list: Vec::new(),
            dropped: 0,
        }
    }

    /// Adds a fault of the part where the check stands.
    pub fn add(&mut self, kind: impl Into<Cow<'static, str>>, message: impl Into<String>) {
        if self.list.len() >= MOST_FAULTS {
            self.dropped += 1;
            return;
        }
        let mut message = message.into();
        shorten(&mut message, MOST_TEXT_BYTES);
        let at = self.path.iter().take(MOST_STEPS).cloned().collect();
        self.list.push(Fault::new(at, kind, message));
    }

    /// Adds a fault unless a condition holds.
    pub fn require(
        &mut self,
        holds: bool,
        kind: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) {
        if !holds {
            self.add(kind, message);
        }
    }

    /// Checks the field, parameter or key of this name.
    pub fn field(&mut self, name: impl Into<Cow<'static, str>>, check: impl FnOnce(&mut Self)) {
        let mut name = name.into();
        if name.len() > MOST_NAME_BYTES {
            let mut short = name.into_owned();
            shorten(&mut short, MOST_NAME_BYTES);
            name = short.into();
        }
        self.step(Step::Name(name), check);
    }

    /// Checks the element of this number.
    pub fn element(&mut self, index: usize, check: impl FnOnce(&mut Self)) {
        self.step(Step::Index(index), check);
    }

    fn step(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What is wrong: the first 32.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.list.iter()
    }

    /// How many there are beyond those.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// The names of params in the place of their numbers.
    pub(crate) fn name_params(&mut self, names: &'static [&'static str]) {
        for fault in &mut self.list {
            if let Some(first) = fault.at.first_mut()
                && let Step::Index(index) = first
                && let Some(name) = names.get(*index)
            {
                *first = Step::Name(Cow::Borrowed(name));
            }
        }
    }

    /// `{"errors": [{"loc": [..], "msg": "..", "type": ".."}]}`.
    fn data(&self) -> Value {
        let errors: Vec<_> = self.list.iter().map(value).collect();
        let mut data = vec![("errors".into(), Value::Array(errors))];
        if self.dropped > 0 {
            data.push(("dropped".into(), self.dropped.into()));
        }
        Value::Map(data)
    }

    /// What answers a call whose params are so.
    pub(crate) fn refuse_params(&self) -> Box<RpcError> {
        let text = match self.list.first() {
            Some(fault) => format!("invalid params: {fault}"),
            None => "invalid params".to_owned(),
        };
        Box::new(RpcError::new(ErrorCode::INVALID_PARAMS, text).with_data(self.data()))
    }

    /// What answers a call whose result is so: what is wrong with it is for the log of this side.
    pub(crate) fn refuse_result(&self) -> Box<RpcError> {
        for fault in &self.list {
            let fault = fault.to_string();
            tracing::error!(fault = %fault.escape_debug(), "result of a handler is not valid");
        }
        Box::new(RpcError::new(ErrorCode::INTERNAL, RESULT_TEXT))
    }
}

/// As it is told the other side.
fn value(fault: &Fault) -> Value {
    let steps = fault.at.iter().map(|step| match step {
        Step::Name(name) => Value::from(name.clone()),
        Step::Index(index) => (*index).into(),
    });
    Value::Map(vec![
        ("loc".into(), Value::Array(steps.collect())),
        ("msg".into(), fault.message.as_str().into()),
        ("type".into(), fault.kind.clone().into()),
    ])
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self::from(vec![fault])
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(mut list: Vec<Fault>) -> Self {
        let dropped = list.len().saturating_sub(MOST_FAULTS);
        list.truncate(MOST_FAULTS);
        for fault in &mut list {
            fault.at.truncate(MOST_STEPS);
            for step in &mut fault.at {
                if let Step::Name(name) = step
                    && name.len() > MOST_NAME_BYTES
                {
                    shorten(name.to_mut(), MOST_NAME_BYTES);
                }
            }
            shorten(&mut fault.message, MOST_TEXT_BYTES);
        }
        Self {
            path: Vec::new(),
            list,
            dropped,
        }
    }
}

/// Cuts a text at a number of bytes.
fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str("...");
    }
}

/// What is held against the params of a call beside their type, before the handler is started.
pub trait CheckParams<P>: Send + Sync + 'static {
    /// The error refuses the call. `names`: of the params, as far as they are known.
    #[doc(hidden)]
    fn params(params: &P, names: &'static [&'static str]) -> Result<(), Box<RpcError>>;
}

/// What is held against the result of a call beside its type, before it leaves.
pub trait CheckResult<T>: Send + Sync + 'static {
    /// Whether there is anything to look at.
    #[doc(hidden)]
    const CHECKS: bool;

    /// The error goes out in the place of the result.
    #[doc(hidden)]
    fn result(value: &T) -> Result<(), Box<RpcError>>;
}

/// Nothing is.
#[derive(Debug)]
pub enum Unchecked {}

impl<P> CheckParams<P> for Unchecked {
    #[inline]
    fn params(_: &P, _: &'static [&'static str]) -> Result<(), Box<RpcError>> {
        Ok(())
    }
}

impl<T> CheckResult<T> for Unchecked {
    const CHECKS: bool = false;

    #[inline]
    fn result(_: &T) -> Result<(), Box<RpcError>> {
        Ok(())
    }
}

/// [`Validate`] is.
#[derive(Debug)]
pub enum Checked {}

impl<P: Validate> CheckParams<P> for Checked {
    fn params(params: &P, names: &'static [&'static str]) -> Result<(), Box<RpcError>> {
        let mut faults = Faults::new();
        params.validate(&mut faults);
        if faults.is_empty() {
            return Ok(());
        }
        faults.name_params(names);
        Err(faults.refuse_params())
    }
}

impl<T: Validate> CheckResult<T> for Checked {
    const CHECKS: bool = true;

    fn result(value: &T) -> Result<(), Box<RpcError>> {
        let mut faults = Faults::new();
        value.validate(&mut faults);
        if faults.is_empty() {
            return Ok(());
        }
        Err(faults.refuse_result())
    }
}
