//! The server of the README: one service for Mynah peers on port 9000, and for PyPI cbor-rpc on port 9001.
//!
//! `cargo run --example arith [ADDRESS OF MYNAH] [ADDRESS FOR PYTHON]`; it runs until it is interrupted, then drains.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::prelude::*;
use std::time::Duration;

/// What is served.
#[mynah::service]
pub trait Arith {
    /// Adds two numbers.
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
}

struct MyArith;

impl Arith for MyArith {
    async fn add(&self, _cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
        a.checked_add(b)
            .ok_or_else(|| RpcError::new(ErrorCode::application(1), "too large"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses = std::env::args().skip(1);
    let mynah = addresses
        .next()
        .unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let python = addresses
        .next()
        .unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let server = Server::new()
        .register(ArithService::new(MyArith))
        .listen(&format!("tcp://{mynah}"))
        .listen(&format!("tcp://{python}?dialect=cbor-rpc"))
        .start()
        .await?;

    let arith: ArithClient = mynah::connect(server.address()).await?.client();
    println!("2 + 3 = {}", arith.add(2, 3).await?);
    for address in server.addresses() {
        println!("listening on {address}");
    }

    tokio::signal::ctrl_c().await?;
    println!("{:?}", server.drain(Duration::from_secs(5)).await);
    Ok(())
}
