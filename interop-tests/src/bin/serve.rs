//! A server in a process of its own.
//!
//! ```text
//! serve URL...
//!   -> "listening ADDRESS ..."     one for each URL
//!   <- end of standard input: it drains for a second and exits
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "lines are how it speaks with whoever started it"
)]

use interop_tests::served::{MyServed, ServedService};
use mynah::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most)?;
    let mut server = Server::new().register(ServedService::new(MyServed::default()));
    for url in std::env::args().skip(1) {
        server = server.listen(&url);
    }
    let server = server.start().await?;
    println!("listening {}", server.addresses().join(" "));
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    server.drain(Duration::from_secs(1)).await;
    Ok(())
}
