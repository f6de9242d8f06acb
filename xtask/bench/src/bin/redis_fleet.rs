//! What meets at one Redis in numbers: server processes that share a service, and services of one process that nobody calls.
//!
//! `server URL echo|wait` serves until its input ends; `load URL IN_FLIGHT SECONDS` calls, and prints how many calls were
//! answered and how many nanoseconds that took; `idle URL SERVICES` serves as many services, until its input ends.

use mynah::Router;
use mynah::prelude::*;
use mynah_bench::Failure;
use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the handler of `wait` waits, as one that asks somebody else.
const WAIT: Duration = Duration::from_millis(5);

#[mynah::service(name = "work")]
trait Work {
    async fn work(&self, number: u64) -> u64;
}

/// Whether it waits.
struct Worker(bool);

impl Work for Worker {
    async fn work(&self, number: u64) -> u64 {
        if self.0 {
            tokio::time::sleep(WAIT).await;
        }
        number
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", url, kind] => {
            let service = WorkService::new(Worker(kind == "wait"));
            serve(Server::new().register(service), url).await
        }
        ["load", url, in_flight, seconds] => load(url, in_flight.parse()?, seconds.parse()?).await,
        ["idle", url, services] => {
            let services: usize = services.parse()?;
            let router = (0..services).fold(Router::new(), |router, number| {
                router.method(&*format!("idle-{number}.ping"), || ())
            });
            serve(Server::new().router(router), url).await
        }
        _ => Err("server URL echo|wait, load URL IN_FLIGHT SECONDS, or idle URL SERVICES".into()),
    }
}

/// Serves until the input ends.
async fn serve(server: Server, url: &str) -> Result<(), Failure> {
    let handle = server.listen(url).start().await?;
    println!("ready");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await??;
    handle.drain(Duration::from_secs(10)).await;
    Ok(())
}

async fn load(url: &str, in_flight: usize, seconds: f64) -> Result<(), Failure> {
    let peer = mynah::connect(url).await?;
    let over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let client: WorkClient = peer.client();
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let number = answered.fetch_add(1, Ordering::Relaxed);
                    client.work(number).await?;
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begun) = (answered.load(Ordering::Relaxed), Instant::now());
    println!("warm");
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let calls = answered.load(Ordering::Relaxed) - before;
    println!("{calls} {}", begun.elapsed().as_nanos());
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await??;
    }
    Ok(())
}
