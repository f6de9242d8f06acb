//! Figures to text.

mod calls;
mod json;
mod scenes;

use super::figures::{Figures, Sample};
use super::goals;
use super::scenario::Scenario;
use crate::process;
pub(crate) use json::json;
use std::process::Command;

/// A line for whoever waits.
pub(crate) fn progress(sample: &Sample) -> String {
    let case = sample.case;
    let figures = match case.scenario {
        Scenario::Bulk => format!("{:>8.0} MiB/s", sample.mib_per_second()),
        Scenario::Mixed | Scenario::Slow => {
            format!("p99 {:>5} x alone", number(Some(sample.slowdown())))
        }
        Scenario::Idle => format!("{:>8.1} KiB a connection", sample.resident_kib()),
        _ => format!(
            "{:>8}/s  {:>7.3} us CPU",
            rate(sample.per_second()),
            sample.cpu_us()
        ),
    };
    format!(
        "round {}  {:<8} {:<5} {}x{:<5} {:<16} {figures}",
        sample.round + 1,
        case.scenario.name(),
        case.mode.name(),
        case.load.connections,
        case.load.in_flight,
        sample.contender,
    )
}

pub(crate) fn number(value: Option<f64>) -> String {
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
pub(crate) struct Rows {
    pub(crate) text: String,
}

impl Rows {
    pub(crate) fn new(columns: &[&str]) -> Self {
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

    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        for cell in cells {
            self.text.push_str("| ");
            self.text.push_str(&cell);
            self.text.push(' ');
        }
        self.text.push_str("|\n");
    }
}

/// All tables of what was measured.
pub(crate) fn markdown(figures: &Figures<'_>) -> String {
    let mut text = format!(
        "{}\n\nMedians of {} rounds, ratios to the floor inside a round.\n{}",
        machine(),
        figures.rounds,
        warning(figures)
    );
    let mut sections = calls::sections(figures);
    sections.extend(scenes::sections(figures));
    if let Some(goals) = goals::table(figures) {
        sections.push(("Goals".to_owned(), goals));
    }
    for (title, table) in sections {
        text.push_str("\n### ");
        text.push_str(&title);
        text.push_str("\n\n");
        text.push_str(&table);
    }
    text
}

/// Where the contenders did not have their core to themselves, other programs ran too.
fn warning(figures: &Figures<'_>) -> String {
    figures
        .share()
        .filter(|share| *share < 0.95)
        .map_or_else(String::new, |share| {
            format!(
                "\n**The machine was busy with something else**: on one core the contenders ran {:.0} % of the time. CPU \
                 and counts hold; rates, latencies and ratios of them do not.\n",
                share * 100.0
            )
        })
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
