//! Where two shapes are different, and who does not understand whom for it.

use super::Reason;
use crate::ContractError;
use crate::json;
use crate::shape::fits::{Reading, Steps, extra};
use crate::shape::{Alternative, Arrays, Field, Node, Objects, Rest, Shapes, cut, listed};
use mynah_protocol::Value;
use std::collections::{BTreeMap, HashSet};

/// How many differences of one schema are told; what is beyond does not change the verdict.
const MAX_FOUND: usize = 200;

/// One difference.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) reason: Reason,
    /// Whether what the old side writes is understood by the new one.
    pub(super) old_is_read_by_new: bool,
    pub(super) new_is_read_by_old: bool,
}

type Outcome = Result<(), ContractError>;
/// Whether the new side reads the old one, and the old side the new one.
type Read = (bool, bool);

/// Everything that is different.
pub(super) fn compare(
    old: (&Shapes, &Node),
    new: (&Shapes, &Node),
) -> Result<Vec<Found>, ContractError> {
    let mut walk = Walk {
        old: old.0,
        new: new.0,
        steps: Steps::default(),
        seen: HashSet::new(),
        path: String::new(),
        levels: 0,
        found: Vec::new(),
    };
    walk.nodes(old.1, new.1)?;
    // The walk names places, and the readings decide: what no named place explains is said of the whole.
    let (old_read, new_read) = walk.read_nodes(old.1, new.1)?;
    let explained = |read: bool, told: fn(&Found) -> bool, found: &[Found]| {
        read || found.iter().any(|found| !told(found))
    };
    if !explained(old_read, |found| found.old_is_read_by_new, &walk.found)
        || !explained(new_read, |found| found.new_is_read_by_old, &walk.found)
    {
        walk.changed(old.1, new.1, (old_read, new_read));
    }
    Ok(walk.found)
}

struct Walk<'a> {
    old: &'a Shapes,
    new: &'a Shapes,
    steps: Steps,
    /// Pairs that were looked at: what is different in them is told once.
    seen: HashSet<(usize, usize)>,
    path: String,
    levels: usize,
    found: Vec<Found>,
}

impl<'a> Walk<'a> {
    fn nodes(&mut self, old: &'a Node, new: &'a Node) -> Outcome {
        self.steps.step(self.levels)?;
        let pair = (
            std::ptr::from_ref(old).addr(),
            std::ptr::from_ref(new).addr(),
        );
        if !self.seen.insert(pair) {
            return Ok(());
        }
        self.levels += 1;
        let outcome = self.alternatives(old, new);
        self.levels -= 1;
        outcome
    }

    fn alternatives(&mut self, old_node: &'a Node, new_node: &'a Node) -> Outcome {
        let mut old = self.old.alternatives(old_node);
        let mut new = self.new.alternatives(new_node);
        self.steps.count(old.len() + new.len())?;
        let null = |alternatives: &mut Vec<&Alternative>| {
            let before = alternatives.len();
            alternatives.retain(|alternative| !matches!(alternative, Alternative::Null));
            before != alternatives.len()
        };
        match (null(&mut old), null(&mut new)) {
            (true, true) | (false, false) => {}
            (true, false) if !old.is_empty() && !new.is_empty() && !new_node.is_any() => {
                self.add(Reason::NullRefused, (false, true));
            }
            (false, true) if !old.is_empty() && !new.is_empty() && !old_node.is_any() => {
                self.add(Reason::NullAllowed, (true, false));
            }
            (true, false) | (false, true) => {
                let read = self.read_nodes(old_node, new_node)?;
                self.changed(old_node, new_node, read);
                return Ok(());
            }
        }
        match (&*old, &*new) {
            ([], []) => Ok(()),
            ([one], [other]) if alike(one, other) => self.alternative(one, other),
            _ if self.is_choice(&old) || self.is_choice(&new) => self.choice(&old, &new),
            _ => {
                let read = self.read(&old, &new)?;
                self.changed_to(&label(&old), &label(&new), read);
                Ok(())
            }
        }
    }

    /// Whether it is an enum: what is different is told of its values and variants.
    fn is_choice(&self, alternatives: &[&Alternative]) -> bool {
        alternatives.len() > 1
            && alternatives.iter().all(|alternative| {
                matches!(alternative, Alternative::Values(_) | Alternative::Object(_))
            })
    }

    fn alternative(&mut self, old: &'a Alternative, new: &'a Alternative) -> Outcome {
        // What a definition holds is met from many places, and told once.
        let pair = (
            std::ptr::from_ref(old).addr(),
            std::ptr::from_ref(new).addr(),
        );
        if !self.seen.insert(pair) {
            return Ok(());
        }
        match (old, new) {
            (Alternative::Object(old), Alternative::Object(new)) => self.objects(old, new),
            (Alternative::Array(old), Alternative::Array(new)) => self.arrays(old, new),
            (Alternative::Values(old), Alternative::Values(new)) => {
                self.values(old, new);
                Ok(())
            }
            (old, new) if old == new => Ok(()),
            (old_one, new_one) => {
                let (old, new) = ([old_one], [new_one]);
                let read = self.read(&old, &new)?;
                self.changed_to(&label(&old), &label(&new), read);
                Ok(())
            }
        }
    }

    fn values(&mut self, old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) {
        for text in old.keys().filter(|text| !new.contains_key(*text)) {
            self.add(Reason::ValueRemoved(cut(text)), (false, true));
        }
        for text in new.keys().filter(|text| !old.contains_key(*text)) {
            self.add(Reason::ValueAdded(cut(text)), (true, false));
        }
    }

    fn choice(&mut self, old: &[&'a Alternative], new: &[&'a Alternative]) -> Outcome {
        let (old, new) = (Variants::of(old), Variants::of(new));
        for (name, variant) in &old.0 {
            match new.0.get(name) {
                Some(now) => {
                    let len = self.path.len();
                    if matches!(variant, Alternative::Object(_)) {
                        self.path.extend([format!("<{name}>")]);
                    }
                    let outcome = if alike(variant, now) {
                        self.alternative(variant, now)
                    } else {
                        let (old, new) = ([*variant], [*now]);
                        let read = self.read(&old, &new)?;
                        self.changed_to(&label(&old), &label(&new), read);
                        Ok(())
                    };
                    self.path.truncate(len);
                    outcome?;
                }
                None => {
                    let all: Vec<&Alternative> = new.0.values().copied().collect();
                    let read = self.reading_new().one_of(variant, &all)?;
                    self.variant(name, variant, false, read);
                }
            }
        }
        for (name, variant) in &new.0 {
            if !old.0.contains_key(name) {
                let all: Vec<&Alternative> = old.0.values().copied().collect();
                let read = self.reading_old().one_of(variant, &all)?;
                self.variant(name, variant, true, read);
            }
        }
        Ok(())
    }

    /// One that has no counterpart. `read`: whether the other side understands it all the same.
    fn variant(&mut self, name: &str, variant: &Alternative, added: bool, read: bool) {
        let flags = if added { (true, read) } else { (read, true) };
        if let Alternative::Values(values) = variant {
            for text in values.keys() {
                let text = cut(text);
                let reason = if added {
                    Reason::ValueAdded(text)
                } else {
                    Reason::ValueRemoved(text)
                };
                self.add(reason, flags);
            }
            return;
        }
        let name = name.to_owned();
        let reason = if added {
            Reason::VariantAdded(name)
        } else {
            Reason::VariantRemoved(name)
        };
        self.add(reason, flags);
    }

    fn arrays(&mut self, old: &'a Arrays, new: &'a Arrays) -> Outcome {
        let len = self.path.len();
        for place in 0..old.first.len().max(new.first.len()) {
            if let (Some(old), Some(new)) = (old.element(place), new.element(place)) {
                self.path.extend([format!("[{place}]")]);
                self.nodes(old, new)?;
                self.path.truncate(len);
            }
        }
        if !old.rest.alternatives.is_empty() && !new.rest.alternatives.is_empty() {
            self.path.push_str("[]");
            self.nodes(&old.rest, &new.rest)?;
            self.path.truncate(len);
        }
        let counted = |arrays: &Arrays| (arrays.min, arrays.max);
        let ((old_min, old_max), (new_min, new_max)) = (counted(old), counted(new));
        if counted(old) != counted(new) || old.extra != new.extra {
            let longest = |max: Option<u64>| max.unwrap_or(u64::MAX);
            let within = |min: bool, max: bool, extra: bool| min && max && extra;
            let read = (
                within(
                    old_min >= new_min,
                    longest(old_max) <= longest(new_max),
                    extra(&old.extra, &new.extra),
                ),
                within(
                    new_min >= old_min,
                    longest(new_max) <= longest(old_max),
                    extra(&new.extra, &old.extra),
                ),
            );
            self.changed_to(&old.counted(), &new.counted(), read);
        }
        Ok(())
    }

    fn objects(&mut self, old: &'a Objects, new: &'a Objects) -> Outcome {
        // What may lead back here comes last, so that a change has the shortest path.
        let (plain, referring): (Vec<_>, Vec<_>) = old
            .fields
            .iter()
            .partition(|(_, field)| !field.node.refers());
        for (name, field) in plain.into_iter().chain(referring) {
            let len = self.at_field(name);
            let outcome = match new.fields.get(name) {
                Some(now) => self.field(field, now),
                None => self.field_removed(field, &new.rest),
            };
            self.path.truncate(len);
            outcome?;
        }
        for (name, field) in &new.fields {
            if !old.fields.contains_key(name) {
                let len = self.at_field(name);
                let outcome = self.field_added(field, &old.rest);
                self.path.truncate(len);
                outcome?;
            }
        }
        self.rest(&old.rest, &new.rest)?;
        if old.extra != new.extra {
            let text = |extra: &BTreeMap<String, Value>| {
                let members = extra.iter().map(|(name, value)| (&**name, value.clone()));
                format!("object with {}", json::compact(&json::object(members)))
            };
            let read = (extra(&old.extra, &new.extra), extra(&new.extra, &old.extra));
            self.changed_to(&text(&old.extra), &text(&new.extra), read);
        }
        Ok(())
    }

    fn field(&mut self, old: &'a Field, new: &'a Field) -> Outcome {
        match (old.required, new.required) {
            (true, false) => self.add(Reason::BecameOptional, (true, false)),
            (false, true) => self.add(Reason::BecameRequired, (false, true)),
            _ => {}
        }
        if old.default != new.default && !old.required && !new.required {
            let text =
                |value: &Option<Value>| value.as_ref().map_or_else(|| "none".into(), json::compact);
            let (old, new) = (cut(&text(&old.default)), cut(&text(&new.default)));
            self.add(Reason::DefaultChanged { old, new }, (true, true));
        }
        self.nodes(&old.node, &new.node)
    }

    /// Who writes it still, is passed over or refused; who reads it still, misses it if it had to be there.
    fn field_removed(&mut self, old: &'a Field, rest: &'a Rest) -> Outcome {
        let still_written = self.reading_new().unknown_field(&old.node, rest)?;
        let reason = Reason::FieldRemoved {
            required: old.required,
        };
        self.add(reason, (still_written, !old.required));
        Ok(())
    }

    fn field_added(&mut self, new: &'a Field, rest: &'a Rest) -> Outcome {
        let written = self.reading_old().unknown_field(&new.node, rest)?;
        let reason = Reason::FieldAdded {
            required: new.required,
        };
        self.add(reason, (!new.required, written));
        Ok(())
    }

    fn rest(&mut self, old: &'a Rest, new: &'a Rest) -> Outcome {
        match (old, new) {
            (Rest::Of(old), Rest::Of(new)) => {
                let len = self.path.len();
                self.path.push_str("{}");
                let outcome = self.nodes(old, new);
                self.path.truncate(len);
                return outcome;
            }
            // Nobody writes what is not known, so nobody is hurt by this alone.
            (Rest::Passed, Rest::Refused) => self.add(Reason::UnknownFieldsRefused, (true, true)),
            (Rest::Refused, Rest::Passed) => self.add(Reason::UnknownFieldsPassed, (true, true)),
            (Rest::Of(_), Rest::Refused) => self.changed_to("map", "object", (false, true)),
            (Rest::Of(_), Rest::Passed) => self.changed_to("map", "object", (true, true)),
            (Rest::Refused, Rest::Of(_)) => self.changed_to("object", "map", (true, false)),
            (Rest::Passed, Rest::Of(_)) => self.changed_to("object", "map", (true, true)),
            (Rest::Passed, Rest::Passed) | (Rest::Refused, Rest::Refused) => {}
        }
        Ok(())
    }

    fn at_field(&mut self, name: &str) -> usize {
        let len = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        len
    }

    fn reading_new(&mut self) -> Reading<'a, '_> {
        Reading::new(self.old, self.new, &mut self.steps)
    }

    fn reading_old(&mut self) -> Reading<'a, '_> {
        Reading::new(self.new, self.old, &mut self.steps)
    }

    fn read_nodes(&mut self, old: &'a Node, new: &'a Node) -> Result<Read, ContractError> {
        let by_new = self.reading_new().nodes(old, new)?;
        let by_old = self.reading_old().nodes(new, old)?;
        Ok((by_new, by_old))
    }

    fn read(
        &mut self,
        old: &[&'a Alternative],
        new: &[&'a Alternative],
    ) -> Result<Read, ContractError> {
        let (mut by_new, mut by_old) = (true, true);
        for one in old {
            by_new &= self.reading_new().one_of(one, new)?;
        }
        for one in new {
            by_old &= self.reading_old().one_of(one, old)?;
        }
        Ok((by_new, by_old))
    }

    fn changed(&mut self, old: &Node, new: &Node, read: Read) {
        let (old, new) = (self.old.label(old), self.new.label(new));
        self.changed_to(&old, &new, read);
    }

    fn changed_to(&mut self, old: &str, new: &str, read: Read) {
        let (old, new) = (old.to_owned(), new.to_owned());
        let reason = match read {
            (true, false) => Reason::TypeWidened { old, new },
            (false, true) => Reason::TypeNarrowed { old, new },
            // Other words for the same.
            (true, true) if old == new => return,
            (true, true) | (false, false) => Reason::TypeChanged { old, new },
        };
        self.add(reason, read);
    }

    fn add(&mut self, reason: Reason, (old_is_read_by_new, new_is_read_by_old): Read) {
        if self.found.len() < MAX_FOUND {
            self.found.push(Found {
                path: self.path.clone(),
                reason,
                old_is_read_by_new,
                new_is_read_by_old,
            });
        }
    }
}

impl Arrays {
    fn element(&self, place: usize) -> Option<&Node> {
        let beyond = self
            .max
            .is_some_and(|max| u64::try_from(place).is_ok_and(|place| place >= max));
        (!beyond).then(|| self.first.get(place).unwrap_or(&self.rest))
    }

    fn counted(&self) -> String {
        let mut text = match (self.min, self.max) {
            (0, None) => "list".into(),
            (min, None) => format!("list of at least {min}"),
            (0, Some(max)) => format!("list of at most {max}"),
            (min, Some(max)) if min == max => format!("list of {min}"),
            (min, Some(max)) => format!("list of {min} to {max}"),
        };
        for keyword in self.extra.keys() {
            text.extend([format!(", {keyword}")]);
        }
        text
    }
}

/// Whether two alternatives are of one kind, so that what is different is inside.
fn alike(old: &Alternative, new: &Alternative) -> bool {
    std::mem::discriminant(old) == std::mem::discriminant(new)
}

fn label(alternatives: &[&Alternative]) -> String {
    let labels: Vec<String> = alternatives
        .iter()
        .map(|alternative| alternative.label())
        .collect();
    match &*labels {
        [] => "nothing".into(),
        labels => listed(labels),
    }
}

/// The alternatives of an enum by a name that an old and a new one share.
struct Variants<'a>(BTreeMap<String, &'a Alternative>);

impl<'a> Variants<'a> {
    fn of(alternatives: &[&'a Alternative]) -> Self {
        let mut variants: BTreeMap<String, &'a Alternative> = BTreeMap::new();
        // Where counting goes on: many may have one name.
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for alternative in alternatives {
            let name = match alternative {
                Alternative::Object(object) => object.tag(),
                // The values of an enum without content, together.
                Alternative::Values(_) => Some(String::new()),
                other => Some(other.label()),
            };
            let name = name.unwrap_or_else(|| "object".into());
            let mut unique = name.clone();
            if variants.contains_key(&unique) {
                let number = numbers.entry(name.clone()).or_insert(1);
                while variants.contains_key(&unique) {
                    *number += 1;
                    unique = format!("{name} {number}");
                }
            }
            variants.insert(unique, alternative);
        }
        Self(variants)
    }
}

impl Objects {
    /// What tells it from other variants: a field with one value, or its only field.
    fn tag(&self) -> Option<String> {
        let tagged = self
            .fields
            .iter()
            .find_map(|(name, field)| match &*field.node.alternatives {
                [Alternative::Values(values)] if field.required && values.len() == 1 => {
                    let text = values.keys().next()?;
                    Some(format!("{name}={}", text.trim_matches('"')))
                }
                _ => None,
            });
        tagged.or_else(|| {
            let mut required = self.fields.iter().filter(|(_, field)| field.required);
            let (name, _) = required.next()?;
            (required.next().is_none() && self.fields.len() == 1).then(|| name.clone())
        })
    }
}
