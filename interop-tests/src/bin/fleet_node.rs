//! One server of a fleet in a process of its own.
//!
//! ```text
//! fleet_node STORE INSTANCE [PREFIX [DELIVERIES [flow]]]
//!   -> "listening INSTANCE"
//!   <- end of standard input: it drains for a second and exits
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "lines are how it speaks with whoever started it"
)]

use interop_tests::chaos::options;
use interop_tests::fleet::{FleetService, Node};
use interop_tests::flow::{FlowService, Flows};
use mynah::prelude::*;
use mynah::redis_streams::RedisListener;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet_node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, instance, more @ ..] = &*arguments else {
        return Err("fleet_node STORE INSTANCE [PREFIX [DELIVERIES [flow]]]".into());
    };
    let mut options = options(store).with_instance(&**instance);
    if let Some(prefix) = more.first() {
        options = options.with_prefix(&**prefix);
    }
    if let Some(deliveries) = more.get(1) {
        options = options.with_max_deliveries(deliveries.parse()?);
    }
    let node = Node::connect(options.clone(), instance).await?;
    let mut server = Server::new().register(FleetService::new(node));
    if more.get(2).is_some_and(|more| more == "flow") {
        let instance = instance.as_str().into();
        server = server.register(FlowService::new(Flows { instance }));
    }
    let server = server
        .listen_transport_within(RedisListener::bind(options), std::convert::identity)
        .start()
        .await?;
    println!("listening {instance}");
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    server.drain(Duration::from_secs(1)).await;
    Ok(())
}
