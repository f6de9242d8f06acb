//! A long job: its progress as a bar and its log as lines in the caller's terminal. Ctrl-C cancels it at the server.
//!
//! Run it with `cargo run --example progress`, or each side by itself: `-- serve tcp://127.0.0.1:9000` and
//! `-- index tcp://127.0.0.1:9000 FOLDER`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::ServerHandle;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What both sides agree on.
#[mynah::service]
pub trait Indexer {
    /// Counts the words of every text below a folder of the server. Says how far it is, and what it passes over.
    async fn index(&self, cx: &Context, folder: PathBuf) -> Result<Summary, RpcError>;
}

/// How far the job is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Files that are done.
    pub done: usize,
    /// All files.
    pub of: usize,
}

/// What came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Files that were read.
    pub files: usize,
    /// Words in them.
    pub words: usize,
}

/// The levels of a line of log.
const WARNING: i64 = 2;
const INFO: i64 = 3;

struct MyIndexer;

impl Indexer for MyIndexer {
    async fn index(&self, cx: &Context, folder: PathBuf) -> Result<Summary, RpcError> {
        let failed = |text: String| RpcError::new(ErrorCode::application(1), text);
        let files = files_below(&folder)
            .await
            .map_err(|error| failed(format!("{}: {error}", folder.display())))?;
        cx.log(INFO, &format!("{} files to read", files.len()));
        let mut summary = Summary { files: 0, words: 0 };
        for (number, file) in files.iter().enumerate() {
            match tokio::fs::read_to_string(file).await {
                Ok(text) => {
                    summary.files += 1;
                    summary.words += text.split_whitespace().count();
                }
                Err(error) => cx.log(WARNING, &format!("passed over {}: {error}", file.display())),
            }
            cx.progress(&Step {
                done: number + 1,
                of: files.len(),
            });
            // A job that takes its time, so that there is something to watch.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(summary)
    }
}

/// Every file below a folder, in order.
async fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries = tokio::fs::read_dir(&folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            match entry.file_type().await? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", url] => {
            let server = serve(url).await?;
            println!("serving on {}, until Ctrl-C", server.address());
            Ok(tokio::signal::ctrl_c().await?)
        }
        ["index", url, folder] => index(url, Path::new(folder)).await,
        [] => {
            let server = serve("tcp://127.0.0.1:0").await?;
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            index(server.address(), here).await
        }
        _ => Err("usage: progress [serve URL | index URL FOLDER]".into()),
    }
}

async fn serve(url: &str) -> Result<ServerHandle, Box<dyn std::error::Error>> {
    let server = Server::new().register(IndexerService::new(MyIndexer));
    Ok(server.listen(url).start().await?)
}

async fn index(url: &str, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let indexer: IndexerClient = mynah::connect(url).await?.client();
    let screen = Arc::new(Mutex::new(Screen::default()));
    let (bar, log) = (Arc::clone(&screen), screen);
    // Bar and log are heard where the call is awaited, in order, and all before the result.
    let call = indexer
        .index(folder.to_owned())
        .no_deadline()
        .on_progress(move |step: Step| {
            bar.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .bar(&step);
        })
        .on_log(move |level, line: String| {
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .log(level, &line);
        });
    // Dropping the call cancels it at the server.
    let summary = tokio::select! {
        summary = call => summary?,
        _ = tokio::signal::ctrl_c() => return Err("cancelled".into()),
    };
    println!("{} words in {} files", summary.words, summary.files);
    Ok(())
}

/// A terminal with a bar in its last line.
#[derive(Default)]
struct Screen {
    bar: String,
}

impl Screen {
    fn bar(&mut self, step: &Step) {
        const WIDTH: usize = 40;
        let filled = (step.done * WIDTH).checked_div(step.of).unwrap_or(WIDTH);
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH - filled));
        self.bar = format!("[{bar}] {}/{}", step.done, step.of);
        if std::io::stdout().is_terminal() {
            print!("\r{}", self.bar);
            if step.done == step.of {
                println!();
            }
            drop(std::io::stdout().flush());
        } else if step.done == step.of {
            println!("{}", self.bar);
        }
    }

    fn log(&self, level: i64, line: &str) {
        let name = match level {
            WARNING => "warning",
            INFO => "info",
            _ => "log",
        };
        if std::io::stdout().is_terminal() {
            // The bar moves down, behind the line.
            print!("\r{:width$}\r", "", width = self.bar.len());
            println!("{name}: {line}");
            print!("{}", self.bar);
        } else {
            println!("{name}: {line}");
        }
    }
}
