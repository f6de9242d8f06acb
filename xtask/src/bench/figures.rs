//! What was measured, and the medians of it.

use super::contenders::Contender;
use super::costs::Costs;
use super::pair::{Amount, Pair, Setup};
use super::redis::Asked;
use super::scenario::{Case, Mode, Scenario};
use crate::Outcome;
use serde_json::Value as Json;

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) contender: String,
    pub(crate) case: Case,
    pub(crate) round: usize,
    /// Or items, round trips, connections, events: what the scenario counts.
    pub(crate) calls: f64,
    pub(crate) elapsed_ns: f64,
    /// Client and server together.
    pub(crate) cpu_ns: f64,
    pub(crate) p50_ns: Option<f64>,
    pub(crate) p99_ns: Option<f64>,
    /// Beside payloads.
    pub(crate) busy_p50_ns: Option<f64>,
    pub(crate) busy_p99_ns: Option<f64>,
    /// Bytes of those payloads, and how long they took.
    pub(crate) busy_bytes: f64,
    pub(crate) busy_elapsed_ns: f64,
    /// By how much the server's memory grew: allocated, and resident.
    pub(crate) server_bytes: [f64; 2],
    /// The client's, allocated.
    pub(crate) client_bytes: f64,
    /// What was asked of Redis, where they met at one.
    pub(crate) asked: Option<Asked>,
}

impl Sample {
    /// Runs a contender once.
    ///
    /// # Errors
    /// One of its processes fails.
    pub(crate) fn take(
        contender: &Contender,
        case: Case,
        round: usize,
        [warm_up, measure]: [Amount; 2],
    ) -> Outcome<Self> {
        // Two looks at a clock are most of a call in process, so its latency is the mean.
        let timed = match case.scenario {
            Scenario::Calls => case.load.is_one() && !contender.in_process,
            Scenario::Fanout => true,
            _ => false,
        };
        let setup = Setup {
            scenario: case.scenario,
            mode: case.mode,
            size: case.size,
            latencies: timed,
            count_allocations: case.scenario == Scenario::Idle,
            ..Setup::new(case.load, warm_up, measure)
        };
        let report = Pair::start(contender, &setup)?.run()?;
        let time = |key: &str| report.client.get(key).and_then(Json::as_f64);
        Ok(Self {
            contender: contender.name.clone(),
            case,
            round,
            calls: report.number("calls")?,
            elapsed_ns: report.number("elapsed_ns")?,
            cpu_ns: report.number("cpu_ns")? + report.server_delta("cpu_ns"),
            p50_ns: time("p50_ns"),
            p99_ns: time("p99_ns"),
            busy_p50_ns: time("busy_p50_ns"),
            busy_p99_ns: time("busy_p99_ns"),
            busy_bytes: report.number("busy_bytes")?,
            busy_elapsed_ns: report.number("busy_elapsed_ns")?,
            server_bytes: ["live_bytes", "rss_bytes"].map(|key| report.server_delta(key)),
            client_bytes: report.number("live_bytes")?,
            asked: report.asked,
        })
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.calls * 1e9 / self.elapsed_ns
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_ns / self.calls / 1e3
    }

    /// Microseconds from start to answer, one call at a time.
    pub(crate) fn latency_us(&self) -> f64 {
        self.p50_ns.unwrap_or(self.elapsed_ns / self.calls) / 1e3
    }

    pub(crate) fn p99_us(&self) -> f64 {
        self.p99_ns.unwrap_or(f64::NAN) / 1e3
    }

    /// Commands of a call to Redis.
    pub(crate) fn commands(&self) -> f64 {
        self.asked.as_ref().map_or(f64::NAN, |asked| {
            asked.commands.values().sum::<f64>() / self.calls
        })
    }

    /// How often Redis read from a connection, per call: commands that came in one write are one.
    pub(crate) fn round_trips(&self) -> f64 {
        let asked = self.asked.as_ref();
        asked.map_or(f64::NAN, |asked| asked.reads / self.calls)
    }

    /// Microseconds that Redis itself ran, per call.
    pub(crate) fn redis_us(&self) -> f64 {
        let asked = self.asked.as_ref();
        asked.map_or(f64::NAN, |asked| asked.cpu_ns / self.calls / 1e3)
    }

    /// How much of the time the processes ran, where one of them always has something to do.
    fn share(&self) -> Option<f64> {
        let always = self.case.mode == Mode::Same && self.case.scenario != Scenario::Idle;
        let redis = self.asked.as_ref().map_or(0.0, |asked| asked.cpu_ns);
        always.then_some((self.cpu_ns + redis) / self.elapsed_ns)
    }

    /// MiB of payloads a second, each counted once though it goes there and back.
    pub(crate) fn mib_per_second(&self) -> f64 {
        self.per_second() * self.case.size as f64 / MIB
    }

    /// The same of what goes beside small calls.
    pub(crate) fn busy_mib_per_second(&self) -> f64 {
        self.busy_bytes / MIB * 1e9 / self.busy_elapsed_ns
    }

    /// The server's resident memory for each connection, in KiB.
    pub(crate) fn resident_kib(&self) -> f64 {
        self.server_bytes[1] / self.calls / 1024.0
    }

    /// How much longer small calls take beside payloads.
    pub(crate) fn slowdown(&self) -> f64 {
        self.busy_p99_ns.unwrap_or(f64::NAN) / self.p99_ns.unwrap_or(f64::NAN)
    }
}

const MIB: f64 = 1_048_576.0;

/// Everything that was measured.
pub(crate) struct Figures<'a> {
    pub(crate) contenders: &'a [Contender],
    pub(crate) samples: &'a [Sample],
    pub(crate) costs: &'a [Costs],
    pub(crate) rounds: usize,
}

impl Figures<'_> {
    /// The samples of one case.
    pub(crate) fn of(&self, case: Case) -> Cell<'_> {
        Cell {
            samples: self.samples,
            case,
        }
    }

    /// Those who have samples of a case, in the order of the list.
    pub(crate) fn measured(&self, case: Case) -> Vec<&Contender> {
        let cell = self.of(case);
        let has = |contender: &&Contender| cell.samples_of(&contender.name).next().is_some();
        self.contenders.iter().filter(has).collect()
    }

    /// How much of the one core the contenders had, in the median; `None` where it cannot be said.
    pub(crate) fn share(&self) -> Option<f64> {
        median(self.samples.iter().filter_map(Sample::share).collect())
    }

    /// What was counted of a contender.
    pub(crate) fn costs_of(&self, name: &str) -> Option<&Costs> {
        self.costs.iter().find(|costs| costs.contender == name)
    }

    /// The floor of a contender's kind, where it was measured.
    pub(crate) fn floor_of(&self, contender: &Contender) -> Option<&Contender> {
        let kind = contender.kind();
        let floor = |other: &&Contender| other.floor && other.kind() == kind;
        self.contenders.iter().find(floor)
    }
}

/// The samples of one case.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    samples: &'a [Sample],
    case: Case,
}

impl<'a> Cell<'a> {
    fn samples_of<'b>(&self, name: &'b str) -> impl Iterator<Item = &'a Sample> + use<'a, 'b> {
        let (samples, case) = (self.samples, self.case);
        let wanted = move |sample: &&Sample| sample.contender == name && sample.case == case;
        samples.iter().filter(wanted)
    }

    /// The median over the rounds.
    pub(crate) fn value(&self, name: &str, figure: fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples_of(name).map(figure).collect())
    }

    /// The median over the rounds of the ratio to another contender in the same round.
    pub(crate) fn ratio(&self, name: &str, to: &str, figure: fn(&Sample) -> f64) -> Option<f64> {
        let in_round = |sample: &Sample| {
            let other = self
                .samples_of(to)
                .find(|other| other.round == sample.round)?;
            Some(figure(sample) / figure(other))
        };
        median(self.samples_of(name).filter_map(in_round).collect())
    }
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
