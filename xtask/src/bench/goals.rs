//! What Mynah is held to.

use super::contenders::Contender;
use super::costs::Costs;
use super::figures::{Figures, Sample};
use super::pair::Load;
use super::scenario::{Case, MIXED_PAYLOADS, Mode, Scenario};
use super::tables::{Rows, number};

/// One goal of one kind of contender.
pub(crate) struct Goal {
    /// What contenders.toml says under `held_to`.
    pub(crate) held_to: &'static str,
    pub(crate) what: &'static str,
    unit: &'static str,
    bound: Bound,
    figure: Figure,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Where the figure comes from that is held against the goal.
enum Figure {
    /// The median of a case.
    Median(Case, fn(&Sample) -> f64),
    /// The median of the ratios to the floor.
    ToFloor(Case, fn(&Sample) -> f64),
    /// The median of the ratios to a contender.
    ToOther(&'static str, Case, fn(&Sample) -> f64),
    /// What was counted; of the floor, too, where it is there.
    Counted(fn(&Contender, &Costs, Option<&Costs>) -> Option<f64>),
}

impl Goal {
    /// What was measured, where it was.
    pub(crate) fn measured(&self, figures: &Figures<'_>, contender: &Contender) -> Option<f64> {
        let name = &contender.name;
        let floor = figures.floor_of(contender);
        match self.figure {
            Figure::Median(case, figure) => figures.of(case).value(name, figure),
            Figure::ToFloor(case, figure) => figures.of(case).ratio(name, &floor?.name, figure),
            Figure::ToOther(other, case, figure) => figures.of(case).ratio(name, other, figure),
            Figure::Counted(figure) => {
                let floor = floor.and_then(|floor| figures.costs_of(&floor.name));
                figure(contender, figures.costs_of(name)?, floor)
            }
        }
        .filter(|value| !value.is_nan())
    }

    /// The goal and whether it was met.
    pub(crate) fn verdict(&self, measured: Option<f64>) -> [String; 2] {
        let (words, limit) = match self.bound {
            Bound::AtLeast(limit) => ("at least", limit),
            Bound::AtMost(limit) => ("at most", limit),
        };
        let met = match (measured, self.bound) {
            (None, _) => "-",
            (Some(value), Bound::AtLeast(limit)) if value >= limit => "yes",
            (Some(value), Bound::AtMost(limit)) if value <= limit => "yes",
            (Some(_), _) => "no",
        };
        [
            with_unit(&format!("{words} {limit}"), self.unit),
            met.to_owned(),
        ]
    }

    const fn case(&self) -> Option<Case> {
        match self.figure {
            Figure::Median(case, _) | Figure::ToFloor(case, _) | Figure::ToOther(_, case, _) => {
                Some(case)
            }
            Figure::Counted(_) => None,
        }
    }
}

/// Goal and verdict of one contender in one case, or two dashes.
pub(crate) fn cells(figures: &Figures<'_>, contender: &Contender, case: Case) -> [String; 2] {
    let held_to = contender.held_to.as_deref();
    let goal = all()
        .into_iter()
        .find(|goal| Some(goal.held_to) == held_to && goal.case() == Some(case));
    goal.map_or_else(
        || ["-", "-"].map(str::to_owned),
        |goal| goal.verdict(goal.measured(figures, contender)),
    )
}

/// All goals of which something was measured.
pub(crate) fn table(figures: &Figures<'_>) -> Option<String> {
    let mut rows = Rows::new(&["goal", "contender", "reached", "goal", "met"]);
    let mut some = false;
    for goal in all() {
        for contender in figures.contenders {
            if contender.held_to.as_deref() != Some(goal.held_to) {
                continue;
            }
            let Some(value) = goal.measured(figures, contender) else {
                continue;
            };
            let [bound, met] = goal.verdict(Some(value));
            let reached = with_unit(&number(Some(value)), goal.unit);
            rows.push([
                goal.what.to_owned(),
                contender.name.clone(),
                reached,
                bound,
                met,
            ]);
            some = true;
        }
    }
    some.then_some(rows.text)
}

fn with_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() {
        text.to_owned()
    } else {
        format!("{text} {unit}")
    }
}

const fn same(connections: usize, in_flight: usize) -> Case {
    Case::calls(Mode::Same, Load::new(connections, in_flight))
}

/// The first case of a scenario in this place and of this size.
fn case_of(scenario: Scenario, mode: Mode, size: Option<usize>) -> Case {
    let wanted = |case: &Case| case.mode == mode && size.is_none_or(|size| case.size == size);
    let found = scenario.cases().into_iter().find(wanted);
    found.unwrap_or(same(1, 1))
}

/// Every goal.
pub(crate) fn all() -> Vec<Goal> {
    let goal = |held_to, what, unit, bound, figure| Goal {
        held_to,
        what,
        unit,
        bound,
        figure,
    };
    // On one core small calls wait until the scheduler takes it from whoever moves payloads: there
    // even a connection of their own does not help them.
    let mixed = |size| case_of(Scenario::Mixed, Mode::Split, Some(size));
    let [small, large] = MIXED_PAYLOADS.map(mixed);
    let on_one_core = |scenario| case_of(scenario, Mode::Same, None);
    let stream = on_one_core(Scenario::Stream);
    let bulk = on_one_core(Scenario::Bulk);
    let idle = on_one_core(Scenario::Idle);
    let many = Case::calls(Mode::Multi, Load::new(8, 64));
    let (at_least, at_most) = (Bound::AtLeast, Bound::AtMost);
    let (native, json, local) = ("native", "json", "local");
    let blocking = "blocking";
    let floor = "x floor";
    vec![
        goal(
            native,
            "p50 of a call, 1 in flight",
            floor,
            at_most(1.15),
            Figure::ToFloor(same(1, 1), Sample::latency_us),
        ),
        goal(
            native,
            "CPU per call, 64 in flight",
            floor,
            at_most(5.0),
            Figure::ToFloor(same(1, 64), Sample::cpu_us),
        ),
        goal(
            json,
            "CPU per call, 64 in flight",
            floor,
            at_most(13.0),
            Figure::ToFloor(same(1, 64), Sample::cpu_us),
        ),
        goal(
            local,
            "a call in process, 1 in flight",
            floor,
            at_most(1.0),
            Figure::ToFloor(same(1, 1), Sample::latency_us),
        ),
        goal(
            "by name",
            "CPU per call by name, 64 in flight",
            "x mynah-cbor",
            at_most(1.3),
            Figure::ToOther("mynah-cbor", same(1, 64), Sample::cpu_us),
        ),
        goal(
            "by hand",
            "CPU per call of a closure, 64 in flight",
            "x mynah-cbor",
            // Nothing extra, but for what two runs of the same differ by.
            at_most(1.05),
            Figure::ToOther("mynah-cbor", same(1, 64), Sample::cpu_us),
        ),
        goal(
            blocking,
            "p50 of a call without a runtime, 1 in flight",
            floor,
            at_most(1.3),
            Figure::ToFloor(same(1, 1), Sample::latency_us),
        ),
        goal(
            "redis",
            "p50 of a call over Redis, 1 in flight",
            floor,
            at_most(1.3),
            Figure::ToFloor(same(1, 1), Sample::latency_us),
        ),
        goal(
            "redis",
            "CPU per call over Redis, 1 in flight",
            floor,
            at_most(1.6),
            Figure::ToFloor(same(1, 1), Sample::cpu_us),
        ),
        goal(
            "redis",
            "CPU per call over Redis, 64 in flight",
            floor,
            at_most(1.25),
            Figure::ToFloor(same(1, 64), Sample::cpu_us),
        ),
        goal(
            "redis",
            "calls/s over Redis, 64 in flight",
            "x clamator (Python)",
            at_least(40.0),
            Figure::ToOther("clamator (Python)", same(1, 64), Sample::per_second),
        ),
        goal(
            native,
            "calls/s on several threads, 8 x 64",
            "x tarpc-bincode",
            at_least(2.0),
            Figure::ToOther("tarpc-bincode", many, Sample::per_second),
        ),
        goal(
            native,
            "server stream",
            "M items/s",
            at_least(15.0),
            Figure::Median(stream, |sample| sample.per_second() / 1e6),
        ),
        goal(
            native,
            "echo of 1 MiB, MiB/s",
            floor,
            at_least(0.75),
            Figure::ToFloor(bulk, Sample::mib_per_second),
        ),
        goal(
            native,
            "p99 of small calls beside payloads of 1 MiB",
            "x alone",
            at_most(5.0),
            Figure::Median(small, Sample::slowdown),
        ),
        goal(
            native,
            "p99 of small calls beside payloads of 64 MiB",
            "x alone",
            at_most(5.0),
            Figure::Median(large, Sample::slowdown),
        ),
        goal(
            native,
            "memory of the server per idle connection",
            "KiB",
            at_most(3.0),
            Figure::Median(idle, Sample::resident_kib),
        ),
        goal(
            native,
            "allocations of its own per call",
            "",
            at_most(0.05),
            Figure::Counted(|contender, costs, _| {
                Some(costs.allocations - contender.user_allocations)
            }),
        ),
        goal(
            native,
            "system calls per call, 1 in flight",
            floor,
            at_most(1.1),
            Figure::Counted(|_, costs, floor| {
                let of = |costs: &Costs| costs.syscalls_at_1.as_ref().ok().copied();
                Some(of(costs)? / of(floor?)?)
            }),
        ),
        goal(
            native,
            "system calls per call, 64 in flight",
            "",
            at_most(0.15),
            Figure::Counted(|_, costs, _| costs.syscalls_at_64.as_ref().ok().copied()),
        ),
        goal(
            native,
            "instructions per call with no interceptor, span or metric in use",
            "x without them",
            at_most(1.05),
            Figure::Counted(|contender, costs, _| {
                let counted = costs.instructions.as_ref()?.as_ref().ok()?;
                Some(counted / contender.plain_instructions?)
            }),
        ),
    ]
}
