//! One contract for both sides and both languages.

use mynah::Value;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a server remembers.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// How many `sleep` run now.
    pub(crate) running: u64,
    /// And the most that ran at once.
    pub(crate) most: u64,
    /// The actions of the lines that came, where the server is not ours.
    pub(crate) actions: Vec<Option<String>>,
    /// Whether all of them were spelled as the package spells them.
    pub(crate) alike: bool,
}

/// A value that no format can write.
#[derive(Debug, Deserialize)]
pub(crate) struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this value cannot be written"))
    }
}

#[mynah::service(name = "state")]
pub(crate) trait State {
    async fn echo(&self, value: Value) -> Value;
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn fail(&self, text: String) -> Result<(), RpcError>;
    async fn unencodable(&self) -> Result<Unencodable, RpcError>;
    async fn sleep(&self, milliseconds: u64) -> u64;
    async fn grow(&self, letters: usize) -> String;
    async fn length(&self, text: String) -> usize;
    async fn seen(&self) -> Seen;
    async fn close(&self, cx: &Context);
    /// Not on the Python side.
    async fn remaining(&self, cx: &Context) -> Result<Option<u64>, RpcError>;
    /// On the Python side, which writes these lines as the answer.
    async fn raw(&self, lines: Vec<String>) -> Result<Value, RpcError>;
    /// On the Python side: a value that this side has no word for, or hardly one.
    async fn odd(&self, what: String) -> Value;
}

/// The implementation.
#[derive(Debug, Default)]
pub(crate) struct Here {
    running: AtomicU64,
    most: AtomicU64,
}

/// Counts as running as long as it lives.
struct Running<'a>(&'a AtomicU64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State for Here {
    async fn echo(&self, value: Value) -> Value {
        value
    }

    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn fail(&self, text: String) -> Result<(), RpcError> {
        Err(RpcError::new(ErrorCode::application(1), text))
    }

    async fn unencodable(&self) -> Result<Unencodable, RpcError> {
        Ok(Unencodable)
    }

    async fn sleep(&self, milliseconds: u64) -> u64 {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&self.running);
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        milliseconds
    }

    async fn grow(&self, letters: usize) -> String {
        "x".repeat(letters)
    }

    async fn length(&self, text: String) -> usize {
        text.len()
    }

    async fn seen(&self) -> Seen {
        Seen {
            running: self.running.load(Ordering::SeqCst),
            most: self.most.load(Ordering::SeqCst),
            ..Seen::default()
        }
    }

    async fn close(&self, cx: &Context) {
        cx.peer().close();
    }

    async fn remaining(&self, cx: &Context) -> Result<Option<u64>, RpcError> {
        let millis = |left: Duration| left.as_millis().try_into().unwrap_or(u64::MAX);
        Ok(cx.remaining().map(millis))
    }

    async fn raw(&self, lines: Vec<String>) -> Result<Value, RpcError> {
        Ok(lines.len().into())
    }

    async fn odd(&self, what: String) -> Value {
        what.into()
    }
}
