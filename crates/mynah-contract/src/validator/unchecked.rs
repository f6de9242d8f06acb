//! What schemas say that is not looked at.

use super::Validator;
use crate::shape::{Alternative, Extra, Node, Rest};
use mynah_protocol::Value;
use std::collections::BTreeSet;
use std::fmt;

/// As many are told.
const MOST: usize = 32;

/// A keyword of a schema that a [`Validator`] does not look at, though values may break it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unchecked {
    /// Where it stands: `params.name`, `result.items`.
    pub place: String,
    /// The keyword: `pattern`, `uniqueItems`, `if`.
    pub keyword: String,
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of {}", self.keyword, self.place)
    }
}

impl Validator {
    /// What the schemas of the method say and this does not look at. Empty: whatever is let pass is what the contract
    /// says. At most 32 are told.
    ///
    /// What JSON Schema itself calls a note is none of it: `format`, the `content` keywords, titles, examples, and
    /// members that begin with `x-`.
    #[must_use]
    pub fn unchecked(&self) -> Vec<Unchecked> {
        let mut search = Search {
            definitions: &self.definitions,
            seen: BTreeSet::new(),
            found: Vec::new(),
        };
        for param in &self.params {
            if let Some(node) = &param.node {
                search.node(node, &format!("params.{}", param.name));
            }
        }
        if let Some(node) = &self.result {
            search.node(node, "result");
        }
        search.found
    }
}

struct Search<'a> {
    definitions: &'a [Node],
    /// Definitions that were looked into: whatever refers to them says nothing more.
    seen: BTreeSet<usize>,
    found: Vec<Unchecked>,
}

impl<'a> Search<'a> {
    fn node(&mut self, node: &'a Node, place: &str) {
        for alternative in &node.alternatives {
            if self.found.len() >= MOST {
                return;
            }
            self.alternative(alternative, place);
        }
    }

    fn alternative(&mut self, alternative: &'a Alternative, place: &str) {
        match alternative {
            Alternative::Any | Alternative::Null | Alternative::Bool | Alternative::Values(_) => {}
            Alternative::Definition(at) => {
                if let Some(node) = self.definitions.get(*at)
                    && self.seen.insert(*at)
                {
                    self.node(node, place);
                }
            }
            Alternative::Integer(integers) => self.extra(&integers.extra, &["multipleOf"], place),
            Alternative::Number(numbers) => self.extra(&numbers.extra, &[], place),
            Alternative::Text(texts) => self.extra(&texts.extra, &[], place),
            Alternative::Array(arrays) => {
                self.extra(&arrays.extra, &[], place);
                for (node, index) in arrays.first.iter().zip(0_usize..) {
                    self.node(node, &format!("{place}.{index}"));
                }
                self.node(&arrays.rest, &format!("{place}.items"));
            }
            Alternative::Object(objects) => {
                let looked_at = ["maxProperties", "minProperties"];
                self.extra(&objects.extra, &looked_at, place);
                for (name, field) in &objects.fields {
                    self.node(&field.node, &format!("{place}.{name}"));
                }
                if let Rest::Of(node) = &objects.rest {
                    self.node(node, &format!("{place}.additionalProperties"));
                }
            }
            Alternative::Unknown(schema) => self.add(culprit(schema), place),
        }
    }

    fn extra(&mut self, extra: &Extra, looked_at: &[&str], place: &str) {
        for keyword in extra.keys() {
            if !is_note(keyword) && !looked_at.contains(&&**keyword) {
                self.add(keyword, place);
            }
        }
    }

    fn add(&mut self, keyword: &str, place: &str) {
        if self.found.len() < MOST {
            self.found.push(Unchecked {
                place: place.to_owned(),
                keyword: keyword.to_owned(),
            });
        }
    }
}

fn is_note(keyword: &str) -> bool {
    matches!(
        keyword,
        "contentEncoding" | "contentMediaType" | "contentSchema" | "format"
    )
}

/// Why a schema was not understood: the keyword that is not known, or the one that cannot stand beside others.
fn culprit(schema: &Value) -> &str {
    /// Known, and what may be said beside them is not everything.
    const TOGETHER: [&str; 7] = ["allOf", "anyOf", "oneOf", "$ref", "const", "enum", "type"];
    let Some(members) = schema.as_map() else {
        return "schema";
    };
    let keywords = || members.iter().filter_map(|(keyword, _)| keyword.as_str());
    let unknown = |keyword: &&str| {
        !TOGETHER.contains(keyword) && *keyword != "nullable" && !crate::shape::is_known(keyword)
    };
    let together = |keyword: &&str| TOGETHER.contains(keyword);
    keywords()
        .find(unknown)
        .or_else(|| keywords().find(together))
        .unwrap_or("schema")
}
