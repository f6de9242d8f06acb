//! The server's side of the line protocol.

use crate::options::Options;
use crate::place::Listening;
use crate::usage::{Usage, allow_files};
use crate::{Contender, Failure};
use std::io::Write as _;

/// As many as any scenario needs.
const MOST_FILES: u64 = 4096;

pub(crate) async fn run<C: Contender>(options: &Options) -> Result<(), Failure> {
    // The client says it where the system allows too few.
    let _ = allow_files(MOST_FILES);
    let (listener, address) = Listening::bind(&options.transport).await?;
    println!("listening {address}");
    // A thread, because the runtime must not see these lines: they come while nothing is measured.
    std::thread::spawn(answer_harness);
    let variant = options.variant.clone();
    // A task, because a multi-thread runtime polls the future of `block_on` outside its workers.
    tokio::spawn(async move { C::serve(listener, &variant).await }).await?
}

fn answer_harness() {
    for line in std::io::stdin().lines() {
        match line.as_deref() {
            Ok("snapshot") => {
                let usage = Usage::now();
                let mut out = std::io::stdout().lock();
                let text = serde_json::to_string(&usage).unwrap_or_default();
                if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    // The harness is done with us, or gone.
    std::process::exit(0);
}
