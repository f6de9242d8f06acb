//! The command line of `cargo xtask bench`.

use super::contenders::Contender;
use super::pair::Amount;
use super::scenario::{Mode, Scenario};
use crate::Outcome;

/// Connections that `idle` opens.
const IDLE: u64 = 2_000;

#[derive(Debug)]
pub(super) struct Options {
    pub(super) rounds: usize,
    pub(super) warm_up: Amount,
    pub(super) measure: Amount,
    /// Names of scenarios, of contenders and of transports, which are all that meet there; all, where none of a kind is
    /// named.
    pub(super) only: Vec<String>,
    pub(super) modes: Vec<Mode>,
    pub(super) instructions: bool,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Outcome<Self> {
        let mut options = Self {
            rounds: 3,
            warm_up: Amount::Seconds(0.3),
            measure: Amount::Seconds(1.5),
            only: Vec::new(),
            modes: Mode::ALL.to_vec(),
            instructions: false,
        };
        let mut args = args.iter().peekable();
        while let Some(name) = args.next() {
            // `--only a b` as well as `--only a,b`.
            let mut list = || -> Outcome<Vec<String>> {
                let mut values = Vec::new();
                while let Some(value) = args.next_if(|word| !word.starts_with("--")) {
                    values.extend(value.split(',').map(str::to_owned));
                }
                if values.is_empty() {
                    return Err(format!("{name} needs a value").into());
                }
                Ok(values)
            };
            match name.as_str() {
                "--quick" => {
                    options.rounds = 1;
                    options.warm_up = Amount::Seconds(0.1);
                    options.measure = Amount::Seconds(0.3);
                }
                "--rounds" => {
                    let rounds = list()?.concat().parse().ok().filter(|rounds| *rounds > 0);
                    options.rounds = rounds.ok_or("--rounds takes a number from 1")?;
                }
                "--only" => options.only.extend(list()?),
                "--pin" => {
                    let mode = |name: String| {
                        let found = Mode::ALL.into_iter().find(|mode| mode.name() == name);
                        found.ok_or_else(|| format!("--pin takes same, split and mt, not {name}"))
                    };
                    options.modes = list()?.into_iter().map(mode).collect::<Result<_, _>>()?;
                }
                "--instructions" => options.instructions = true,
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }

    /// How long a scenario is warmed up, and measured.
    pub(super) fn amounts(&self, scenario: Scenario) -> [Amount; 2] {
        match scenario {
            Scenario::Idle => [Amount::Calls(0), Amount::Calls(IDLE)],
            _ => [self.warm_up, self.measure],
        }
    }
}

/// What was named: scenarios, and contenders with the floors that they need.
///
/// # Errors
/// Something is neither.
pub(super) fn chosen(
    all: Vec<Contender>,
    only: &[String],
) -> Outcome<(Vec<Scenario>, Vec<Contender>)> {
    let mut scenarios = Vec::new();
    let mut named: Vec<String> = Vec::new();
    for name in only {
        if let Some(scenario) = Scenario::ALL.into_iter().find(|one| one.name() == name) {
            scenarios.push(scenario);
        } else if all.iter().any(|contender| contender.name == *name) {
            named.push(name.clone());
        } else if all.iter().any(|contender| contender.transport == *name) {
            let there = all.iter().filter(|contender| contender.transport == *name);
            named.extend(there.map(|contender| contender.name.clone()));
        } else {
            let scenarios = Scenario::ALL.map(Scenario::name).join(", ");
            let names: Vec<_> = all
                .iter()
                .map(|contender| contender.name.as_str())
                .collect();
            return Err(format!(
                "no scenario and no contender {name}; there are: {scenarios}; {}",
                names.join(", ")
            )
            .into());
        }
    }
    if scenarios.is_empty() {
        scenarios = Scenario::ALL.to_vec();
    }
    if named.is_empty() {
        let wanted = |contender: &Contender| !contender.on_request;
        return Ok((scenarios, all.into_iter().filter(wanted).collect()));
    }
    let is_named = |contender: &Contender| named.contains(&contender.name);
    let kinds: Vec<String> = all
        .iter()
        .filter(|contender| is_named(contender))
        .map(|contender| contender.kind().to_owned())
        .collect();
    let wanted = |contender: &Contender| {
        is_named(contender)
            || (contender.floor && kinds.iter().any(|kind| kind == contender.kind()))
    };
    Ok((scenarios, all.into_iter().filter(wanted).collect()))
}
