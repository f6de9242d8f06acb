//! The command line of a contender.

use crate::pace::Amount;
use crate::place::Address;
use crate::{Failure, allocations};
use rustix::thread::CpuSet;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Workers of a multi-thread runtime.
const WORKERS: usize = 2;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Calls,
    Stream,
    Bulk,
    Mixed,
    Slow,
    Idle,
    Callback,
    Fanout,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) variant: String,
    /// Of a server.
    pub(crate) transport: String,
    multi: bool,
    core: Option<usize>,
    count_allocations: bool,
    /// Missing for a server.
    pub(crate) client: Option<ClientOptions>,
}

#[derive(Debug)]
pub(crate) struct ClientOptions {
    pub(crate) address: Option<Address>,
    pub(crate) scenario: Scenario,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    /// Of what, depends on the scenario.
    pub(crate) size: usize,
    pub(crate) warm_up: Amount,
    pub(crate) measure: Amount,
    pub(crate) latencies: bool,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let is_client = match args.next().as_deref() {
            Some("client") => true,
            Some("server") => false,
            _ => return Err("expected `server` or `client`".into()),
        };
        let mut client = ClientOptions {
            address: None,
            scenario: Scenario::Calls,
            connections: 1,
            in_flight: 1,
            size: 1,
            warm_up: Amount::Calls(0),
            measure: Amount::Calls(1),
            latencies: false,
        };
        let mut options = Self {
            variant: String::new(),
            transport: "tcp".to_owned(),
            multi: false,
            core: None,
            count_allocations: false,
            client: None,
        };
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--variant" => options.variant = value()?,
                "--transport" => options.transport = value()?,
                "--runtime" => options.multi = value()? == "multi",
                "--core" => options.core = Some(value()?.parse()?),
                "--count-allocations" => options.count_allocations = true,
                "--address" => client.address = Some(value()?.parse()?),
                "--scenario" => client.scenario = scenario(&value()?)?,
                "--size" => client.size = value()?.parse()?,
                "--connections" => client.connections = value()?.parse()?,
                "--in-flight" => client.in_flight = value()?.parse()?,
                "--warm-up" => client.warm_up = amount(&value()?)?,
                "--measure" => client.measure = amount(&value()?)?,
                "--latencies" => client.latencies = true,
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        options.client = is_client.then_some(client);
        Ok(options)
    }

    /// Pins this process, threads to come included, and starts counting.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        if let Some(core) = self.core {
            let mut cores = CpuSet::new();
            cores.set(core);
            rustix::thread::sched_setaffinity(None, &cores)?;
        }
        if self.count_allocations {
            allocations::count();
        }
        Ok(())
    }

    pub(crate) fn runtime(&self) -> Result<Runtime, Failure> {
        let mut builder = if self.multi {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(WORKERS);
            builder
        } else {
            Builder::new_current_thread()
        };
        Ok(builder.enable_all().build()?)
    }
}

fn amount(text: &str) -> Result<Amount, Failure> {
    Ok(match text.strip_suffix('s') {
        Some(seconds) => Amount::Time(Duration::try_from_secs_f64(seconds.parse()?)?),
        None => Amount::Calls(text.parse()?),
    })
}

fn scenario(name: &str) -> Result<Scenario, Failure> {
    Ok(match name {
        "calls" => Scenario::Calls,
        "stream" => Scenario::Stream,
        "bulk" => Scenario::Bulk,
        "mixed" => Scenario::Mixed,
        "slow" => Scenario::Slow,
        "idle" => Scenario::Idle,
        "callback" => Scenario::Callback,
        "fanout" => Scenario::Fanout,
        other => return Err(format!("unknown scenario {other}").into()),
    })
}
