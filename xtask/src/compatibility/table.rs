//! The report as a page.

use super::report::{Cells, MOOT, Report};
use crate::Outcome;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A column: what it says, and the cases that must have passed for it.
type Column = (&'static str, &'static [&'static str]);

/// What calls need, in the order of the page.
const FEATURES: &[Column] = &[
    ("calls", &["calls", "ten_thousand_calls"]),
    ("large", &["large_calls_both_ways"]),
    ("calls back", &["calls_back"]),
    ("error codes", &["errors"]),
    ("notifications", &["notifications"]),
    ("metadata", &["metadata_beside"]),
    ("progress, log", &["side_messages"]),
    ("deadlines", &["deadlines"]),
    ("cancel", &["cancel"]),
    ("result streams", &["result_streams"]),
    ("input streams", &["input_streams"]),
    ("both ways", &["two_way_streams"]),
    ("callbacks", &["callbacks"]),
    ("events", &["events"]),
    ("evidence", &["evidence_of_the_caller"]),
    ("drain, close", &["drain", "close"]),
    ("peer vanishes", &["vanishing_caller", "vanishing_callee"]),
    ("limits", &["limits"]),
    (
        "floods",
        &["f1_calls_and_cancels", "f2_nonsense", "f3_burst"],
    ),
    ("cut at every byte", &["l5_fragments"]),
];

/// What a transport does itself.
const TRANSPORTS: &[Column] = &[
    ("order", &["order", "silence"]),
    (
        "split and joined writes",
        &["split_writes", "coalesced_writes", "vectored_writes"],
    ),
    ("every kind of envelope", &["every_kind"]),
    ("large", &["large_messages"]),
    ("64 MiB both ways", &["slow_both_write_64_mib"]),
    ("a writer waits for its reader", &["vanishing_reader"]),
    ("a full carrier still hears", &["back_pressure"]),
    ("half close", &["half_close"]),
    ("nothing lost at the end", &["tail"]),
    ("peer vanishes", &["vanishing_peer"]),
    ("evidence", &["evidence"]),
    ("address", &["address"]),
    (
        "dialling",
        &[
            "dial_before_accept",
            "accept_dropped",
            "dial_dropped",
            "many_dials",
            "nobody_listens",
        ],
    ),
];

/// What a dialect does itself.
const DIALECTS: &[Column] = &[
    ("handshake", &["handshake"]),
    ("round trip", &["round_trip"]),
    ("refuses the rest", &["refusals"]),
    ("frame ends", &["frame_ends"]),
    ("any split", &["splits"]),
    ("asks for what it needs", &["need"]),
    ("mutated input", &["mutations"]),
    ("size", &["sizes"]),
    ("depth", &["depth"]),
    ("large", &["large_messages"]),
];

const HEAD: &str = "\
# Compatibility

Written by `cargo xtask compatibility` from what the suites of `mynah-testkit` have shown; `cargo xtask test` fails when it
says anything else. Not to be edited.

| mark | meaning |
|---|---|
| yes | the tests for it pass |
| own side | the wire has no word for it: the caller's side keeps to it alone, or what arrives says less |
| refused | the wire has no word for it: what needs it fails where it is made, and nothing is written |
| in part | some of the tests for it pass, and the others were not run |
| n/a | it does not apply, for the reason below the table |
| - | of no matter here |
";

/// The whole page.
///
/// # Errors
/// A case was reported that no column shows, or nothing was reported at all.
pub(super) fn write(report: &Report) -> Outcome<String> {
    if report.transports.is_empty() || report.calls.is_empty() || report.dialects.is_empty() {
        return Err("the report is empty: the suites did not run".into());
    }
    let mut page = HEAD.to_owned();
    section(
        &mut page,
        "Transports",
        "transport",
        TRANSPORTS,
        &report.transports,
    )?;
    let mut by_transport: BTreeMap<&str, BTreeMap<String, Cells>> = BTreeMap::new();
    for ((transport, wire), cells) in &report.calls {
        let wires = by_transport.entry(transport).or_default();
        wires.insert(wire.clone(), cells.clone());
    }
    for (transport, wires) in by_transport {
        let title = format!("Calls over {transport}");
        section(&mut page, &title, "dialect/format", FEATURES, &wires)?;
    }
    let (calls, own) = split_dialects(&report.dialects);
    section(&mut page, "Dialects", "dialect/format", DIALECTS, &own)?;
    section(
        &mut page,
        "Calls over a duplex in memory",
        "dialect/format",
        FEATURES,
        &calls,
    )?;
    Ok(page)
}

/// Whole calls apart from what a dialect does itself.
fn split_dialects(
    dialects: &BTreeMap<String, Cells>,
) -> (BTreeMap<String, Cells>, BTreeMap<String, Cells>) {
    let is_call = |case: &str| FEATURES.iter().any(|(_, cases)| cases.contains(&case));
    let part = |calls: bool| {
        let of = |cells: &Cells| -> Cells {
            let cells = cells.iter().filter(|(case, _)| is_call(case) == calls);
            cells
                .map(|(case, shown)| (case.clone(), shown.clone()))
                .collect()
        };
        let parts = dialects
            .iter()
            .map(|(name, cells)| (name.clone(), of(cells)));
        parts.collect()
    };
    (part(true), part(false))
}

/// One table: a row for each feature, a column for each subject, so that the page is no wider than it has subjects.
fn section(
    page: &mut String,
    title: &str,
    corner: &str,
    features: &[Column],
    subjects: &BTreeMap<String, Cells>,
) -> Outcome {
    for (subject, cells) in subjects {
        for case in cells.keys() {
            if !features.iter().any(|(_, cases)| cases.contains(&&**case)) {
                return Err(format!("no row of the table shows {case} of {subject}").into());
            }
        }
    }
    let names: Vec<&str> = subjects.keys().map(String::as_str).collect();
    write!(
        page,
        "\n## {title}\n\n| {corner} | {} |\n",
        names.join(" | ")
    )?;
    writeln!(page, "|---|{}", "---|".repeat(names.len()))?;
    for (feature, cases) in features {
        let marks: Vec<&str> = subjects.values().map(|cells| mark(cells, cases)).collect();
        writeln!(page, "| {feature} | {} |", marks.join(" | "))?;
    }
    reasons(page, features, subjects)
}

/// Why what does not apply does not: a line for each reason.
fn reasons(page: &mut String, features: &[Column], subjects: &BTreeMap<String, Cells>) -> Outcome {
    /// A reason, what it is one for, and whose.
    type Reason<'a> = (&'a str, Vec<&'a str>, Vec<&'a str>);
    fn add<'a>(names: &mut Vec<&'a str>, name: &'a str) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for (feature, cases) in features {
        for (subject, cells) in subjects {
            for case in *cases {
                let shown = cells.get(*case).and_then(|shown| shown.strip_prefix(MOOT));
                let Some(reason) = shown else { continue };
                match reasons.iter_mut().find(|known| known.0 == reason) {
                    Some((_, of, whose)) => {
                        add(of, feature);
                        add(whose, subject);
                    }
                    None => reasons.push((reason, vec![feature], vec![subject])),
                }
            }
        }
    }
    if !reasons.is_empty() {
        page.push('\n');
    }
    for (reason, of, whose) in reasons {
        writeln!(
            page,
            "- {} ({}): {reason}.",
            of.join(", "),
            whose.join(", ")
        )?;
    }
    Ok(())
}

/// What all cases of a cell together have shown. The least counts.
fn mark(cells: &Cells, cases: &[&str]) -> &'static str {
    let shown: Vec<&str> = cases
        .iter()
        .filter_map(|case| cells.get(*case).map(String::as_str))
        .collect();
    let (moot, shown): (Vec<&str>, Vec<&str>) =
        (shown.into_iter()).partition(|shown| shown.starts_with(MOOT));
    let cases = cases.len().saturating_sub(moot.len());
    if shown.is_empty() {
        if moot.is_empty() { "-" } else { "n/a" }
    } else if shown.len() < cases {
        "in part"
    } else if shown.contains(&"refused") {
        "refused"
    } else if shown.contains(&"kept") {
        "own side"
    } else {
        "yes"
    }
}
