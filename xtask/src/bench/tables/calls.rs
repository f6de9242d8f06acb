//! Small calls: what they take, and what they cost.

use super::{Rows, counted, number, rate};
use crate::bench::contenders::Contender;
use crate::bench::figures::{Cell, Figures, Sample};
use crate::bench::pair::Load;
use crate::bench::scenario::{Case, Mode};

/// Headings and tables of what was measured.
pub(super) fn sections(figures: &Figures<'_>) -> Vec<(String, String)> {
    let kind = |kind: &str| -> Vec<&Contender> {
        let of_kind = |contender: &&Contender| contender.kind() == kind;
        figures.contenders.iter().filter(of_kind).collect()
    };
    let in_process = kind("in process");
    let mut transports: Vec<&str> = figures
        .contenders
        .iter()
        .filter(|contender| !contender.in_process)
        .map(Contender::kind)
        .collect();
    transports.dedup();
    let has = |mode, kind: &[&Contender]| {
        let loads = [(1, 1), (8, 64)].map(|(one, other)| Load::new(one, other));
        let mut cells = loads
            .map(|load| figures.measured(Case::calls(mode, load)))
            .into_iter();
        cells.any(|measured| {
            kind.iter()
                .any(|one| measured.iter().any(|it| it.name == one.name))
        })
    };
    let counted = |contender: &&Contender| figures.costs_of(&contender.name).is_some();
    let mut sections = Vec::new();
    let mut push = |title: &str, table| sections.push((title.to_owned(), table));
    for transport in transports {
        let over_wire = kind(transport);
        if has(Mode::Same, &over_wire) {
            push(
                &format!("Over {transport}, client and server on one core"),
                same(figures, &over_wire),
            );
        }
        if transport == "redis" {
            push("Asked of Redis, per call", asked(figures, &over_wire));
        }
        if over_wire.iter().any(counted) {
            push(
                &format!("Per call over {transport}, client and server together"),
                per_call(figures, &over_wire),
            );
        }
        if has(Mode::Split, &over_wire) {
            push(
                &format!("Over {transport}, a core each"),
                split(figures, &over_wire),
            );
        }
        if has(Mode::Multi, &over_wire) {
            push(
                &format!(
                    "Over {transport}, multi-thread runtimes with two workers each, not pinned, 8 x 64"
                ),
                multi(figures, &over_wire),
            );
        }
    }
    if has(Mode::Same, &in_process) || in_process.iter().any(counted) {
        push("In process, one core", local(figures, &in_process));
    }
    sections
}

/// The floor of a table; without one, its first row.
fn floor_of<'a>(contenders: &[&'a Contender]) -> &'a str {
    let floor = contenders
        .iter()
        .find(|contender| contender.floor)
        .or_else(|| contenders.first());
    floor.map_or("", |contender| &contender.name)
}

fn rate_of(cell: Cell<'_>, name: &str) -> String {
    cell.value(name, Sample::per_second)
        .map_or_else(|| "-".to_owned(), rate)
}

fn same(figures: &Figures<'_>, contenders: &[&Contender]) -> String {
    let floor = floor_of(contenders);
    let cell = |connections, in_flight| {
        figures.of(Case::calls(Mode::Same, Load::new(connections, in_flight)))
    };
    let (one, many, most, wide) = (cell(1, 1), cell(1, 64), cell(1, 1024), cell(8, 64));
    let mut rows = Rows::new(&[
        "contender",
        "p50 us @1",
        "x floor",
        "p99 us @1",
        "CPU us/call @64",
        "x floor",
        "@1024",
        "x floor",
        "8x64",
        "x floor",
        "calls/s @1",
        "@64",
        "@1024",
        "8x64",
    ]);
    for contender in contenders {
        let name = contender.name.as_str();
        let mut cells = vec![
            name.to_owned(),
            number(one.value(name, Sample::latency_us)),
            number(one.ratio(name, floor, Sample::latency_us)),
            number(one.value(name, Sample::p99_us)),
        ];
        for cell in [many, most, wide] {
            cells.push(number(cell.value(name, Sample::cpu_us)));
            cells.push(number(cell.ratio(name, floor, Sample::cpu_us)));
        }
        for cell in [one, many, most, wide] {
            cells.push(rate_of(cell, name));
        }
        rows.push(cells);
    }
    rows.text
}

fn per_call(figures: &Figures<'_>, contenders: &[&Contender]) -> String {
    let with_instructions = figures
        .costs
        .iter()
        .any(|costs| costs.instructions.is_some());
    let mut columns = vec![
        "contender",
        "allocations",
        "of them its own",
        "bytes allocated",
        "system calls @1",
        "@64",
        "bytes on the wire, to and fro",
        "both",
    ];
    if with_instructions {
        columns.push("instructions @64");
    }
    let mut rows = Rows::new(&columns);
    for contender in contenders {
        let Some(costs) = figures.costs_of(&contender.name) else {
            continue;
        };
        let wire = costs.wire_bytes;
        let mut cells = vec![
            contender.name.clone(),
            number(Some(costs.allocations)),
            number(Some(costs.allocations - contender.user_allocations)),
            format!("{:.0}", costs.allocated_bytes),
            counted(&costs.syscalls_at_1),
            counted(&costs.syscalls_at_64),
            wire.map_or_else(|| "-".to_owned(), |[to, fro]| format!("{to:.0} + {fro:.0}")),
            wire.map_or_else(|| "-".to_owned(), |[to, fro]| format!("{:.0}", to + fro)),
        ];
        if with_instructions {
            cells.push(
                costs
                    .instructions
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), counted),
            );
        }
        rows.push(cells);
    }
    for contender in contenders {
        if contender.held_to.as_deref() == Some("native") {
            rows.text.push_str(&plain(figures, contender));
        }
    }
    rows.text
}

/// The line that says what hooks cost that nobody uses.
fn plain(figures: &Figures<'_>, contender: &Contender) -> String {
    let Some(costs) = figures.costs_of(&contender.name) else {
        return String::new();
    };
    let own = costs.allocations - contender.user_allocations;
    let instructions = match &costs.instructions {
        Some(Ok(count)) => {
            let before = contender
                .plain_instructions
                .map_or_else(String::new, |before| {
                    format!(
                        " ({before:.0} before there were any: {:+.1} %)",
                        (count / before - 1.0) * 100.0
                    )
                });
            format!("{count:.0} instructions{before}")
        }
        Some(Err(why)) => format!("instructions not counted: {why}"),
        None => "instructions not counted: --instructions".to_owned(),
    };
    format!(
        "\ncosts of a plain call of {}, interceptors, spans and metrics there but not in use: {} allocations of its \
         own, {instructions}.\n",
        contender.name,
        number(Some(own)),
    )
}

fn asked(figures: &Figures<'_>, contenders: &[&Contender]) -> String {
    let cell = |in_flight| figures.of(Case::calls(Mode::Same, Load::new(1, in_flight)));
    let (one, many) = (cell(1), cell(64));
    let mut rows = Rows::new(&[
        "contender",
        "commands @1",
        "@64",
        "reads of a connection @1",
        "@64",
        "CPU us of Redis @1",
        "@64",
        "calls/s @64",
        "x floor",
    ]);
    for contender in contenders {
        let name = contender.name.as_str();
        let mut cells = vec![name.to_owned()];
        for figure in [Sample::commands, Sample::round_trips, Sample::redis_us] {
            cells.push(number(one.value(name, figure)));
            cells.push(number(many.value(name, figure)));
        }
        cells.push(rate_of(many, name));
        cells.push(number(many.ratio(
            name,
            floor_of(contenders),
            Sample::per_second,
        )));
        rows.push(cells);
    }
    rows.text
}

fn split(figures: &Figures<'_>, contenders: &[&Contender]) -> String {
    let floor = floor_of(contenders);
    let cell = |in_flight| figures.of(Case::calls(Mode::Split, Load::new(1, in_flight)));
    let (one, many) = (cell(1), cell(64));
    let mut rows = Rows::new(&[
        "contender",
        "p50 us @1",
        "x floor",
        "p99 us @1",
        "CPU us/call @64",
        "x floor",
        "calls/s @64",
    ]);
    for contender in contenders {
        let name = contender.name.as_str();
        rows.push([
            name.to_owned(),
            number(one.value(name, Sample::latency_us)),
            number(one.ratio(name, floor, Sample::latency_us)),
            number(one.value(name, Sample::p99_us)),
            number(many.value(name, Sample::cpu_us)),
            number(many.ratio(name, floor, Sample::cpu_us)),
            rate_of(many, name),
        ]);
    }
    rows.text
}

fn multi(figures: &Figures<'_>, contenders: &[&Contender]) -> String {
    let floor = floor_of(contenders);
    let wide = figures.of(Case::calls(Mode::Multi, Load::new(8, 64)));
    let mut rows = Rows::new(&["contender", "calls/s", "x floor", "CPU us/call", "x floor"]);
    for contender in contenders {
        let name = contender.name.as_str();
        rows.push([
            name.to_owned(),
            rate_of(wide, name),
            number(wide.ratio(name, floor, Sample::per_second)),
            number(wide.value(name, Sample::cpu_us)),
            number(wide.ratio(name, floor, Sample::cpu_us)),
        ]);
    }
    rows.text
}

fn local(figures: &Figures<'_>, contenders: &[&Contender]) -> String {
    let floor = floor_of(contenders);
    let cell = |in_flight| figures.of(Case::calls(Mode::Same, Load::new(1, in_flight)));
    let (one, many, most) = (cell(1), cell(64), cell(1024));
    let mut rows = Rows::new(&[
        "contender",
        "mean us @1",
        "x floor",
        "CPU us/call @64",
        "x floor",
        "calls/s @1",
        "@64",
        "@1024",
        "allocations",
    ]);
    for contender in contenders {
        let name = contender.name.as_str();
        let mut cells = vec![
            name.to_owned(),
            number(one.value(name, Sample::latency_us)),
            number(one.ratio(name, floor, Sample::latency_us)),
            number(many.value(name, Sample::cpu_us)),
            number(many.ratio(name, floor, Sample::cpu_us)),
        ];
        for cell in [one, many, most] {
            cells.push(rate_of(cell, name));
        }
        cells.push(number(
            figures.costs_of(name).map(|costs| costs.allocations),
        ));
        rows.push(cells);
    }
    rows.text
}
