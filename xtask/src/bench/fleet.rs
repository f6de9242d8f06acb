//! `cargo xtask bench --fleet`: server processes that share a service at one Redis, and what it costs to serve and not be
//! called.

use super::redis::Redis;
use super::{cargo, target_dir};
use crate::{Outcome, process};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

const SERVERS: [usize; 4] = [1, 2, 4, 8];
/// Clients, and calls of each that are under way.
const CLIENTS: usize = 2;
const IN_FLIGHT: &str = "512";
const SECONDS: &str = "3";
const SERVICES: [usize; 3] = [1, 100, 1_000];
/// How long nothing is done.
const IDLE: Duration = Duration::from_secs(15);
const PROGRAM: &str = "redis_fleet";

pub(super) fn run() -> Outcome {
    let mut build = cargo("build", &target_dir());
    build.args(["--release", "--features", "peers,redis", "--bin", PROGRAM]);
    process::run_quietly(&mut build)?;
    println!("\n### Server processes that share a service\n");
    println!(
        "| handler | servers | calls/s | x one | CPU of servers | of clients | of Redis | commands a call |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for handler in ["echo", "wait"] {
        let mut one = None;
        for servers in SERVERS {
            let shared = share(handler, servers)?;
            let first = *one.get_or_insert(shared.rate);
            println!(
                "| {handler} | {servers} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                shared.rate,
                shared.rate / first,
                shared.cpu_servers,
                shared.cpu_clients,
                shared.cpu_redis,
                shared.commands,
            );
        }
    }
    println!("\n### Services that nobody calls, in one process\n");
    println!(
        "| services | connections | commands/s | CPU of the process | of Redis | memory of the process, KiB |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for services in SERVICES {
        idle(services)?;
    }
    Ok(())
}

/// What a number of servers did. CPU in cores.
struct Shared {
    rate: f64,
    cpu_servers: f64,
    cpu_clients: f64,
    cpu_redis: f64,
    /// For each call.
    commands: f64,
}

fn share(handler: &str, servers: usize) -> Outcome<Shared> {
    let redis = Redis::start(None)?;
    let url = redis.address();
    let servers: Vec<Running> = (0..servers)
        .map(|_| Running::start(&["server", &url, handler]))
        .collect::<Outcome<_>>()?;
    for server in &servers {
        server.expect("ready")?;
    }
    let clients: Vec<Running> = (0..CLIENTS)
        .map(|_| Running::start(&["load", &url, IN_FLIGHT, SECONDS]))
        .collect::<Outcome<_>>()?;
    for client in &clients {
        client.expect("warm")?;
    }
    let begun = Instant::now();
    let asked = redis.asked()?;
    let cpu_of = |all: &[Running]| -> Outcome<f64> { all.iter().map(Running::cpu).sum() };
    let before = (cpu_of(&servers)?, cpu_of(&clients)?);
    let mut rate = 0.0;
    let mut calls = 0.0;
    for client in &clients {
        let line = client.line()?;
        let (count, nanoseconds) = line.split_once(' ').ok_or("no figures")?;
        let (count, nanoseconds): (f64, f64) = (count.parse()?, nanoseconds.parse()?);
        calls += count;
        rate += count / nanoseconds * 1e9;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let asked = redis.asked()?.since(&asked);
    Ok(Shared {
        rate,
        cpu_servers: (cpu_of(&servers)? - before.0) / seconds,
        cpu_clients: (cpu_of(&clients)? - before.1) / seconds,
        cpu_redis: asked.cpu_ns / 1e9 / seconds,
        commands: asked.commands.values().sum::<f64>() / calls,
    })
}

fn idle(services: usize) -> Outcome {
    let redis = Redis::start(None)?;
    let server = Running::start(&["idle", &redis.address(), &services.to_string()])?;
    server.expect("ready")?;
    // What is done once at the start is done.
    park_timeout(Duration::from_secs(5));
    let (begun, asked, cpu) = (Instant::now(), redis.asked()?, server.cpu()?);
    park_timeout(IDLE);
    let seconds = begun.elapsed().as_secs_f64();
    let asked = redis.asked()?.since(&asked);
    println!(
        "| {services} | {:.0} | {:.1} | {:.4} | {:.4} | {} |",
        redis.connections()?,
        asked.commands.values().sum::<f64>() / seconds,
        (server.cpu()? - cpu) / seconds,
        asked.cpu_ns / 1e9 / seconds,
        server.memory()?,
    );
    Ok(())
}

/// A process of the program; ended when this is dropped.
struct Running {
    child: Child,
    output: std::cell::RefCell<BufReader<ChildStdout>>,
}

impl Running {
    fn start(args: &[&str]) -> Outcome<Self> {
        let program: PathBuf = target_dir().join("release").join(PROGRAM);
        let mut child = Command::new(&program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let output = child.stdout.take().ok_or("no output")?;
        let output = std::cell::RefCell::new(BufReader::new(output));
        Ok(Self { child, output })
    }

    fn line(&self) -> Outcome<String> {
        let mut line = String::new();
        if self.output.borrow_mut().read_line(&mut line)? == 0 {
            return Err(format!("{PROGRAM} ended early").into());
        }
        Ok(line.trim().to_owned())
    }

    fn expect(&self, wanted: &str) -> Outcome {
        match &*self.line()? {
            line if line == wanted => Ok(()),
            other => Err(format!("{PROGRAM} says {other:?}").into()),
        }
    }

    /// Seconds that it ran until now, on all cores.
    fn cpu(&self) -> Outcome<f64> {
        let path = format!("/proc/{}/schedstat", self.child.id());
        // Of its one thread that does anything: the runtime has one.
        let text = std::fs::read_to_string(path)?;
        let nanoseconds: f64 = text.split_whitespace().next().ok_or("no time")?.parse()?;
        Ok(nanoseconds / 1e9)
    }

    /// Resident memory, in KiB.
    fn memory(&self) -> Outcome<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line
            .ok_or("no memory")?
            .trim_end_matches("kB")
            .trim()
            .to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
