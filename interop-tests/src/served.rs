//! What `src/bin/serve.rs` serves: for tests that count its memory and its time, or start it in their own way.

use mynah::{Context, ErrorCode, EvidenceKey, RpcError};
use std::sync::atomic::{AtomicU64, Ordering};

/// The contract between the server and the tests.
#[mynah::service(name = "served")]
pub trait Served {
    /// The text again.
    async fn echo(&self, text: String) -> String;
    /// Never answers.
    async fn hang(&self) -> u64;
    /// How many `hang` run now, and the most that ran at once.
    async fn hanging(&self) -> (u64, u64);
    /// Which transport the caller came by, and as which user, where that is known.
    async fn who(&self, cx: &Context) -> (String, Option<i64>);
    /// A number that the caller gives, through its own `back`.
    async fn ask(&self, cx: &Context, number: u64) -> Result<u64, RpcError>;
}

/// What the caller of [`Served::ask`] serves.
#[mynah::service(name = "asked")]
pub trait Asked {
    /// The number again.
    async fn back(&self, number: u64) -> u64;
}

/// The implementation.
#[derive(Debug, Default)]
pub struct MyServed {
    hanging: AtomicU64,
    most: AtomicU64,
}

/// Counts as hanging as long as it lives.
struct Hanging<'a>(&'a AtomicU64);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Served for MyServed {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn hang(&self) -> u64 {
        let now = self.hanging.fetch_add(1, Ordering::SeqCst) + 1;
        let _hanging = Hanging(&self.hanging);
        self.most.fetch_max(now, Ordering::SeqCst);
        std::future::pending().await
    }

    async fn hanging(&self) -> (u64, u64) {
        let now = self.hanging.load(Ordering::SeqCst);
        (now, self.most.load(Ordering::SeqCst))
    }

    async fn who(&self, cx: &Context) -> (String, Option<i64>) {
        let evidence = cx.evidence();
        let transport = evidence.text(EvidenceKey::TRANSPORT).unwrap_or_default();
        (transport.to_owned(), evidence.integer(EvidenceKey::USER_ID))
    }

    async fn ask(&self, cx: &Context, number: u64) -> Result<u64, RpcError> {
        let asked: AskedClient = cx.peer().client();
        asked
            .back(number)
            .await
            .map_err(|error| RpcError::new(ErrorCode::application(1), error.to_string()))
    }
}
