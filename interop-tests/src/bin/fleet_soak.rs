//! The long tests of a fleet: `cargo xtask soak` runs them.
//!
//! ```text
//! fleet_soak chaos OPERATIONS SEED      destroys a fleet of eight servers while four clients call it, Redis is killed and
//!                                       started again twice, and fails over once; then again, with a fifth of the
//!                                       operations, over a failover without waiting for the replica
//! fleet_soak memory SECONDS             calls one server for so long, and looks at the memory
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose output is what it is for"
)]

use interop_tests::chaos::{self, Plan, Replicas};
use interop_tests::soak::{self, Until};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "fleet_soak chaos OPERATIONS SEED | fleet_soak memory SECONDS";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet_soak: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?.with_file_name("fleet_node");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["chaos", operations, seed] => {
            let operations: usize = operations.parse()?;
            let plan = Plan {
                program,
                calls: operations,
                clients: 4,
                in_flight: 16,
                servers: 8,
                kill_every: Duration::from_secs(1),
                freeze_for: Duration::from_millis(2_500),
                restarts: 2,
                failovers: 1,
                replicas: Replicas::Waited,
                deadline: Duration::from_secs(15),
                seed: seed.parse()?,
            };
            println!("{}", chaos::run(plan.clone()).await);
            println!("\nwithout waiting for the replica:");
            let plan = Plan {
                calls: operations / 5,
                restarts: 0,
                replicas: Replicas::Behind,
                ..plan
            };
            println!("{}", chaos::run(plan).await);
        }
        ["memory", seconds] => {
            let time = Duration::from_secs(seconds.parse()?);
            let soaked = soak::run(&program, Until::Over(time)).await;
            println!("{soaked}");
            soaked.check();
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
