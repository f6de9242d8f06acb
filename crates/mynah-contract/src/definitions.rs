//! What the schemas of a contract refer to, by name.

use crate::shape::keywords;
use crate::shape::{Shapes, reference};
use crate::{ContractError, Schema, manifest};
use mynah_protocol::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where a schema keeps the definitions that it brings along.
const OWN: [&str; 2] = ["$defs", "definitions"];

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Definitions(BTreeMap<String, Schema>);

impl Definitions {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Schema)> {
        self.0.iter().map(|(name, schema)| (&**name, schema))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Schema> {
        self.0.get(name)
    }

    pub(crate) fn add(&mut self, name: String, schema: Schema) -> Result<(), ContractError> {
        if self.0.contains_key(&name) {
            return Err(ContractError::Duplicate {
                what: "definition",
                name,
            });
        }
        self.0.insert(name, schema);
        Ok(())
    }

    /// Takes the definitions that a schema brings along, and leaves it with references to them.
    ///
    /// A name that stands for something else already gets a number behind it.
    pub(crate) fn adopt(&mut self, schema: &mut Option<Schema>) -> Result<(), ContractError> {
        let Some(given) = schema.as_ref() else {
            return Ok(());
        };
        let (root, own) = taken_apart(given)?;
        if own.is_empty() {
            // An empty list of them is none.
            *schema = Some(Schema::trusted(root));
            return Ok(());
        }
        let names = self.names_for(&own)?;
        for (name, definition) in &own {
            let target = names.get(name).unwrap_or(name);
            if !self.0.contains_key(target) {
                let definition = renamed(definition.as_value(), &names);
                self.0.insert(target.clone(), Schema::trusted(definition));
            }
        }
        *schema = Some(Schema::trusted(renamed(&root, &names)));
        Ok(())
    }

    /// Under which name each definition of a schema stands here.
    fn names_for(
        &self,
        own: &BTreeMap<String, Schema>,
    ) -> Result<BTreeMap<String, String>, ContractError> {
        let all = |name: &String, schema: &Schema| (name.clone(), schema.clone());
        let own_shapes = Shapes::over(own.iter().map(|(name, schema)| all(name, schema)))?;
        let mut here: Option<Shapes> = None;
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut names = BTreeMap::new();
        for name in own.keys() {
            let text = manifest::canonical::definition(&own_shapes, name)?;
            let mut number = 1;
            let target = loop {
                let target = match number {
                    1 => name.clone(),
                    number => format!("{name}{number}"),
                };
                number += 1;
                if self.0.contains_key(&target) {
                    if here.is_none() {
                        here = Some(Shapes::over(
                            self.0.iter().map(|(name, schema)| all(name, schema)),
                        )?);
                    }
                    let known = here
                        .as_ref()
                        .map(|here| manifest::canonical::definition(here, &target));
                    if known.transpose()? == Some(text.clone()) && taken.insert(target.clone()) {
                        break target;
                    }
                } else if !(number > 2 && own.contains_key(&target)) && taken.insert(target.clone())
                {
                    break target;
                }
            };
            names.insert(name.clone(), target);
        }
        Ok(names)
    }

    /// A schema with the definitions that it refers to.
    pub(crate) fn whole(&self, schema: &Schema) -> Schema {
        let used = self.used(std::iter::once(schema)).0;
        let Value::Map(members) = schema.as_value() else {
            return schema.clone();
        };
        if used.is_empty() {
            return schema.clone();
        }
        let definitions = used
            .into_iter()
            .map(|(name, schema)| (name.into(), schema.into_value()));
        let mut members = members.clone();
        members.push(("$defs".into(), Value::Map(definitions.collect())));
        Schema::trusted(Value::Map(members))
    }

    /// Those that these schemas refer to, directly or not.
    pub(crate) fn used<'a>(&self, schemas: impl Iterator<Item = &'a Schema>) -> Self {
        let mut used = BTreeMap::new();
        let mut open = BTreeSet::new();
        for schema in schemas {
            references(schema.as_value(), &mut open);
        }
        while let Some(name) = open.pop_first() {
            if let Some(schema) = self.0.get(&name)
                && !used.contains_key(&name)
            {
                references(schema.as_value(), &mut open);
                used.insert(name, schema.clone());
            }
        }
        Self(used)
    }
}

/// A schema without the definitions that it brings along, and those.
fn taken_apart(schema: &Schema) -> Result<(Value, BTreeMap<String, Schema>), ContractError> {
    let Value::Map(members) = schema.as_value() else {
        return Ok((schema.as_value().clone(), BTreeMap::new()));
    };
    let mut own = BTreeMap::new();
    let mut rest = Vec::with_capacity(members.len());
    for (name, value) in members {
        let is_own = name.as_str().is_some_and(|name| OWN.contains(&name));
        match value {
            Value::Map(definitions) if is_own => {
                for (name, definition) in definitions {
                    if let Some(name) = name.as_str() {
                        own.insert(name.to_owned(), Schema::new(definition.clone())?);
                    }
                }
            }
            _ if is_own => {
                let expected = "its definitions by name, in an object";
                return Err(ContractError::shape("schema", expected));
            }
            _ => rest.push((name.clone(), value.clone())),
        }
    }
    let root = Value::Map(rest);
    // A schema that refers to itself as a whole becomes a definition too.
    if !keywords::any_reference(&root, &mut |target| target == "#")
        && !own
            .values()
            .any(|schema| keywords::any_reference(schema.as_value(), &mut |target| target == "#"))
    {
        return Ok((root, own));
    }
    let title = schema.as_value().get("title").and_then(Value::as_str);
    let mut name = title.unwrap_or("Itself").to_owned();
    while own.contains_key(&name) {
        name.push('_');
    }
    let itself = Value::from(reference::to(&name));
    let to_itself = |value: &Value| {
        keywords::with_references(value, &mut |target| {
            (target == "#").then(|| reference::to(&name))
        })
    };
    own = own
        .into_iter()
        .map(|(name, schema)| (name, Schema::trusted(to_itself(schema.as_value()))))
        .collect();
    own.insert(name.clone(), Schema::trusted(to_itself(&root)));
    Ok((Value::Map(vec![("$ref".into(), itself)]), own))
}

/// The same schema with references to definitions under their new names.
fn renamed(schema: &Value, names: &BTreeMap<String, String>) -> Value {
    keywords::with_references(schema, &mut |target| {
        let name = reference::name(target)?;
        names.get(&name).map(|name| reference::to(name))
    })
}

fn references(schema: &Value, into: &mut BTreeSet<String>) {
    keywords::any_reference(schema, &mut |target| {
        into.extend(reference::name(target));
        false
    });
}
