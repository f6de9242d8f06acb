//! A small fleet on Redis: three servers share the calls of one service, one of them goes, an order is placed twice and
//! booked once.
//!
//! ```text
//! cargo run -p mynah-transport-redis-streams --example fleet [redis://host:port/db]
//! ```
//!
//! Without a URL it starts a redis-server of its own, and says how to install one where there is none.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use mynah::prelude::*;
use mynah::redis_streams::{Effect, EffectReply, Operations, RedisListener, RedisOptions};
use mynah::{Context, ErrorCode, RpcError, ServerHandle};
use mynah_testkit::redis::RedisServer;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

#[mynah::service(name = "shop")]
trait Shop {
    /// Who is there, after a moment of work.
    async fn look(&self, item: String) -> String;
    /// Takes from the stock, once for each operation, whatever happens. What is left.
    async fn order(&self, cx: &Context, item: String, count: i64) -> Result<i64, RpcError>;
}

struct Clerk {
    name: &'static str,
    operations: Operations,
}

impl Shop for Clerk {
    async fn look(&self, item: String) -> String {
        tokio::time::sleep(Duration::from_millis(5)).await;
        format!("{} looked for {item}", self.name)
    }

    async fn order(&self, cx: &Context, item: String, count: i64) -> Result<i64, RpcError> {
        let failed = |why: String| RpcError::new(ErrorCode::application(1), why);
        let operation = cx.operation_id();
        let operation = operation.ok_or_else(|| failed("an order needs an operation id".into()))?;
        println!("  {} books {count} of {item}", self.name);
        // The booking and the note that it was made are one step: killed before it, nothing has happened; killed
        // after it, whoever runs the order again is told what came of it.
        let booking =
            Effect::new().command(["DECRBY", &format!("stock:{item}"), &count.to_string()]);
        let booked = self.operations.once("order", operation, booking).await;
        let booked = booked.map_err(|error| failed(error.to_string()))?;
        let left = booked.replies.first().and_then(EffectReply::as_integer);
        left.ok_or_else(|| failed("redis did not say what is left".into()))
    }
}

async fn serve(options: &RedisOptions, name: &'static str) -> Result<ServerHandle, Box<dyn Error>> {
    let options = options.clone().with_instance(name).with_concurrency(4);
    let operations = Operations::connect(options.clone()).await?;
    let server = Server::new()
        .register(ShopService::new(Clerk { name, operations }))
        .listen_transport_within(RedisListener::bind(options), std::convert::identity)
        .start()
        .await?;
    Ok(server)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Kept until the end, and ended with it.
    let mut own = None;
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => own.insert(RedisServer::start().await?).url(),
    };
    println!("redis at {url}");
    let options = RedisOptions::new(&*url).with_prefix("example-fleet");

    let anna = serve(&options, "anna").await?;
    let berta = serve(&options, "berta").await?;
    let carl = serve(&options, "carl").await?;
    let client = mynah::connect(&format!("{url}?prefix=example-fleet")).await?;
    let shop: ShopClient = client.client();

    println!("\n60 calls, as each has room for them:");
    let mut share = BTreeMap::<String, usize>::new();
    let calls = (0..60).map(|number| shop.look(format!("item {number}")).into_future());
    for answer in futures::future::join_all(calls).await {
        let answer = answer?;
        let who = answer.split(' ').next().unwrap_or_default();
        *share.entry(who.to_owned()).or_default() += 1;
    }
    println!("  {share:?}");

    println!("\nanna finishes what she has and goes; the others go on:");
    let report = anna.drain(Duration::from_secs(5)).await;
    println!("  {report}");
    println!("  {}", shop.look("bread".to_owned()).await?);

    println!("\none order, placed twice under one operation id:");
    for _ in 0..2 {
        let order = shop.order("bread".to_owned(), 3).operation_id("order-1");
        println!("  left: {}", order.await?);
    }

    client.close();
    for server in [berta, carl] {
        server.drain(Duration::from_secs(5)).await;
    }
    if let Some(redis) = &own {
        println!("\nwhat is left in redis:");
        for key in redis.command(&["KEYS", "*"]).await?.texts() {
            let kind = redis.command(&["TYPE", key]).await?;
            let left = redis.command(&["PTTL", key]).await?;
            let kind = kind.as_text().unwrap_or_default().to_owned();
            let left = left.as_integer().filter(|left| *left >= 0);
            let left = left.map_or_else(
                || "stays".to_owned(),
                |left| format!("goes in {} s", left / 1000),
            );
            println!("  {key:<40} {kind:<8} {left}");
        }
    }
    Ok(())
}
