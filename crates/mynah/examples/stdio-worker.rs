//! A parent that runs a child as a peer: how far a call is, what its handler logs, what the child prints, how it ends.
//!
//! Run it with `cargo run --example stdio-worker`. The child is the same program, started with the argument `worker`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "an example shows what it does"
)]

use mynah::prelude::*;
use mynah::stdio::{Program, StopTimes};
use mynah::{LogLine, dialect};
use std::time::Duration;

/// What both sides agree on.
#[mynah::service]
pub trait Thumbnails {
    /// Shrinks pictures. Says how far it is, and what it passes over.
    async fn shrink(&self, cx: &Context, pictures: Vec<String>) -> u32;
    /// Meets a picture that it does not survive.
    async fn crash(&self);
}

struct MyThumbnails;

const WARNING: i64 = 2;

impl Thumbnails for MyThumbnails {
    async fn shrink(&self, cx: &Context, pictures: Vec<String>) -> u32 {
        let mut shrunk = 0;
        for (number, picture) in (1..).zip(&pictures) {
            // A library that prints does no harm: stdout is stderr here.
            println!("decoding {picture}");
            if picture.ends_with(".txt") {
                cx.log(WARNING, &format!("{picture} is no picture"));
            } else {
                shrunk += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            cx.progress(&(number, pictures.len()));
        }
        shrunk
    }

    async fn crash(&self) {
        eprintln!("out of cheese");
        std::process::exit(3);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => worker().await,
        _ => parent().await,
    }
}

/// The child: serves on its stdin and stdout until the parent closes them.
async fn worker() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .register(ThumbnailsService::new(MyThumbnails))
        .listen("stdio:")
        .start()
        .await?;
    eprintln!("ready");
    server.finished().await;
    eprintln!("good-bye");
    Ok(())
}

async fn parent() -> Result<(), Box<dyn std::error::Error>> {
    let this_program = std::env::current_exe()?;
    let program = Program::new(&this_program)
        .arg("worker")
        .stop_times(StopTimes::default().with_after_eof(Duration::from_secs(5)));
    let mut child = program.spawn()?;
    let handle = child.connection.handle();
    println!("child {} runs", handle.pid());

    let stderr = child.connection.take_stderr();
    let mut builder = Peer::over(child.connection, &dialect::Native::new())
        .evidence(child.evidence)
        .on_log(|_cx, line: LogLine| async move { println!("  child, {line}") });
    if let Some(lines) = stderr {
        builder = builder.side_lines(lines);
    }
    let thumbnails: ThumbnailsClient = builder.start()?.client();

    let pictures = ["cat.png", "notes.txt", "dog.jpeg"].map(str::to_owned);
    let shrunk = thumbnails
        .shrink(pictures.to_vec())
        .on_progress(|(done, of): (usize, usize)| println!("  {done} of {of}"))
        .on_log(|level, line: String| println!("  level {level}: {line}"))
        .await?;
    println!("{shrunk} pictures shrunk");

    // Its stdin ends, and it goes by itself; one that did not would get SIGTERM, and SIGKILL in the end.
    let exit = handle.stop().await?;
    println!("child {} {exit}", handle.pid());

    // A URL starts a child too. This one does not survive.
    let url = format!("stdio:{}?arg=worker&stderr=inherit", this_program.display());
    let thumbnails: ThumbnailsClient = mynah::connect(&url).await?.client();
    match thumbnails.crash().await {
        Ok(()) => println!("it lives"),
        Err(error) => println!("another child: {error}"),
    }
    Ok(())
}
