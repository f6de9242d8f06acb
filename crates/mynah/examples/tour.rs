//! One contract over every transport: a typed call, a typed error, progress drawn as a bar, a call back to the client,
//! streams in both directions, callbacks, an event with a slow subscriber, a cancel, a deadline, a drain; and what a call
//! takes on each, in a table.
//! Run it with `cargo run --example tour`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use futures::{Stream, StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{Lag, ServerHandle};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// What both sides agree on.
#[mynah::service]
pub trait Workshop {
    /// Divides, or says with a type of its own why not.
    async fn divide(&self, cx: &Context, dividend: i64, divisor: i64) -> Result<i64, DivideError>;

    /// Works through so many steps and says how far it is.
    async fn build(&self, cx: &Context, steps: u32) -> Result<String, RpcError>;

    /// Asks the caller a question before it answers.
    async fn greet(&self, cx: &Context) -> Result<String, RpcError>;

    /// Takes a note; there is no answer.
    #[notification]
    async fn note(&self, cx: &Context, text: String);

    /// Cuts every board in two, while the boards still come.
    fn saw(&self, boards: Incoming<f64>) -> impl Stream<Item = Result<f64, RpcError>> + Send;

    /// Paints a thing: asks for the colour, and tells what it does.
    async fn paint(
        &self,
        thing: String,
        choose: Callback<Vec<String>, String>,
        tell: Callback<String>,
    ) -> Result<String, RpcError>;

    /// Raises the temperature to so many degrees, one at a time.
    async fn heat(&self, cx: &Context, degrees: u32) -> Result<(), RpcError>;

    /// The temperature has changed.
    #[event]
    fn temperature(degrees: u32);
}

/// Why a division has no result. It keeps its type on its way to the caller.
#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
pub enum DivideError {
    /// Nothing can be divided by zero.
    #[error(code = 1, message = "division by zero")]
    ByZero,
    /// The result does not fit.
    #[error(code = 2, message = "{dividend} / {divisor} does not fit")]
    TooLarge {
        /// What was divided.
        dividend: i64,
        /// By what.
        divisor: i64,
    },
}

/// What the client offers to the server: both ends are equal.
#[mynah::service]
pub trait Visitor {
    /// Who are you?
    async fn name(&self) -> String;
}

struct MyWorkshop;

impl Workshop for MyWorkshop {
    async fn divide(&self, _cx: &Context, dividend: i64, divisor: i64) -> Result<i64, DivideError> {
        if divisor == 0 {
            return Err(DivideError::ByZero);
        }
        dividend
            .checked_div(divisor)
            .ok_or(DivideError::TooLarge { dividend, divisor })
    }

    async fn build(&self, cx: &Context, steps: u32) -> Result<String, RpcError> {
        let mut watch = SayWhenStopped {
            handler: "build",
            finished: false,
        };
        for step in 1..=steps {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cx.progress(&(step, steps));
        }
        watch.finished = true;
        Ok(format!("built in {steps} steps"))
    }

    async fn greet(&self, cx: &Context) -> Result<String, RpcError> {
        let visitor: VisitorClient = cx.peer().client();
        let name = visitor.name().await.map_err(|error| {
            RpcError::new(
                ErrorCode::application(10),
                format!("nobody answered: {error}"),
            )
        })?;
        Ok(format!("hello, {name}"))
    }

    async fn note(&self, cx: &Context, text: String) {
        println!("    server notes: {text} (from {})", cx.evidence());
    }

    fn saw(&self, boards: Incoming<f64>) -> impl Stream<Item = Result<f64, RpcError>> + Send {
        boards.flat_map(|board| match board {
            Ok(length) => stream::iter(vec![Ok(length / 2.0), Ok(length / 2.0)]),
            Err(reason) => stream::iter(vec![Err(reason.into())]),
        })
    }

    async fn paint(
        &self,
        thing: String,
        choose: Callback<Vec<String>, String>,
        tell: Callback<String>,
    ) -> Result<String, RpcError> {
        let nobody = |error: &dyn std::fmt::Display| {
            RpcError::new(ErrorCode::application(11), format!("nobody there: {error}"))
        };
        let colours = vec!["red".to_owned(), "blue".to_owned()];
        let colour = choose.call(colours).await.map_err(|error| nobody(&error))?;
        for coat in ["first", "second"] {
            let text = format!("{coat} coat of {colour}");
            tell.send(text).await.map_err(|error| nobody(&error))?;
        }
        Ok(format!("a {colour} {thing}"))
    }

    async fn heat(&self, cx: &Context, degrees: u32) -> Result<(), RpcError> {
        let events = WorkshopEvents::from_context(cx);
        for degree in 1..=degrees {
            events
                .temperature(&degree)
                .await
                .map_err(|error| RpcError::new(ErrorCode::application(12), error.to_string()))?;
        }
        Ok(())
    }
}

/// Tells when a handler is dropped before its end.
struct SayWhenStopped {
    handler: &'static str,
    finished: bool,
}

impl Drop for SayWhenStopped {
    fn drop(&mut self) {
        if !self.finished {
            println!("    server: handler of `{}` was stopped", self.handler);
        }
    }
}

struct Me;

impl Visitor for Me {
    async fn name(&self) -> String {
        "Ada".to_owned()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return worker().await;
    }
    let server = Server::new()
        .register(WorkshopService::new(MyWorkshop))
        .listen("tcp://127.0.0.1:0")
        .listen("memory:workshop");
    // Removes the socket's directory in the end.
    #[cfg(unix)]
    let directory = tempfile::tempdir()?;
    #[cfg(unix)]
    let server = server.listen(&format!("unix:{}/workshop", directory.path().display()));
    let server = server.start().await?;

    // A transport more is a URL more.
    let mut urls = vec!["memory:workshop".to_owned()];
    urls.extend(server.addresses().iter().rev().cloned());
    // This one starts a server of its own: this program once more, as a child.
    #[cfg(unix)]
    urls.push(format!(
        "stdio:{}?arg=worker",
        std::env::current_exe()?.display()
    ));
    let mut times = Vec::new();
    for url in urls {
        let name = if url.starts_with("stdio:") {
            "stdio:tour?arg=worker".to_owned()
        } else {
            url.clone()
        };
        println!("{name}");
        let workshop = visit(&url).await?;
        times.push((name, time(&workshop).await?));
    }
    table(&times);
    drain(&server).await
}

/// The child: it serves on its stdin and stdout, and what it prints lands on stderr.
async fn worker() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .register(WorkshopService::new(MyWorkshop))
        .listen("stdio:")
        .start()
        .await?;
    server.finished().await;
    Ok(())
}

/// Calls of one measurement.
const CALLS: u32 = 2_000;

/// What a call takes, one at a time and 64 at a time.
async fn time(workshop: &WorkshopClient) -> Result<[Duration; 2], Box<dyn std::error::Error>> {
    let start = Instant::now();
    for _ in 0..CALLS {
        workshop.divide(84, 2).await?;
    }
    let alone = start.elapsed() / CALLS;
    let start = Instant::now();
    let calls = (0..CALLS).map(|_| workshop.divide(84, 2).into_future());
    let mut answers = stream::iter(calls).buffer_unordered(64);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok([alone, start.elapsed() / CALLS])
}

/// One row for each transport.
fn table(times: &[(String, [Duration; 2])]) {
    let build = if cfg!(debug_assertions) {
        " (a debug build: --release is faster)"
    } else {
        ""
    };
    let wide = times.iter().map(|(url, _)| url.len()).max().unwrap_or(0);
    println!("time per call{build}");
    println!(
        "  {:wide$}  {:>13}  {:>10}",
        "", "one at a time", "64 at once"
    );
    for (url, times) in times {
        let [alone, many] = times.map(|time| format!("{:.1} us", time.as_secs_f64() * 1e6));
        println!("  {url:wide$}  {alone:>13}  {many:>10}");
    }
    println!();
}

/// A server that stops: what is nearly done gets its time, what is not is cut, and it says so.
async fn drain(server: &ServerHandle) -> Result<(), Box<dyn std::error::Error>> {
    let workshop: WorkshopClient = mynah::connect(server.address()).await?.client();
    let short = workshop.build(5).start();
    let long = workshop.build(1000).start();
    let mut temperatures = workshop.temperature().await?;
    // Until the server has both calls.
    let _first = workshop.divide(1, 1).await?;
    let report = server.drain(Duration::from_millis(300)).await;
    println!("drain");
    println!("  a short job       {}", shown(short.await));
    println!("  a long job        {}", shown(long.await));
    println!("  a subscription    {:?}", temperatures.next().await);
    println!(
        "  the server        {} connections, {} calls cut, after {:.1?}",
        report.connections, report.calls_cut, report.took
    );
    Ok(())
}

async fn visit(url: &str) -> Result<WorkshopClient, Box<dyn std::error::Error>> {
    let peer = mynah::connector(url)?
        .register(VisitorService::new(Me))
        // What a child prints arrives as its log.
        .on_log(|_cx, line| async move { println!("  {line}") })
        .connect()
        .await?;
    let workshop: WorkshopClient = peer.client();

    let start = Instant::now();
    let result = workshop.divide(84, 2).await?;
    println!(
        "  a call            84 / 2 = {result}, first answer after {:.0?}",
        start.elapsed()
    );

    let error = workshop.divide(1, 0).await;
    println!("  a typed error     {error:?}");
    assert!(matches!(
        error,
        Err(CallError::Application(DivideError::ByZero))
    ));

    let built = workshop.build(20).on_progress(draw).await?;
    println!(" {built}");

    println!("  a call back       {}", workshop.greet().await?);
    workshop
        .note("a notification has no answer".to_owned())
        .await?;

    streams(&workshop).await?;
    events(&workshop).await?;

    let mut call = workshop.build(1000).start();
    tokio::time::sleep(Duration::from_millis(60)).await;
    call.cancel();
    println!("  a cancel          {}", shown(call.await));
    tokio::time::sleep(Duration::from_millis(20)).await;

    let late = workshop
        .build(1000)
        .deadline(Duration::from_millis(60))
        .await;
    println!("  a deadline        {}", shown(late));
    tokio::time::sleep(Duration::from_millis(20)).await;
    println!();
    Ok(workshop)
}

async fn streams(workshop: &WorkshopClient) -> Result<(), Box<dyn std::error::Error>> {
    let mut pieces = workshop.saw(stream::iter([4.0, 3.0])).start();
    let mut lengths = Vec::new();
    while let Some(piece) = pieces.next().await {
        lengths.push(piece?);
    }
    println!("  a stream          4 m and 3 m in, {lengths:?} out");

    let choose =
        |colours: Vec<String>| async move { Ok(colours.last().cloned().unwrap_or_default()) };
    let tell = |text| println!("  a callback        {text}");
    let painted = workshop.paint("door".to_owned(), choose, tell).await?;
    println!("                    {painted}");
    Ok(())
}

async fn events(workshop: &WorkshopClient) -> Result<(), Box<dyn std::error::Error>> {
    // Wants the newest only, and is too slow for the rest.
    let mut slow = workshop.temperature().lag(Lag::Latest).await?;
    workshop.heat(1000).await?;
    let mut heard = Vec::new();
    while heard.last() != Some(&1000) {
        match slow.next().await {
            Some(degrees) => heard.push(degrees?),
            None => break,
        }
    }
    println!(
        "  an event          1000 published, a slow subscriber heard {heard:?}, {} were dropped",
        slow.dropped()
    );
    Ok(())
}

/// Draws one step of a bar; only the last one where nobody can watch it grow.
fn draw((step, steps): (u32, u32)) {
    if step < steps && !std::io::stdout().is_terminal() {
        return;
    }
    let bar: String = (1..=steps)
        .map(|n| if n <= step { '#' } else { '.' })
        .collect();
    let start = if step == 1 || step == steps && !std::io::stdout().is_terminal() {
        ""
    } else {
        "\r"
    };
    print!(
        "{start}  progress          [{bar}] {:3} %",
        step * 100 / steps
    );
    drop(std::io::stdout().flush());
}

fn shown<T: std::fmt::Debug>(result: Result<T, CallError<RpcError>>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}
