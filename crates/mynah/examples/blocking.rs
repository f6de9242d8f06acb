//! A program without a runtime on both sides: a server of files whose handlers block, and a client that calls, streams, and is
//! asked back on its own thread.
//!
//! Run it with `cargo run --example blocking`, or each side by itself: `-- serve tcp://127.0.0.1:9000` and
//! `-- search tcp://127.0.0.1:9000 FOLDER WORD`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::blocking;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What both sides agree on.
#[mynah::service]
pub trait Search {
    /// Looks for a word in every text below a folder of the server. Tells what it finds, and asks whether to go on.
    #[blocking]
    fn search(
        &self,
        cx: &Context,
        folder: PathBuf,
        word: String,
        found: Callback<Hit>,
        goes_on: Callback<u64, bool>,
    ) -> Result<u64, RpcError>;
    /// How many words there are in lines that the caller sends.
    #[blocking]
    fn words(&self, lines: Incoming<String>) -> Result<u64, RpcError>;
}

/// A line with the word in it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What it says.
    pub text: String,
}

/// After so many hits the caller is asked.
const PAGE: u64 = 5;

struct Disk;

impl Search for Disk {
    fn search(
        &self,
        cx: &Context,
        folder: PathBuf,
        word: String,
        found: Callback<Hit>,
        goes_on: Callback<u64, bool>,
    ) -> Result<u64, RpcError> {
        let failed =
            |error: std::io::Error| RpcError::new(ErrorCode::application(1), error.to_string());
        let mut hits = 0;
        for file in texts_below(&folder).map_err(failed)? {
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            for (line, text) in (1..)
                .zip(text.lines())
                .filter(|(_, text)| text.contains(&word))
            {
                let text = text.trim().to_owned();
                let file = file.clone();
                // Whatever is awaited elsewhere is waited for here; it ends when the caller goes.
                cx.wait(found.send(Hit { file, line, text }))??;
                hits += 1;
                if hits % PAGE == 0 && !cx.wait(goes_on.call(hits))?? {
                    return Ok(hits);
                }
            }
        }
        Ok(hits)
    }

    fn words(&self, lines: Incoming<String>) -> Result<u64, RpcError> {
        let mut words = 0;
        for line in lines.blocking()? {
            let line =
                line.map_err(|end| RpcError::new(ErrorCode::application(2), end.to_string()))?;
            words += line.split_whitespace().count() as u64;
        }
        Ok(words)
    }
}

/// Files that are texts by their names, in order.
fn texts_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut texts = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|kind| kind == "rs" || kind == "md")
            {
                texts.push(path);
            }
        }
    }
    texts.sort();
    Ok(texts)
}

fn serve(url: &str) -> Result<blocking::ServerHandle, Box<dyn Error>> {
    let server = blocking::Server::new()
        .register(SearchService::new(Disk))
        .listen(url)
        .start()?;
    println!("serving on {}", server.address());
    Ok(server)
}

fn search(url: &str, folder: &str, word: &str) -> Result<(), Box<dyn Error>> {
    let search: SearchClient<blocking::Peer> = blocking::connect(url)?.client();
    let mut longest = 0;
    let hits = search
        .search(
            folder.into(),
            word.to_owned(),
            move |hit: Hit| {
                // On this thread: it may do what it likes.
                longest = longest.max(hit.text.len());
                println!("{}:{}: {}", hit.file.display(), hit.line, hit.text);
            },
            blocking::answer(|hits| Ok(hits < 2 * PAGE)),
        )
        .deadline(Duration::from_secs(60))
        .wait()?;
    println!("{hits} hits of \"{word}\"");
    let lines = ["what can be iterated".to_owned(), "is a stream".to_owned()];
    println!("{} words", search.words(lines).wait()?);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve", url] => Ok(serve(url)?.finished()?),
        ["search", url, folder, word] => search(url, folder, word),
        [] => {
            let server = serve("tcp://127.0.0.1:0")?;
            search(
                server.address(),
                concat!(env!("CARGO_MANIFEST_DIR"), "/examples"),
                "Callback",
            )?;
            println!("{}", server.drain(None)?);
            Ok(())
        }
        _ => Err("usage: blocking [serve URL | search URL FOLDER WORD]".into()),
    }
}
