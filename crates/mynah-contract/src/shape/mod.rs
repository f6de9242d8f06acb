//! What a JSON Schema says of the values that fit it, in a form in which two of them can be held against each other.
//!
//! Schemas that say the same in other words have one shape: an enum written as `oneOf` constants, a type written as a
//! format or as bounds, `nullable` and a list of types. What is for people (titles, descriptions, examples) is left out. A
//! keyword that is not known here stays as it is: equal to itself, and to nothing else.

mod compile;
pub(crate) mod fits;
pub(crate) mod keywords;
mod label;
pub(crate) mod reference;
mod weight;

pub(crate) use compile::is_known;
pub(crate) use label::{cut, label, listed};

use crate::{Contract, ContractError, Schema};
use mynah_protocol::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// The shapes of the definitions of a contract, and of what refers to them.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// Places in `nodes`, by name.
    places: BTreeMap<String, usize>,
    nodes: Vec<Node>,
    /// Parts of shapes that were copied to make them: what is said beside alternatives is said in each.
    copied: Cell<usize>,
}

/// One or another of these fits; without any, nothing does.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) alternatives: Vec<Alternative>,
}

/// Keywords that are not looked into.
pub(crate) type Extra = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Alternative {
    /// What fits the definition at this place.
    Definition(usize),
    Any,
    Null,
    Bool,
    Integer(Integers),
    Number(Numbers),
    Text(Texts),
    /// One of these, by their text in JSON.
    Values(BTreeMap<String, Value>),
    Array(Box<Arrays>),
    Object(Box<Objects>),
    /// A schema that is not understood.
    Unknown(Value),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Integers {
    pub(crate) min: Option<i128>,
    pub(crate) max: Option<i128>,
    pub(crate) extra: Extra,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) min: Option<Bound>,
    pub(crate) max: Option<Bound>,
    pub(crate) extra: Extra,
}

/// A bound, which belongs to what fits or does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) open: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Texts {
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    /// Format and pattern among them.
    pub(crate) extra: Extra,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arrays {
    /// The first elements.
    pub(crate) first: Vec<Node>,
    /// All others.
    pub(crate) rest: Node,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    pub(crate) extra: Extra,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Objects {
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) rest: Rest,
    pub(crate) extra: Extra,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) node: Node,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
}

/// Members of an object that are no fields of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Rest {
    /// They are passed over by whoever reads, and written by nobody.
    #[default]
    Passed,
    /// They are an error.
    Refused,
    /// They have this shape.
    Of(Node),
}

impl Shapes {
    /// The shapes of a contract's definitions.
    pub(crate) fn of(contract: &Contract) -> Result<Self, ContractError> {
        let definitions = contract.definitions();
        Self::over(definitions.map(|(name, schema)| (name.to_owned(), schema.clone())))
    }

    /// The shapes of these definitions, which may refer to each other.
    pub(crate) fn over(
        definitions: impl Iterator<Item = (String, Schema)>,
    ) -> Result<Self, ContractError> {
        let definitions: BTreeMap<String, Schema> = definitions.collect();
        let names = definitions.keys().cloned().zip(0..).collect();
        let mut shapes = Self {
            places: names,
            nodes: Vec::with_capacity(definitions.len()),
            copied: Cell::new(0),
        };
        for schema in definitions.values() {
            let node = shapes.node(schema)?;
            shapes.nodes.push(node);
        }
        Ok(shapes)
    }

    /// The shape of a schema that may refer to the definitions.
    pub(crate) fn node(&self, schema: &Schema) -> Result<Node, ContractError> {
        compile::node(&self.places, &self.copied, schema.as_value(), 0)
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(crate) fn definition(&self, place: usize) -> Option<&Node> {
        self.nodes.get(place)
    }

    /// The shapes of the definitions, given away.
    pub(crate) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// The alternatives of a node, with those of its definitions in their place.
    pub(crate) fn alternatives<'a>(&'a self, node: &'a Node) -> Vec<&'a Alternative> {
        flattened(&self.nodes, node)
    }
}

/// The alternatives of a node, with those of its definitions in their place.
pub(crate) fn flattened<'a>(definitions: &'a [Node], node: &'a Node) -> Vec<&'a Alternative> {
    let mut found = Vec::new();
    // A definition that is an alternative of itself adds nothing.
    let mut seen = BTreeSet::new();
    let mut open: Vec<&Alternative> = node.alternatives.iter().rev().collect();
    while let Some(alternative) = open.pop() {
        match alternative {
            Alternative::Definition(place) => {
                if seen.insert(*place) {
                    let node = definitions.get(*place);
                    open.extend(node.iter().flat_map(|node| node.alternatives.iter().rev()));
                }
            }
            other => found.push(other),
        }
    }
    found
}

impl Node {
    pub(crate) fn any() -> Self {
        Self::from(Alternative::Any)
    }

    /// Whether one of its alternatives is a definition.
    pub(crate) fn refers(&self) -> bool {
        let is_definition = |one: &Alternative| matches!(one, Alternative::Definition(_));
        self.alternatives.iter().any(is_definition)
    }

    pub(crate) fn is_any(&self) -> bool {
        matches!(*self.alternatives, [Alternative::Any])
    }
}

impl From<Alternative> for Node {
    fn from(alternative: Alternative) -> Self {
        Self {
            alternatives: vec![alternative],
        }
    }
}
