//! The list of contenders.

use super::pair::Load;
use super::scenario::Scenario;
use crate::{Outcome, process};
use std::path::{Path, PathBuf};

/// One program and how to start it.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// What runs the program, where it is a script.
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) variant: String,
    /// No server, no wire.
    pub(crate) in_process: bool,
    /// What client and server meet over; of no account in process.
    pub(crate) transport: String,
    /// What it is compared with, where that is not all that meets over its transport.
    kind: Option<String>,
    /// The others of its kind are held against it.
    pub(crate) floor: bool,
    /// Takes part only when it is named, or its transport.
    pub(crate) on_request: bool,
    /// What the workload allocates by itself, per call.
    pub(crate) user_allocations: f64,
    /// Besides `calls` and `costs`, in which everybody takes part.
    pub(crate) scenarios: Vec<Scenario>,
    /// Which goals it is held to: those of the binary format, of text, or in process.
    pub(crate) held_to: Option<String>,
    /// Instructions per plain call, as they were when nothing could be hooked into a call.
    pub(crate) plain_instructions: Option<f64>,
}

impl Contender {
    /// What it is compared with: those that run in process, over the same transport, or of the kind that is given.
    pub(crate) fn kind(&self) -> &str {
        if self.in_process {
            "in process"
        } else {
            self.kind.as_deref().unwrap_or(&self.transport)
        }
    }

    pub(crate) fn takes_part(&self, scenario: Scenario) -> bool {
        match scenario {
            Scenario::Calls => true,
            // Nothing counts what an interpreter does, nor what sshd and its children do.
            Scenario::Costs => self.interpreter.is_none() && self.transport != "ssh",
            _ => self.scenarios.contains(&scenario),
        }
    }

    /// Whether it carries this load. At a Redis the floors share one stream of answers, so there is one who reads it; and
    /// Python's clamator gives up on a thousand calls at once.
    pub(crate) fn carries(&self, load: Load) -> bool {
        let few = self.interpreter.is_none() || load.in_flight <= 64;
        self.transport != "redis" || load.connections == 1 && few
    }
}

/// Reads the list of contenders, whose programs are in `folder`.
///
/// # Errors
/// Something is missing or unknown in it.
pub(crate) fn contenders(text: &str, folder: &Path) -> Outcome<Vec<Contender>> {
    let document: toml::Table = text.parse()?;
    let entries = document.get("contender").and_then(toml::Value::as_array);
    let entries = entries.ok_or("contenders.toml has no [[contender]]")?;
    entries
        .iter()
        .map(|entry| contender(entry, folder))
        .collect()
}

fn contender(entry: &toml::Value, folder: &Path) -> Outcome<Contender> {
    let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
    let flag = |key: &str| entry.get(key).and_then(toml::Value::as_bool) == Some(true);
    let number = |key: &str| -> Option<f64> {
        let number = entry.get(key).and_then(toml::Value::as_integer)?;
        Some(f64::from(u32::try_from(number).ok()?))
    };
    let (Some(name), Some(program), Some(user_allocations)) =
        (text("name"), text("program"), number("user_allocations"))
    else {
        return Err("contenders.toml: each needs name, program and user_allocations".into());
    };
    let environment = text("python");
    let scenarios = entry.get("scenarios").and_then(toml::Value::as_array);
    let scenario = |value: &toml::Value| {
        let named = |one: &Scenario| value.as_str() == Some(one.name());
        let found = Scenario::ALL.into_iter().find(named);
        found.ok_or_else(|| format!("contenders.toml: {name}: no scenario {value:?}"))
    };
    Ok(Contender {
        name: name.to_owned(),
        program: match environment {
            None => folder.join(program),
            Some(_) => process::root().join("xtask/bench/python").join(program),
        },
        interpreter: environment.map(|environment| {
            let interop = process::root().join("interop-tests");
            interop.join(environment).join("bin/python")
        }),
        variant: text("variant").unwrap_or_default().to_owned(),
        in_process: flag("in_process"),
        transport: text("transport").unwrap_or("tcp").to_owned(),
        kind: text("kind").map(str::to_owned),
        floor: flag("floor"),
        on_request: flag("on_request"),
        user_allocations,
        scenarios: scenarios
            .into_iter()
            .flatten()
            .map(scenario)
            .collect::<Result<_, _>>()?,
        held_to: text("held_to").map(str::to_owned),
        plain_instructions: number("plain_instructions"),
    })
}
