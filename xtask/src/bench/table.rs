//! Figures to tables.

use super::costs::Costs;
use super::pair::Load;
use super::{Contender, Mode, Sample};
use crate::{Outcome, process};
use serde_json::{Value as Json, json};
use std::process::Command;

/// A line for whoever waits.
pub(crate) fn progress(sample: &Sample) -> String {
    format!(
        "round {}  {:<5} {}x{:<5} {:<16} {:>8} calls/s  {:>7.3} us CPU",
        sample.round + 1,
        sample.mode.name(),
        sample.load.connections,
        sample.load.in_flight,
        sample.contender,
        rate(per_second(sample)),
        cpu_us(sample),
    )
}

fn per_second(sample: &Sample) -> f64 {
    sample.calls * 1e9 / sample.elapsed_ns
}

fn cpu_us(sample: &Sample) -> f64 {
    sample.cpu_ns / sample.calls / 1e3
}

/// Microseconds from start to answer, one call at a time.
fn latency_us(sample: &Sample) -> f64 {
    sample.p50_ns.unwrap_or(sample.elapsed_ns / sample.calls) / 1e3
}

fn p99_us(sample: &Sample) -> f64 {
    sample.p99_ns.unwrap_or(f64::NAN) / 1e3
}

/// The middle one; of an even number, the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values
        .get(middle.checked_sub(1)?)
        .map(|lower| f64::midpoint(*lower, upper))
}

/// Looks into the samples of one placement and load.
struct Cell<'a> {
    samples: &'a [Sample],
    mode: Mode,
    load: Load,
}

impl Cell<'_> {
    fn of<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b Sample> {
        self.samples.iter().filter(move |sample| {
            sample.contender == name && sample.mode == self.mode && sample.load == self.load
        })
    }

    /// The median over the rounds.
    fn value(&self, name: &str, figure: fn(&Sample) -> f64) -> Option<f64> {
        median(self.of(name).map(figure).collect())
    }

    /// The median over the rounds of the ratio to the floor in the same round.
    fn ratio(&self, name: &str, floor: &str, figure: fn(&Sample) -> f64) -> Option<f64> {
        let in_round = |sample: &Sample| {
            let floor = self.of(floor).find(|other| other.round == sample.round)?;
            Some(figure(sample) / figure(floor))
        };
        median(self.of(name).filter_map(in_round).collect())
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.is_nan() => "-".to_owned(),
        // Also -0.00, which a difference of two runs can give.
        Some(value) if value.abs() < 0.0005 => "0".to_owned(),
        Some(value) if value < 1.0 => format!("{value:.3}"),
        Some(value) if value < 20.0 => format!("{value:.2}"),
        Some(value) => format!("{value:.1}"),
    }
}

fn rate(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else {
        format!("{:.0}k", value / 1e3)
    }
}

fn counted(value: &Result<f64, String>) -> String {
    match value {
        Ok(value) => number(Some(*value)),
        Err(why) => format!("not measured: {why}"),
    }
}

/// One table: a heading for each column, a row for each contender.
struct Rows {
    text: String,
}

impl Rows {
    fn new(columns: &[&str]) -> Self {
        let mut rows = Self {
            text: String::new(),
        };
        rows.push(columns.iter().map(|column| (*column).to_owned()));
        rows.push(
            columns
                .iter()
                .enumerate()
                .map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned()),
        );
        rows
    }

    fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        for cell in cells {
            self.text.push_str("| ");
            self.text.push_str(&cell);
            self.text.push(' ');
        }
        self.text.push_str("|\n");
    }
}

/// All tables.
pub(crate) fn markdown(
    contenders: &[Contender],
    samples: &[Sample],
    costs: &[Costs],
    rounds: usize,
) -> String {
    let over_wire: Vec<_> = contenders
        .iter()
        .filter(|contender| !contender.in_process)
        .collect();
    let in_process: Vec<_> = contenders
        .iter()
        .filter(|contender| contender.in_process)
        .collect();
    let has = |mode| samples.iter().any(|sample| sample.mode == mode);
    let mut sections = vec![format!(
        "{}\n\nMedians of {rounds} rounds, ratios to the floor inside a round.\n",
        machine()
    )];
    if !over_wire.is_empty() {
        if has(Mode::Same) {
            sections.push(format!(
                "### Over tcp, client and server on one core\n\n{}",
                same(&over_wire, samples)
            ));
        }
        sections.push(format!(
            "### Per call, client and server together\n\n{}",
            per_call(&over_wire, costs)
        ));
        if has(Mode::Split) {
            sections.push(format!(
                "### Over tcp, a core each\n\n{}",
                split(&over_wire, samples)
            ));
        }
        if has(Mode::Multi) {
            sections.push(format!(
                "### Over tcp, multi-thread runtimes with two workers each, not pinned, 8 x 64\n\n{}",
                multi(&over_wire, samples)
            ));
        }
    }
    if !in_process.is_empty() && has(Mode::Same) {
        sections.push(format!(
            "### In process, one core\n\n{}",
            local(&in_process, samples, costs)
        ));
    }
    sections.join("\n")
}

/// The floor of a table; without one, its first row.
fn floor_of<'a>(contenders: &[&'a Contender]) -> &'a str {
    let floor = contenders
        .iter()
        .find(|contender| contender.floor)
        .or_else(|| contenders.first());
    floor.map_or("", |contender| &contender.name)
}

fn same(contenders: &[&Contender], samples: &[Sample]) -> String {
    let floor = floor_of(contenders);
    let cell = |connections, in_flight| Cell {
        samples,
        mode: Mode::Same,
        load: Load::new(connections, in_flight),
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
            number(one.value(name, latency_us)),
            number(one.ratio(name, floor, latency_us)),
            number(one.value(name, p99_us)),
        ];
        for cell in [&many, &most, &wide] {
            cells.push(number(cell.value(name, cpu_us)));
            cells.push(number(cell.ratio(name, floor, cpu_us)));
        }
        for cell in [&one, &many, &most, &wide] {
            cells.push(
                cell.value(name, per_second)
                    .map_or_else(|| "-".to_owned(), rate),
            );
        }
        rows.push(cells);
    }
    rows.text
}

fn per_call(contenders: &[&Contender], costs: &[Costs]) -> String {
    let with_instructions = costs.iter().any(|costs| costs.instructions.is_some());
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
        let Some(costs) = costs.iter().find(|costs| costs.contender == contender.name) else {
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
    rows.text
}

fn split(contenders: &[&Contender], samples: &[Sample]) -> String {
    let floor = floor_of(contenders);
    let cell = |in_flight| Cell {
        samples,
        mode: Mode::Split,
        load: Load::new(1, in_flight),
    };
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
            number(one.value(name, latency_us)),
            number(one.ratio(name, floor, latency_us)),
            number(one.value(name, p99_us)),
            number(many.value(name, cpu_us)),
            number(many.ratio(name, floor, cpu_us)),
            many.value(name, per_second)
                .map_or_else(|| "-".to_owned(), rate),
        ]);
    }
    rows.text
}

fn multi(contenders: &[&Contender], samples: &[Sample]) -> String {
    let floor = floor_of(contenders);
    let wide = Cell {
        samples,
        mode: Mode::Multi,
        load: Load::new(8, 64),
    };
    let mut rows = Rows::new(&["contender", "calls/s", "x floor", "CPU us/call", "x floor"]);
    for contender in contenders {
        let name = contender.name.as_str();
        rows.push([
            name.to_owned(),
            wide.value(name, per_second)
                .map_or_else(|| "-".to_owned(), rate),
            number(wide.ratio(name, floor, per_second)),
            number(wide.value(name, cpu_us)),
            number(wide.ratio(name, floor, cpu_us)),
        ]);
    }
    rows.text
}

fn local(contenders: &[&Contender], samples: &[Sample], costs: &[Costs]) -> String {
    let floor = floor_of(contenders);
    let cell = |in_flight| Cell {
        samples,
        mode: Mode::Same,
        load: Load::new(1, in_flight),
    };
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
        let costs = costs.iter().find(|costs| costs.contender == contender.name);
        let mut cells = vec![
            name.to_owned(),
            number(one.value(name, latency_us)),
            number(one.ratio(name, floor, latency_us)),
            number(many.value(name, cpu_us)),
            number(many.ratio(name, floor, cpu_us)),
        ];
        for cell in [&one, &many, &most] {
            cells.push(
                cell.value(name, per_second)
                    .map_or_else(|| "-".to_owned(), rate),
            );
        }
        cells.push(number(costs.map(|costs| costs.allocations)));
        rows.push(cells);
    }
    rows.text
}

/// What it was measured on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let say = |program: &str, args: &[&str]| {
        let said = process::read(Command::new(program).args(args)).unwrap_or_default();
        said.trim().to_owned()
    };
    format!(
        "{cores} cores, {}, {}.",
        say("uname", &["-sr"]),
        say("rustc", &["--version"])
    )
}

/// All raw figures.
///
/// # Errors
/// They cannot be written as JSON.
pub(crate) fn json(
    contenders: &[Contender],
    samples: &[Sample],
    costs: &[Costs],
) -> Outcome<String> {
    let samples: Vec<Json> = samples
        .iter()
        .map(|sample| {
            json!({
                "contender": sample.contender,
                "pin": sample.mode.name(),
                "connections": sample.load.connections,
                "in_flight": sample.load.in_flight,
                "round": sample.round,
                "calls": sample.calls,
                "elapsed_ns": sample.elapsed_ns,
                "cpu_ns": sample.cpu_ns,
                "p50_ns": sample.p50_ns,
                "p99_ns": sample.p99_ns,
            })
        })
        .collect();
    let costs: Vec<Json> = costs
        .iter()
        .map(|costs| {
            let floor = contenders.iter().find(|contender| contender.name == costs.contender);
            json!({
                "contender": costs.contender,
                "allocations": costs.allocations,
                "user_allocations": floor.map(|contender| contender.user_allocations),
                "allocated_bytes": costs.allocated_bytes,
                "wire_bytes": costs.wire_bytes,
                "syscalls_at_1": costs.syscalls_at_1.as_ref().ok(),
                "syscalls_at_64": costs.syscalls_at_64.as_ref().ok(),
                "instructions_at_64": costs.instructions.as_ref().and_then(|count| count.as_ref().ok()),
            })
        })
        .collect();
    let all = json!({ "machine": machine(), "samples": samples, "per_call": costs });
    Ok(serde_json::to_string_pretty(&all)?)
}
