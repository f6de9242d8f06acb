//! What the suites wrote down.

use crate::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// What a case has shown of one subject.
pub(super) type Cells = BTreeMap<String, String>;

/// What was shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Cases of a transport itself, by transport.
    pub(super) transports: BTreeMap<String, Cells>,
    /// Cases of calls, by transport and by dialect with its format.
    pub(super) calls: BTreeMap<(String, String), Cells>,
    /// Cases of a dialect, whole calls included, by dialect with its format.
    pub(super) dialects: BTreeMap<String, Cells>,
}

/// What a case that does not apply begins with; behind it stands the reason.
pub(super) const MOOT: &str = "moot: ";

/// The words that stand for what was shown.
const WORDS: [&str; 4] = ["holds", "carried", "kept", "refused"];

impl Report {
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let mut report = Self::default();
        let mut contradictions = BTreeSet::new();
        for line in text.lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let [suite, transport, wire, case, shown] = parts[..] else {
                return Err(format!("\"{line}\" is no line of a report").into());
            };
            if !WORDS.contains(&shown) && shown.strip_prefix(MOOT).is_none_or(str::is_empty) {
                return Err(format!("\"{shown}\" is nothing that a case shows").into());
            }
            let cells = match (suite, wire) {
                ("transport", "-") => report.transports.entry(transport.to_owned()).or_default(),
                ("transport", wire) => {
                    let key = (transport.to_owned(), wire.to_owned());
                    report.calls.entry(key).or_default()
                }
                ("dialect", wire) => report.dialects.entry(wire.to_owned()).or_default(),
                _ => return Err(format!("\"{suite}\" is no suite").into()),
            };
            let old = cells.insert(case.to_owned(), shown.to_owned());
            if old.is_some_and(|old| old != shown) {
                contradictions.insert(line.to_owned());
            }
        }
        match contradictions.first() {
            None => Ok(report),
            Some(line) => Err(format!("\"{line}\": the same case has shown something else").into()),
        }
    }
}
