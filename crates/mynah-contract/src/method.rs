//! A method of a contract.

use crate::Schema;
use mynah_protocol::Value;

/// What kind of call a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one answer.
    Unary,
    /// No answer.
    Notification,
    /// A stream of results.
    ServerStream,
    /// A stream of the caller, one answer.
    ClientStream,
    /// Streams both ways.
    BothStreams,
}

/// How the params of a method stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamsForm {
    /// Each is a value of its own: by position where the wire has positions, by name where it has names.
    #[default]
    Separate,
    /// There is one, and it is an object that is sent as all of the params.
    Object,
    /// Nothing is known of them, as of a method made by hand without an entry in a contract.
    Unknown,
}

/// What a param is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParamKind {
    /// A value.
    #[default]
    Value,
    /// A stream of the caller; the schema is that of an item.
    Stream,
    /// A function of the caller that is told something; the schema is that of what it is told.
    Callback,
    /// A function of the caller that gives something back.
    AskedCallback,
}

/// A method: what is known of it before anything is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    pub(crate) name: String,
    pub(crate) kind: MethodKind,
    pub(crate) docs: Option<String>,
    pub(crate) form: ParamsForm,
    pub(crate) params: Vec<Param>,
    pub(crate) result: Option<Schema>,
    pub(crate) errors: Vec<ErrorEntry>,
    pub(crate) idempotent: bool,
    pub(crate) roles: Vec<String>,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    pub(crate) name: String,
    pub(crate) kind: ParamKind,
    pub(crate) optional: bool,
    pub(crate) default: Option<Value>,
    pub(crate) schema: Option<Schema>,
    pub(crate) reply: Option<Schema>,
}

/// An error that a method answers with, by its code.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorEntry {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Schema>,
}

impl MethodKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Unary,
        Self::Notification,
        Self::ServerStream,
        Self::ClientStream,
        Self::BothStreams,
    ];

    /// Its name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Notification => "notification",
            Self::ServerStream => "server-stream",
            Self::ClientStream => "client-stream",
            Self::BothStreams => "both-streams",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl ParamsForm {
    /// Its name in a manifest; params that are separate need none.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Separate => None,
            Self::Object => Some("object"),
            Self::Unknown => Some("unknown"),
        }
    }
}

impl ParamKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Value,
        Self::Stream,
        Self::Callback,
        Self::AskedCallback,
    ];

    /// Its name in a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Stream => "stream",
            Self::Callback => "callback",
            Self::AskedCallback => "asked-callback",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Method {
    /// A method without params.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: MethodKind) -> Self {
        Self {
            name: name.into(),
            kind,
            docs: None,
            form: ParamsForm::Separate,
            params: Vec::new(),
            result: None,
            errors: Vec::new(),
            idempotent: false,
            roles: Vec::new(),
        }
    }

    /// The same method with what people should know of it.
    #[must_use]
    pub fn with_docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = Some(docs.into());
        self
    }

    /// The same method with one more param behind the others.
    #[must_use]
    pub fn with_param(mut self, param: Param) -> Self {
        self.params.push(param);
        self
    }

    /// The same method with one object as all of its params.
    #[must_use]
    pub fn with_object(mut self, param: Param) -> Self {
        self.form = ParamsForm::Object;
        self.params = vec![param];
        self
    }

    /// The same method, of whose params nothing is known.
    #[must_use]
    pub fn with_unknown_params(mut self) -> Self {
        self.form = ParamsForm::Unknown;
        self.params.clear();
        self
    }

    /// The same method with the shape of its result, or of each item of its stream of results.
    #[must_use]
    pub fn with_result(mut self, schema: Schema) -> Self {
        self.result = Some(schema);
        self
    }

    /// The same method with one more error.
    #[must_use]
    pub fn with_error(mut self, error: ErrorEntry) -> Self {
        self.errors.push(error);
        self
    }

    /// The same method without schemas.
    pub(crate) fn bare(mut self) -> Self {
        for param in &mut self.params {
            param.schema = None;
            param.reply = None;
        }
        self.result = None;
        self.errors.iter_mut().for_each(|error| error.data = None);
        self
    }

    /// The same method with these errors as well.
    #[must_use]
    pub fn with_errors(mut self, errors: impl IntoIterator<Item = ErrorEntry>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// The same method, of which a second call changes nothing.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The same method with one more role of those who may call it. What a role means is for the server to say; nothing
    /// here grants or refuses anything.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Its name, without that of the service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of call it takes.
    #[must_use]
    pub const fn kind(&self) -> MethodKind {
        self.kind
    }

    /// What people should know of it.
    #[must_use]
    pub fn docs(&self) -> Option<&str> {
        self.docs.as_deref()
    }

    /// How its params stand together.
    #[must_use]
    pub const fn form(&self) -> ParamsForm {
        self.form
    }

    /// Its params, in order.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The shape of its result, or of each item of its stream of results, where it is known.
    #[must_use]
    pub const fn result(&self) -> Option<&Schema> {
        self.result.as_ref()
    }

    /// Its errors, in the order of their codes.
    #[must_use]
    pub fn errors(&self) -> &[ErrorEntry] {
        &self.errors
    }

    /// Whether a second call changes nothing.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The roles of those who may call it; none when nothing is said.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }
}

impl Param {
    /// A value that has to be there.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: ParamKind::Value,
            optional: false,
            default: None,
            schema: None,
            reply: None,
        }
    }

    /// A stream of the caller.
    #[must_use]
    pub fn stream(name: impl Into<String>) -> Self {
        Self::of_kind(name, ParamKind::Stream)
    }

    /// A function of the caller that is told something.
    #[must_use]
    pub fn callback(name: impl Into<String>) -> Self {
        Self::of_kind(name, ParamKind::Callback)
    }

    /// A function of the caller that gives something back.
    #[must_use]
    pub fn asked_callback(name: impl Into<String>) -> Self {
        Self::of_kind(name, ParamKind::AskedCallback)
    }

    pub(crate) fn of_kind(name: impl Into<String>, kind: ParamKind) -> Self {
        Self {
            kind,
            ..Self::new(name)
        }
    }

    /// The same param, which may be left out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same param, which stands for this value when it is left out.
    #[must_use]
    pub fn with_default(mut self, value: impl Into<Value>) -> Self {
        self.optional = true;
        self.default = Some(crate::json::settled(value.into()));
        self
    }

    /// The same, with any value that JSON can say; of another one it is only said that the param may be left out.
    #[must_use]
    pub fn with_default_of<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        match Value::from_serialize(value) {
            Ok(value) if crate::schema::check_value(&value).is_ok() => self.with_default(value),
            _ => self.optional(),
        }
    }

    /// The same param with its shape: that of the value, of each item, or of what a callback is told.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same param with the shape of what a callback gives back.
    #[must_use]
    pub fn with_reply(mut self, schema: Schema) -> Self {
        self.reply = Some(schema);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> ParamKind {
        self.kind
    }

    /// Whether it may be left out.
    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// What it stands for when it is left out; `None` when that is nothing, or not known.
    #[must_use]
    pub const fn default(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// The shape of the value, of each item, or of what a callback is told, where it is known.
    #[must_use]
    pub const fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// The shape of what a callback gives back, where it is known.
    #[must_use]
    pub const fn reply(&self) -> Option<&Schema> {
        self.reply.as_ref()
    }
}

impl ErrorEntry {
    /// An error with its code and its text, in which `{field}` may stand for a part of its data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with the shape of its data.
    #[must_use]
    pub fn with_data(mut self, schema: Schema) -> Self {
        self.data = Some(schema);
        self
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> i64 {
        self.code
    }

    /// Its text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The shape of its data, where it is known.
    #[must_use]
    pub const fn data(&self) -> Option<&Schema> {
        self.data.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_by_their_names() {
        for kind in MethodKind::ALL {
            assert_eq!(MethodKind::from_name(kind.name()), Some(kind));
        }
        for kind in ParamKind::ALL {
            assert_eq!(ParamKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(MethodKind::from_name("Unary"), None);
    }
}
