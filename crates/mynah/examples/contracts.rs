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
#[path = "contract.rs"]
mod contract;
#[path = "progress.rs"]
mod progress;
#[path = "stdio-worker.rs"]
mod stdio_worker;
#[path = "tour.rs"]
mod tour;

use mynah::contract::Manifest;
use mynah::contract_of;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let manifest = Manifest::new([
        contract_of::<arith::ArithClient>(),
        contract_of::<contract::ShelfClient>(),
        contract_of::<progress::IndexerClient>(),
        contract_of::<stdio_worker::ThumbnailsClient>(),
        contract_of::<tour::VisitorClient>(),
        contract_of::<tour::WorkshopClient>(),
    ])?;
    print!("{}", manifest.to_json()?);
    Ok(())
}
