//! A hub: workers come under names of their own, wait for a place, are called by the hub and by each other, hear what is told to
//! all, and are sent home with a reason.
//!
//! Run it with `cargo run --example peers`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::prelude::*;
use mynah::{CloseReason, ServerHandle, Session, SessionLimit};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the hub serves.
#[mynah::service]
pub trait Hub {
    /// Under which name the caller is known.
    async fn name(&self, cx: &Context) -> String;
    /// Has another worker do something.
    async fn delegate(&self, cx: &Context, to: String, job: u64) -> Result<u64, RpcError>;
}

/// What every worker serves.
#[mynah::service]
pub trait Worker {
    /// Does something.
    async fn work(&self, job: u64) -> u64;
}

struct MyHub;

impl Hub for MyHub {
    async fn name(&self, cx: &Context) -> String {
        cx.peer().id().map_or_else(String::new, |id| id.to_string())
    }

    async fn delegate(&self, cx: &Context, to: String, job: u64) -> Result<u64, RpcError> {
        let nobody = || RpcError::new(ErrorCode::application(1), format!("there is no {to}"));
        let worker: WorkerClient = cx.peers().find(&to).ok_or_else(nobody)?.client();
        Ok(worker.work(job).within(cx).await?)
    }
}

struct Multiply(u64);

impl Worker for Multiply {
    async fn work(&self, job: u64) -> u64 {
        job * self.0
    }
}

async fn hub() -> Result<ServerHandle, Box<dyn Error>> {
    let next = Arc::new(AtomicU64::new(1));
    let server = Server::new()
        .register(HubService::new(MyHub))
        // Three at a time; two more may wait for a place.
        .admit(SessionLimit::new(3).queue(2))
        .on_connect(move |session: Session| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            async move {
                let taken = |error: mynah::IdTaken| {
                    RpcError::new(ErrorCode::application(2), error.to_string())
                };
                session.set_id(format!("worker-{number}")).map_err(taken)
            }
        })
        .on_disconnect(|session: &Session, reason: &CloseReason| {
            println!("hub: {} has gone: {reason}", session.id());
        })
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    Ok(server)
}

async fn worker(url: &str, times: u64) -> Result<(Peer, HubClient), Box<dyn Error>> {
    let connector = mynah::connector(url)?.register(WorkerService::new(Multiply(times)));
    let peer = connector.connect().await?;
    let hub = peer.client();
    Ok((peer, hub))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = hub().await?;
    let mut workers = Vec::new();
    for times in 2..5 {
        let (peer, hub) = worker(server.address(), times).await?;
        println!("worker: I am {}", hub.name().await?);
        workers.push((peer, hub));
    }
    let Some((first, hub)) = workers.first() else {
        return Ok(());
    };

    // From the hub to one of them, and from one to another.
    let second = server.peer("worker-2").ok_or("it is connected")?;
    println!(
        "hub: worker-2 makes {} of 7",
        second.client::<WorkerClient>().work(7).await?
    );
    println!(
        "worker-1: worker-3 makes {} of 7",
        hub.delegate("worker-3".into(), 7).await?
    );
    if let Err(error) = hub.delegate("worker-9".into(), 7).await {
        println!("worker-1: {error}");
    }

    // To all of them.
    let mut news = first.subscribe::<String>("news").await?;
    let told = server.broadcast("news", "lunch").await?;
    println!(
        "hub: {} of {} listen",
        told.subscribers,
        server.peers().len()
    );
    if let Some(Ok(text)) = news.next().await {
        println!("worker-1: {text}?");
    }

    // A fourth waits until one has gone; what it asks meanwhile is answered then.
    let (fourth, hub) = worker(server.address(), 5).await?;
    let name = hub.name().start();
    second.close_with(&RpcError::new(ErrorCode::application(3), "go home"));
    println!("worker: at last I am {}", name.await?);
    drop(fourth);

    println!("hub: {}", server.drain(None).await);
    Ok(())
}
