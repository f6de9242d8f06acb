//! The contracts of the other examples as one manifest on stdout: what `cargo xtask manifest` holds against
//! `contracts.lock.json`.
//!
//! A program of your own needs the same few lines, and a test or a chore that compares: see the guide, "Contracts and
//! drift".
#![allow(
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "of each example, its contracts are used and nothing else"
)]

#[path = "arith.rs"]
mod arith;
#[path = "blocking.rs"]
mod blocking;
#[path = "by_name.rs"]
mod by_name;
#[path = "contract.rs"]
mod contract;
#[path = "custom_format.rs"]
mod custom_format;
#[path = "kollabor_direct.rs"]
mod kollabor_direct;
#[path = "kollabor_socket.rs"]
mod kollabor_socket;
#[path = "peers.rs"]
mod peers;
#[path = "progress.rs"]
mod progress;
#[path = "stdio-worker.rs"]
mod stdio_worker;
#[path = "tour.rs"]
mod tour;
#[path = "validation.rs"]
mod validation;

use mynah::contract::Manifest;
use mynah::contract_of;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest = Manifest::new([
        contract_of::<arith::ArithClient>(),
        contract_of::<blocking::SearchClient>(),
        contract_of::<by_name::CalculatorClient>(),
        contract_of::<contract::ShelfClient>(),
        contract_of::<custom_format::SumsClient>(),
        contract_of::<kollabor_direct::GreetingClient>(),
        contract_of::<kollabor_socket::HealthClient>(),
        contract_of::<kollabor_socket::StateClient>(),
        contract_of::<peers::HubClient>(),
        contract_of::<peers::WorkerClient>(),
        contract_of::<progress::IndexerClient>(),
        contract_of::<stdio_worker::ThumbnailsClient>(),
        contract_of::<tour::VisitorClient>(),
        contract_of::<tour::WorkshopClient>(),
        contract_of::<validation::InnClient>(),
    ])?;
    print!("{}", manifest.to_json()?);
    Ok(())
}
