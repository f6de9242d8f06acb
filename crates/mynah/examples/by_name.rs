//! A console for any peer: names, params and results that are known only when it runs.
//!
//! Run it with `cargo run --example by_name`, which serves and calls itself, or against a server:
//! `cargo run --example by_name -- tcp://127.0.0.1:9000 calculator.add '[5, 10]'`, with an array of params or an object of
//! their names.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::prelude::*;
use mynah::{Attached, Value};
use std::time::Duration;

/// What the example serves when it is given no address. The console below knows nothing of it.
#[mynah::service]
pub trait Calculator {
    /// Adds.
    async fn add(&self, a: i64, #[default = 1] b: i64) -> Result<i64, RpcError>;
    /// Counts, and says so.
    async fn count(&self, to: u64, told: Callback<u64>) -> u64;
}

struct MyCalculator;

impl Calculator for MyCalculator {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError> {
        let too_large = || RpcError::new(ErrorCode::application(1), "too large");
        a.checked_add(b).ok_or_else(too_large)
    }

    async fn count(&self, to: u64, told: Callback<u64>) -> u64 {
        for number in 0..to {
            if told.send(number).await.is_err() {
                return number;
            }
        }
        to
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => itself().await,
        [url, name, params] => {
            let peer = mynah::connect(url).await?;
            say(&peer, name, params).await
        }
        _ => Err("give nothing, or an address, a name and params".into()),
    }
}

/// Serves, and calls itself.
async fn itself() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .register(CalculatorService::new(MyCalculator))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    let peer = mynah::connect(server.address()).await?;
    say(&peer, "calculator.add", "[5, 10]").await?;
    say(&peer, "calculator.add", r#"{"a": 5}"#).await?;
    // What is wrong is said by name.
    say(&peer, "calculator.add", r#"{"a": 5, "c": 10}"#).await?;
    say(&peer, "calculator.subtract", "[]").await?;

    // A function goes with a call by name as well.
    let told = Attached::callback(|number: u64| println!("told {number}"));
    let count = peer
        .call("calculator", "count")
        .arg("told", told)
        .arg("to", 3);
    println!("counted to {}", count.result::<u64>().await?);

    server.drain(Duration::from_secs(5)).await;
    Ok(())
}

/// Calls a method and shows what came of it.
async fn say(peer: &Peer, name: &str, params: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (service, method) = name.rsplit_once('.').unwrap_or(("", name));
    let params: serde_json::Value = serde_json::from_str(params)?;
    let call = peer
        .call(service.to_owned(), method.to_owned())
        .params(&params)
        .deadline(Duration::from_secs(5));
    match call.result::<Value>().await {
        Ok(result) => println!("{name}({params}) = {result:?}"),
        Err(error) => println!("{name}({params}) failed: {error}"),
    }
    Ok(())
}
