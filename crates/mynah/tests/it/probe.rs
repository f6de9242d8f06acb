//! A service that most tests use.

use crate::support::Count;
use mynah::prelude::*;
use std::sync::Arc;

/// Answers, waits, and counts.
#[mynah::service]
pub(crate) trait Probe {
    /// The text again.
    async fn echo(&self, text: String) -> String;
    /// The text again, after a few turns.
    async fn echo_later(&self, text: String, turns: u32) -> String;
    /// Never answers.
    async fn hang(&self) -> u64;
    /// So many bytes.
    async fn letters(&self, len: usize) -> String;
    /// Answers once the gate is open.
    async fn pass(&self, number: u64) -> u64;
    /// What is left of the deadline in milliseconds; -1 when there is none.
    async fn remaining(&self, cx: &Context) -> i64;
    /// Nothing to hear.
    #[notification]
    async fn touch(&self, key: String);
}

/// What the tests look at.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) calls: Count,
    pub(crate) touched: std::sync::Mutex<Vec<String>>,
    pub(crate) gate: tokio::sync::Semaphore,
}

/// The implementation.
#[derive(Clone, Debug)]
pub(crate) struct MyProbe(pub(crate) Arc<State>);

impl MyProbe {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            calls: Count::default(),
            touched: std::sync::Mutex::default(),
            gate: tokio::sync::Semaphore::new(0),
        }))
    }

    pub(crate) fn service(&self) -> ProbeService<Self> {
        ProbeService::new(self.clone())
    }

    pub(crate) fn router(&self) -> mynah::Router {
        mynah::Router::new().register(self.service())
    }
}

impl Probe for MyProbe {
    async fn echo(&self, text: String) -> String {
        let _alive = self.0.calls.enter();
        text
    }

    async fn echo_later(&self, text: String, turns: u32) -> String {
        let _alive = self.0.calls.enter();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        text
    }

    async fn hang(&self) -> u64 {
        let _alive = self.0.calls.enter();
        std::future::pending().await
    }

    async fn letters(&self, len: usize) -> String {
        let _alive = self.0.calls.enter();
        "x".repeat(len)
    }

    async fn pass(&self, number: u64) -> u64 {
        let _alive = self.0.calls.enter();
        if let Ok(permit) = self.0.gate.acquire().await {
            permit.forget();
        }
        number
    }

    async fn remaining(&self, cx: &Context) -> i64 {
        cx.remaining().map_or(-1, |left| {
            i64::try_from(left.as_millis()).unwrap_or(i64::MAX)
        })
    }

    async fn touch(&self, key: String) {
        if let Ok(mut touched) = self.0.touched.lock() {
            touched.push(key);
        }
    }
}
