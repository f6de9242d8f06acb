//! A contract: what a service offers.

use crate::definitions::Definitions;
use crate::shape::Shapes;
use crate::{ContractError, Hash, Method, ParamKind, ParamsForm, Schema, manifest};
use std::collections::{BTreeMap, HashSet};

/// What a service offers: its methods and its events.
///
/// ```
/// use mynah_contract::{Contract, Method, MethodKind, Param, Schema};
///
/// let integer: Schema = r#"{"type":"integer","format":"int64"}"#.parse()?;
/// let contract = Contract::new("arith")
///     .with_method(
///         Method::new("add", MethodKind::Unary)
///             .with_docs("The sum of both.")
///             .with_param(Param::new("a").with_schema(integer.clone()))
///             .with_param(Param::new("b").with_schema(integer.clone()).with_default(1))
///             .with_result(integer),
///     )?;
/// assert_eq!(contract.method("add").map(Method::kind), Some(MethodKind::Unary));
/// # Ok::<(), mynah_contract::ContractError>(())
/// ```
///
/// Two are equal when they have equal methods and events, in whatever order.
#[derive(Clone, Debug)]
pub struct Contract {
    name: String,
    docs: Option<String>,
    methods: Vec<Method>,
    events: Vec<Event>,
    definitions: Definitions,
}

/// What a service publishes under a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub(crate) topic: String,
    pub(crate) docs: Option<String>,
    pub(crate) message: Option<Schema>,
}

impl Event {
    /// An event under a topic, as it is said on the wire.
    #[must_use]
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            docs: None,
            message: None,
        }
    }

    /// The same event with what people should know of it.
    #[must_use]
    pub fn with_docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = Some(docs.into());
        self
    }

    /// The same event with the shape of its message.
    #[must_use]
    pub fn with_message(mut self, schema: Schema) -> Self {
        self.message = Some(schema);
        self
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// What people should know of it.
    #[must_use]
    pub fn docs(&self) -> Option<&str> {
        self.docs.as_deref()
    }

    /// The shape of its message, where it is known.
    #[must_use]
    pub const fn message(&self) -> Option<&Schema> {
        self.message.as_ref()
    }
}

impl Contract {
    /// A contract without methods. The name may be empty, for services that have none on the wire.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            docs: None,
            methods: Vec::new(),
            events: Vec::new(),
            definitions: Definitions::default(),
        }
    }

    /// What the macro makes of a trait whose names it has checked. A method whose schemas are too large to be looked at
    /// has none.
    #[doc(hidden)]
    #[must_use]
    pub fn of_parts(
        name: &str,
        docs: Option<&str>,
        methods: Vec<Method>,
        events: Vec<Event>,
    ) -> Self {
        let mut contract = Self::new(name);
        contract.docs = docs.map(str::to_owned);
        for method in methods {
            let added = contract.clone().with_method(method.clone());
            let added = added.or_else(|_| contract.clone().with_method(method.bare()));
            contract = added.unwrap_or(contract);
        }
        for event in events {
            contract = contract.clone().with_event(event).unwrap_or(contract);
        }
        contract
    }

    /// The same contract with what people should know of it.
    #[must_use]
    pub fn with_docs(mut self, docs: impl Into<String>) -> Self {
        self.docs = Some(docs.into());
        self
    }

    /// The same contract with a definition, to which schemas refer as `#/$defs/name`.
    ///
    /// # Errors
    /// [`ContractError::Duplicate`] when another one has the name.
    pub fn with_definition(
        mut self,
        name: impl Into<String>,
        schema: Schema,
    ) -> Result<Self, ContractError> {
        self.definitions.add(name.into(), schema)?;
        Ok(self)
    }

    /// The same contract with one more method.
    ///
    /// Definitions that its schemas bring along become definitions of the contract, under another name where the name
    /// stands for something else already.
    ///
    /// # Errors
    /// - [`ContractError::Duplicate`] for a method, a param or the code of an error that is there already.
    /// - [`ContractError::Name`] for an empty name.
    /// - [`ContractError::Shape`] for params that no call can have: a second stream, or a stream or a callback in a
    ///   notification.
    /// - [`ContractError::TooComplex`] for schemas that are too large to be looked at.
    pub fn with_method(mut self, mut method: Method) -> Result<Self, ContractError> {
        check(&method, &self.methods)?;
        method.errors.sort_by_key(|error| error.code);
        let definitions = &mut self.definitions;
        for param in &mut method.params {
            definitions.adopt(&mut param.schema)?;
            definitions.adopt(&mut param.reply)?;
        }
        definitions.adopt(&mut method.result)?;
        for error in &mut method.errors {
            definitions.adopt(&mut error.data)?;
        }
        self.methods.push(method);
        Ok(self)
    }

    /// The same contract with one more event.
    ///
    /// # Errors
    /// [`ContractError::Duplicate`] for a topic that is there already, [`ContractError::Name`] for an empty one, and
    /// [`ContractError::TooComplex`] for a schema that is too large to be looked at.
    pub fn with_event(mut self, mut event: Event) -> Result<Self, ContractError> {
        named(&event.topic, "topic")?;
        if self.events.iter().any(|known| known.topic == event.topic) {
            return Err(duplicate("topic", &event.topic));
        }
        self.definitions.adopt(&mut event.message)?;
        self.events.push(event);
        Ok(self)
    }

    /// The name of the service on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people should know of it.
    #[must_use]
    pub fn docs(&self) -> Option<&str> {
        self.docs.as_deref()
    }

    /// Its methods, in the order in which they were added.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The method of this name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// Its events, in the order in which they were added.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The event under this topic.
    #[must_use]
    pub fn event(&self, topic: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.topic == topic)
    }

    /// What its schemas refer to, by name, in the order of the names.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &Schema)> {
        self.definitions.iter()
    }

    /// The schema of this name among the definitions.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<&Schema> {
        self.definitions.find(name)
    }

    /// The same contract without the methods for which `keep` says no, without the events if `keep` says no to their
    /// topics, and without the definitions that nothing of the rest refers to.
    #[must_use]
    pub fn filtered(
        &self,
        mut keep_method: impl FnMut(&Method) -> bool,
        mut keep_event: impl FnMut(&Event) -> bool,
    ) -> Self {
        let mut contract = Self {
            name: self.name.clone(),
            docs: self.docs.clone(),
            methods: self
                .methods
                .iter()
                .filter(|method| keep_method(method))
                .cloned()
                .collect(),
            events: self
                .events
                .iter()
                .filter(|event| keep_event(event))
                .cloned()
                .collect(),
            definitions: Definitions::default(),
        };
        let used = self.definitions.used(contract.schemas());
        contract.definitions = used;
        contract
    }

    /// The same contract with what another one of the same service has beyond it: where both have a method or an event,
    /// the one of this contract stays.
    ///
    /// # Errors
    /// [`ContractError::TooComplex`] for schemas that are too large to be looked at.
    pub fn with_rest_of(mut self, other: &Self) -> Result<Self, ContractError> {
        let whole =
            |schema: &Option<Schema>| schema.as_ref().map(|one| other.definitions.whole(one));
        for mut method in other.methods.clone() {
            if self.method(&method.name).is_some() {
                continue;
            }
            for param in &mut method.params {
                param.schema = whole(&param.schema);
                param.reply = whole(&param.reply);
            }
            method.result = whole(&method.result);
            for error in &mut method.errors {
                error.data = whole(&error.data);
            }
            self = self.with_method(method)?;
        }
        for mut event in other.events.clone() {
            if self.event(&event.topic).is_none() {
                event.message = whole(&event.message);
                self = self.with_event(event)?;
            }
        }
        if self.docs.is_none() {
            self.docs.clone_from(&other.docs);
        }
        Ok(self)
    }

    /// The text that is hashed for a method: one line of JSON. Equal texts mean that the same travels in calls of both.
    ///
    /// # Errors
    /// [`ContractError::TooComplex`] when the schemas are too large to be looked at.
    pub fn canonical_text(&self, method: &Method) -> Result<String, ContractError> {
        let shapes = Shapes::of(self)?;
        manifest::canonical::method(&shapes, method)
    }

    /// The hash of a method.
    ///
    /// # Errors
    /// [`ContractError::TooComplex`] when the schemas are too large to be looked at.
    pub fn hash(&self, method: &Method) -> Result<Hash, ContractError> {
        Ok(Hash::of(&self.canonical_text(method)?))
    }

    /// One hash of all methods and events: equal when each of them is. It is what a hello says of a service.
    ///
    /// # Errors
    /// [`ContractError::TooComplex`] when the schemas are too large to be looked at.
    pub fn whole_hash(&self) -> Result<Hash, ContractError> {
        manifest::canonical::whole(self)
    }

    /// This contract alone as a manifest.
    #[must_use]
    pub fn manifest(&self) -> manifest::Manifest {
        manifest::Manifest::of_one(self.clone())
    }

    /// Every schema of its methods and events; not its definitions.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &Schema> {
        let methods = self.methods.iter().flat_map(|method| {
            let params = method.params.iter();
            let params = params.flat_map(|param| param.schema.iter().chain(&param.reply));
            let errors = method.errors.iter().flat_map(|error| &error.data);
            params.chain(&method.result).chain(errors)
        });
        methods.chain(self.events.iter().flat_map(|event| &event.message))
    }
}

impl PartialEq for Contract {
    fn eq(&self, other: &Self) -> bool {
        fn methods(contract: &Contract) -> BTreeMap<&str, &Method> {
            let methods = contract.methods.iter();
            methods.map(|method| (&*method.name, method)).collect()
        }
        fn events(contract: &Contract) -> BTreeMap<&str, &Event> {
            let events = contract.events.iter();
            events.map(|event| (&*event.topic, event)).collect()
        }
        self.name == other.name
            && self.docs == other.docs
            && methods(self) == methods(other)
            && events(self) == events(other)
            && self.definitions == other.definitions
    }
}

fn check(method: &Method, known: &[Method]) -> Result<(), ContractError> {
    named(&method.name, "method")?;
    if known.iter().any(|known| known.name == method.name) {
        return Err(duplicate("method", &method.name));
    }
    let mut names = HashSet::new();
    for param in &method.params {
        named(&param.name, "param")?;
        if !names.insert(&*param.name) {
            return Err(duplicate("param", &param.name));
        }
        if let Some(default) = &param.default {
            crate::schema::check_value(default)?;
        }
    }
    let mut codes = HashSet::new();
    if let Some(twice) = method.errors.iter().find(|error| !codes.insert(error.code)) {
        return Err(duplicate("code", &twice.code.to_string()));
    }
    bound(method)
}

/// Streams and callbacks: what a call can have of them.
fn bound(method: &Method) -> Result<(), ContractError> {
    let wrong = |expected| Err(ContractError::shape(method.name.as_str(), expected));
    let is = |kind| move |param: &&crate::Param| param.kind == kind;
    let streams = method.params.iter().filter(is(ParamKind::Stream)).count();
    let takes = matches!(
        method.kind,
        crate::MethodKind::ClientStream | crate::MethodKind::BothStreams
    );
    if streams != usize::from(takes) && method.form != ParamsForm::Unknown {
        return wrong(
            "one stream among the params of a method with a stream of the caller, and none otherwise",
        );
    }
    let values = method.params.iter().filter(is(ParamKind::Value)).count();
    if method.kind == crate::MethodKind::Notification && values != method.params.len() {
        return wrong("nothing but values in a notification");
    }
    if method.form == ParamsForm::Object && (values != 1 || method.params.len() != 1) {
        return wrong("one value as the object of all params");
    }
    if method.form == ParamsForm::Unknown && !method.params.is_empty() {
        return wrong("no params where nothing is known of them");
    }
    Ok(())
}

fn named(name: &str, what: &'static str) -> Result<(), ContractError> {
    if name.is_empty() {
        return Err(ContractError::Name {
            what,
            name: name.to_owned(),
            why: "it is empty",
        });
    }
    Ok(())
}

fn duplicate(what: &'static str, name: &str) -> ContractError {
    ContractError::Duplicate {
        what,
        name: name.to_owned(),
    }
}
