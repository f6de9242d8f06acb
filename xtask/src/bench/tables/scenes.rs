//! Streams, payloads, idle connections, callbacks, events.

use super::{Rows, number, rate};
use crate::bench::contenders::Contender;
use crate::bench::figures::{Figures, Sample};
use crate::bench::goals;
use crate::bench::scenario::{Case, Scenario};

/// Headings and tables of what was measured.
pub(super) fn sections(figures: &Figures<'_>) -> Vec<(String, String)> {
    let mut sections = Vec::new();
    for scenario in Scenario::ALL {
        for case in scenario.cases() {
            let contenders = figures.measured(case);
            if contenders.is_empty() {
                continue;
            }
            let place = case.mode.place();
            let mut push = |title: String, table| sections.push((title, table));
            match scenario {
                Scenario::Calls | Scenario::Costs => {}
                Scenario::Stream => push(
                    format!("Server stream of `{{seq: u64, value: f64}}` over tcp, {place}"),
                    stream(figures, &contenders, case),
                ),
                Scenario::Bulk => push(
                    format!(
                        "Echo of {} over tcp, one at a time, {place} (a payload counts once, though it goes there and \
                         back)",
                        mib(case)
                    ),
                    bulk(figures, &contenders, case),
                ),
                Scenario::Mixed => push(
                    format!(
                        "Small calls, one at a time, beside payloads of {} to the server on the same connection, {place} \
                         (raw: on a connection of their own)",
                        mib(case)
                    ),
                    mixed(figures, &contenders, case),
                ),
                Scenario::Slow => push(
                    format!(
                        "Small calls, one at a time, beside {} connections that send a byte a second each, {place}",
                        case.size
                    ),
                    slow(figures, &contenders, case),
                ),
                Scenario::Idle => push(
                    "Memory per idle connection, after one call on each of 2,000".to_owned(),
                    idle(figures, &contenders, case),
                ),
                Scenario::Callback => push(
                    format!(
                        "Round trips of a callback from inside a handler, {} calls in flight, {place}",
                        case.load.in_flight
                    ),
                    callback(figures, &contenders, case),
                ),
                Scenario::Fanout => push(
                    format!(
                        "An event to {} subscribers on {} connections of one process, {place}",
                        case.size, case.load.connections
                    ),
                    fanout(figures, &contenders, case),
                ),
            }
        }
    }
    sections
}

fn mib(case: Case) -> String {
    format!("{} MiB", case.size >> 20)
}

/// One row for each contender: its name, figures, then its goal and whether it was met.
fn table(
    figures: &Figures<'_>,
    contenders: &[&Contender],
    case: Case,
    columns: &[(&str, Column)],
) -> String {
    let mut headings = vec!["contender"];
    headings.extend(columns.iter().map(|(heading, _)| heading));
    headings.extend(["goal", "met"]);
    let mut rows = Rows::new(&headings);
    let cell = figures.of(case);
    for contender in contenders {
        let name = contender.name.as_str();
        let figure = |(_, column): &(&str, Column)| match *column {
            Column::Number(figure) => number(cell.value(name, figure)),
            Column::Whole(figure) => cell
                .value(name, figure)
                .filter(|value| !value.is_nan())
                .map_or_else(|| "-".to_owned(), |value| format!("{value:.0}")),
            Column::Rate(figure) => cell
                .value(name, figure)
                .map_or_else(|| "-".to_owned(), rate),
            Column::ToFloor(figure) => {
                let floor = figures.floor_of(contender);
                number(floor.and_then(|floor| cell.ratio(name, &floor.name, figure)))
            }
        };
        let mut cells = vec![name.to_owned()];
        cells.extend(columns.iter().map(figure));
        cells.extend(goals::cells(figures, contender, case));
        rows.push(cells);
    }
    rows.text
}

/// How a figure is shown.
enum Column {
    Number(fn(&Sample) -> f64),
    Whole(fn(&Sample) -> f64),
    Rate(fn(&Sample) -> f64),
    ToFloor(fn(&Sample) -> f64),
}

fn stream(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        ("items/s", Column::Rate(Sample::per_second)),
        ("x floor", Column::ToFloor(Sample::per_second)),
        (
            "CPU ns/item",
            Column::Number(|sample| sample.cpu_us() * 1e3),
        ),
        ("x floor", Column::ToFloor(Sample::cpu_us)),
    ];
    table(figures, contenders, case, &columns)
}

fn bulk(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        ("MiB/s", Column::Whole(Sample::mib_per_second)),
        ("x floor", Column::ToFloor(Sample::mib_per_second)),
        ("CPU us/echo", Column::Whole(Sample::cpu_us)),
        ("x floor", Column::ToFloor(Sample::cpu_us)),
    ];
    table(figures, contenders, case, &columns)
}

fn mixed(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        ("p50 us alone", Column::Number(Sample::latency_us)),
        ("p99 us alone", Column::Number(Sample::p99_us)),
        (
            "p50 us beside",
            Column::Number(|sample| sample.busy_p50_ns.unwrap_or(f64::NAN) / 1e3),
        ),
        (
            "p99 us beside",
            Column::Number(|sample| sample.busy_p99_ns.unwrap_or(f64::NAN) / 1e3),
        ),
        ("p99 x alone", Column::Number(Sample::slowdown)),
        ("MiB/s beside", Column::Whole(Sample::busy_mib_per_second)),
    ];
    table(figures, contenders, case, &columns)
}

fn slow(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        ("p50 us alone", Column::Number(Sample::latency_us)),
        ("p99 us alone", Column::Number(Sample::p99_us)),
        (
            "p50 us beside",
            Column::Number(|sample| sample.busy_p50_ns.unwrap_or(f64::NAN) / 1e3),
        ),
        (
            "p99 us beside",
            Column::Number(|sample| sample.busy_p99_ns.unwrap_or(f64::NAN) / 1e3),
        ),
        ("p99 x alone", Column::Number(Sample::slowdown)),
    ];
    table(figures, contenders, case, &columns)
}

fn idle(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        ("server, resident KiB", Column::Number(Sample::resident_kib)),
        ("x floor", Column::ToFloor(Sample::resident_kib)),
        (
            "server, allocated KiB",
            Column::Number(|sample| sample.server_bytes[0] / sample.calls / 1024.0),
        ),
        (
            "client, allocated KiB",
            Column::Number(|sample| sample.client_bytes / sample.calls / 1024.0),
        ),
    ];
    table(figures, contenders, case, &columns)
}

fn callback(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        (
            "us/round trip",
            Column::Number(|sample| {
                let at_once = sample.case.load.in_flight as f64;
                sample.elapsed_ns * at_once / sample.calls / 1e3
            }),
        ),
        ("round trips/s", Column::Rate(Sample::per_second)),
        ("CPU us/round trip", Column::Number(Sample::cpu_us)),
    ];
    table(figures, contenders, case, &columns)
}

fn fanout(figures: &Figures<'_>, contenders: &[&Contender], case: Case) -> String {
    let columns = [
        ("p50 us to all", Column::Number(Sample::latency_us)),
        ("p99 us to all", Column::Number(Sample::p99_us)),
        (
            "CPU ns/subscriber",
            Column::Number(|sample| sample.cpu_us() * 1e3 / sample.case.size as f64),
        ),
        (
            "deliveries/s",
            Column::Rate(|sample| sample.per_second() * sample.case.size as f64),
        ),
    ];
    table(figures, contenders, case, &columns)
}
