//! Schemas without references, as clamator's generator asks for them.

use crate::schema::{MAX_DEPTH, MAX_PARTS};
use crate::shape::keywords::{Place, place};
use crate::shape::reference;
use crate::{Contract, ContractError};
use mynah_protocol::Value;

/// The same schema with definitions in place of references. A definition within itself is a schema that everything fits,
/// as zod-to-json-schema has it without references.
pub(super) fn inlined(contract: &Contract, schema: &Value) -> Result<Value, ContractError> {
    let mut inliner = Inliner {
        contract,
        open: Vec::new(),
        parts: 0,
    };
    inliner.schema(schema, 0)
}

struct Inliner<'a> {
    contract: &'a Contract,
    /// The definitions that stand around.
    open: Vec<String>,
    parts: usize,
}

impl Inliner<'_> {
    fn schema(&mut self, schema: &Value, depth: usize) -> Result<Value, ContractError> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(ContractError::TooComplex { limit: MAX_PARTS });
        }
        if depth > MAX_DEPTH {
            return Err(ContractError::TooDeep { limit: MAX_DEPTH });
        }
        let Value::Map(members) = schema else {
            return Ok(schema.clone());
        };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return self.referred(target, members, depth);
        }
        let mut inlined = Vec::with_capacity(members.len());
        for (name, value) in members {
            let value = match (place(name.as_str().unwrap_or_default()), value) {
                (Place::Schemas, Value::Array(schemas)) => {
                    let schemas: Result<_, _> = schemas
                        .iter()
                        .map(|schema| self.schema(schema, depth + 1))
                        .collect();
                    Value::Array(schemas?)
                }
                (Place::Schema | Place::Schemas, schema) => self.schema(schema, depth + 1)?,
                (Place::Named, Value::Map(schemas)) => {
                    let schemas: Result<_, ContractError> = schemas
                        .iter()
                        .map(|(name, schema)| Ok((name.clone(), self.schema(schema, depth + 1)?)))
                        .collect();
                    Value::Map(schemas?)
                }
                (_, value) => value.clone(),
            };
            inlined.push((name.clone(), value));
        }
        Ok(Value::Map(inlined))
    }

    fn referred(
        &mut self,
        target: &str,
        members: &[(Value, Value)],
        depth: usize,
    ) -> Result<Value, ContractError> {
        let missing = || ContractError::Reference {
            at: self.contract.name().to_owned(),
            reference: target.to_owned(),
        };
        let name = reference::name(target).ok_or_else(missing)?;
        if self.open.contains(&name) {
            return Ok(Value::Map(Vec::new()));
        }
        let definition = self.contract.definition(&name).ok_or_else(missing)?;
        self.open.push(name);
        let inlined = self.schema(definition.as_value(), depth + 1);
        self.open.pop();
        let mut inlined = inlined?;
        // What is said of the place, as a default, is said behind what is there.
        if let Value::Map(said) = &mut inlined {
            for (name, value) in members {
                if name.as_str() != Some("$ref") {
                    said.retain(|(known, _)| known != name);
                    said.push((name.clone(), value.clone()));
                }
            }
        }
        Ok(inlined)
    }
}
