//! The manifest of clamator, to the byte: Rust and TypeScript programs see with one `diff` whether their contracts agree.
//!
//! Its generator writes for each method a hash of the text of its schema, as zod-to-json-schema gives it. Texts differ by
//! the order of members, so a schema is hashed as it is written here, definitions put in place of references. What
//! schemars writes of a Rust type says the same in other words: [`zod_form`] puts it as zod does.
//!
//! ```
//! use mynah_contract::{Contract, Method, MethodKind, Param, Schema, clamator};
//!
//! let tag: Schema = r#"{"type":"string"}"#.parse()?;
//! let contract = Contract::new("arith").with_method(
//!     Method::new("ping", MethodKind::Notification)
//!         .with_param(Param::new("tag").with_schema(tag).optional()),
//! )?;
//! let manifest = clamator::manifest(&[contract], "@clamator/codegen v0.1.9", clamator::Target::JsonSchema7)?;
//! assert!(manifest.contains("8c0dc31e45bc656504171a30f477aa20e6894cd5c0f7e9f742c853c2d441df05"));
//! # Ok::<(), mynah_contract::ContractError>(())
//! ```

mod collation;
mod inline;
mod zod;

pub use zod::zod_form;

use crate::{
    Contract, ContractError, Hash, Method, MethodKind, Param, ParamKind, ParamsForm, json,
};
use mynah_protocol::Value;

/// In which words zod-to-json-schema is asked for schemas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// JSON Schema, draft 7: a member `$schema` stands at the end.
    #[default]
    JsonSchema7,
    /// `OpenAPI` 3.0: there is none.
    OpenApi3,
}

/// The text of the manifest file. `generated_by` is what the generator says of itself, as
/// `@clamator/codegen v0.1.9`.
///
/// A method without a schema of its result has the hash of a schema that everything fits, and so has a param without
/// one.
///
/// # Errors
/// - [`ContractError::Name`] for names that clamator refuses: a service is `[a-z][a-z0-9-]*`, a method
///   `[a-z][a-zA-Z0-9]*`.
/// - [`ContractError::Shape`] for a method with a stream or a callback, and for one object of params that is no object.
/// - [`ContractError::Reference`] and [`ContractError::TooComplex`] when references cannot be resolved.
pub fn manifest(
    contracts: &[Contract],
    generated_by: &str,
    target: Target,
) -> Result<String, ContractError> {
    let mut contracts: Vec<&Contract> = contracts.iter().collect();
    contracts.sort_by(|one, other| collation::compare(one.name(), other.name()));
    let mut entries = Vec::with_capacity(contracts.len());
    for contract in contracts {
        check_name(
            contract.name(),
            "service",
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'),
        )?;
        let mut methods: Vec<&Method> = contract.methods().iter().collect();
        methods.sort_by(|one, other| collation::compare(one.name(), other.name()));
        let methods: Result<Vec<(Value, Value)>, ContractError> = methods
            .into_iter()
            .map(|one| Ok((one.name().into(), method(contract, one, target)?)))
            .collect();
        entries.push((contract.name().into(), Value::Map(methods?)));
    }
    let mut text = json::pretty(&json::object([
        ("generatedBy", generated_by.into()),
        ("contracts", Value::Map(entries)),
    ]));
    text.push('\n');
    Ok(text)
}

fn method(contract: &Contract, method: &Method, target: Target) -> Result<Value, ContractError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric();
    check_name(method.name(), "method", is_name)?;
    let hash =
        |text: Result<String, ContractError>| Ok::<_, ContractError>(Hash::of(&text?).to_string());
    let params = hash(params_text(contract, method, target))?;
    let result = match method.kind() {
        MethodKind::Notification => Value::Null,
        MethodKind::Unary => hash(result_text(contract, method, target))?.into(),
        _ => {
            return Err(ContractError::shape(
                method.name(),
                "a method without streams: clamator has none",
            ));
        }
    };
    Ok(json::object([
        ("paramsHash", params.into()),
        ("resultHash", result),
    ]))
}

/// The text that is hashed for the params of a method.
///
/// # Errors
/// As for [`manifest`].
pub fn params_text(
    contract: &Contract,
    method: &Method,
    target: Target,
) -> Result<String, ContractError> {
    if method
        .params()
        .iter()
        .any(|param| param.kind() != ParamKind::Value)
    {
        let expected = "a method without streams and callbacks: clamator has none";
        return Err(ContractError::shape(method.name(), expected));
    }
    let params = match (method.form(), method.params()) {
        (ParamsForm::Object, [param]) => of_param(param),
        (ParamsForm::Unknown, _) => anything(),
        (_, params) => object_of(params),
    };
    text(contract, &params, target)
}

/// The text that is hashed for the result of a method.
///
/// # Errors
/// As for [`manifest`].
pub fn result_text(
    contract: &Contract,
    method: &Method,
    target: Target,
) -> Result<String, ContractError> {
    let result = method.result().map(|schema| schema.as_value().clone());
    text(contract, &result.unwrap_or_else(anything), target)
}

fn text(contract: &Contract, schema: &Value, target: Target) -> Result<String, ContractError> {
    let mut schema = inline::inlined(contract, schema)?;
    if let (Target::JsonSchema7, Value::Map(members)) = (target, &mut schema) {
        members.retain(|(name, _)| name.as_str() != Some("$schema"));
        members.push((
            "$schema".into(),
            "http://json-schema.org/draft-07/schema#".into(),
        ));
    }
    Ok(json::compact(&schema))
}

/// Params as zod writes an object of them.
fn object_of(params: &[Param]) -> Value {
    let properties = params
        .iter()
        .map(|param| (param.name().into(), of_param(param)));
    let properties = Value::Map(properties.collect());
    let required = params.iter().filter(|param| !param.is_optional());
    let required: Vec<Value> = required.map(|param| param.name().into()).collect();
    let mut members = vec![("type", "object".into()), ("properties", properties)];
    if !required.is_empty() {
        members.push(("required", Value::Array(required)));
    }
    members.push(("additionalProperties", false.into()));
    json::object(members)
}

fn of_param(param: &Param) -> Value {
    let mut schema = match param.schema() {
        Some(schema) => schema.as_value().clone(),
        None => anything(),
    };
    if let (Some(default), Value::Map(members)) = (param.default(), &mut schema)
        && !members
            .iter()
            .any(|(name, _)| name.as_str() == Some("default"))
    {
        members.push(("default".into(), default.clone()));
    }
    schema
}

const fn anything() -> Value {
    Value::Map(Vec::new())
}

fn check_name(
    name: &str,
    what: &'static str,
    rest: impl Fn(u8) -> bool,
) -> Result<(), ContractError> {
    let mut bytes = name.bytes();
    if bytes.next().is_some_and(|first| first.is_ascii_lowercase()) && bytes.all(rest) {
        return Ok(());
    }
    Err(ContractError::Name {
        what,
        name: name.to_owned(),
        why: "clamator has no such names",
    })
}
