//! A worker on another host that has nothing but sshd: how far a call is, what its handler logs, what the worker
//! prints, and how it ends, in the caller's terminal.
//!
//! Copy the example's binary to the other host, and give the URL that runs it there:
//!
//! ```text
//! cargo build --features ssh --example ssh-worker
//! scp target/debug/examples/ssh-worker me@host:
//! cargo run --features ssh --example ssh-worker 'ssh://me@host?command=./ssh-worker&arg=worker'
//! ```
//!
//! The host must be in `~/.ssh/known_hosts`, and take a key of the agent or `~/.ssh/id_ed25519`. With
//! `ssh+exec://me@host/./ssh-worker?arg=worker` the system's `ssh` makes the connection, by its own configuration.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use mynah::prelude::*;
use mynah::{Evidence, EvidenceKey, LogLine};
use std::time::Duration;

/// What both sides agree on.
#[mynah::service]
pub trait Backup {
    /// Looks at files. Says how far it is, and what it passes over.
    async fn check(&self, cx: &Context, files: Vec<String>) -> u32;
    /// On which host this is.
    async fn host(&self) -> String;
}

struct MyBackup;

const WARNING: i64 = 2;

impl Backup for MyBackup {
    async fn check(&self, cx: &Context, files: Vec<String>) -> u32 {
        let mut good = 0;
        for (number, file) in (1..).zip(&files) {
            // What a worker prints arrives beside its answers.
            eprintln!("looking at {file}");
            match std::fs::metadata(file) {
                Ok(_) => good += 1,
                Err(error) => cx.log(WARNING, &format!("{file}: {error}")),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            cx.progress(&(number, files.len()));
        }
        good
    }

    async fn host(&self) -> String {
        let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        name.trim().to_owned()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => worker().await,
        Some(url) => caller(url).await,
        None => {
            println!("Give the URL of a worker, such as");
            println!("  ssh://me@host?command=./ssh-worker&arg=worker");
            println!(
                "where this program has been copied to, and whose key is in ~/.ssh/known_hosts."
            );
            Ok(())
        }
    }
}

/// On the other host: serves on stdin and stdout until the caller closes them.
async fn worker() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .register(BackupService::new(MyBackup))
        .listen("stdio:")
        .start()
        .await?;
    eprintln!("ready");
    server.finished().await;
    eprintln!("good-bye");
    Ok(())
}

async fn caller(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let peer = mynah::connector(url)?
        .on_log(|_cx, line: LogLine| async move { println!("  worker, {line}") })
        .connect()
        .await?;
    show(peer.evidence());
    let backup: BackupClient = peer.client();
    println!("connected to {:?}", backup.host().await?);

    let files = ["/etc/hostname", "/etc/passwd", "/no/such/file"].map(str::to_owned);
    let good = backup
        .check(files.to_vec())
        .on_progress(|(done, of): (usize, usize)| println!("  {done} of {of}"))
        .on_log(|level, line: String| println!("  level {level}: {line}"))
        .await?;
    println!("{good} files are there");

    // Its stdin ends, and it goes by itself.
    drop(backup);
    peer.close();
    println!("{}", peer.closed().await);
    Ok(())
}

/// What is known about the other side, and not from it.
fn show(evidence: &Evidence) {
    for key in ["transport", "host_key", "kex", "cipher"] {
        if let Some(value) = evidence.text(EvidenceKey::new(key)) {
            println!("{key}: {value}");
        }
    }
}
