//! The worker that does to its process what a worker should not do.

use crate::worker::{Worker, WorkerService};
use mynah::{Bytes, Callback, Context, EvidenceKey, Router};
use std::io::Write as _;

/// The service.
pub(crate) fn router() -> Router {
    Router::new().register(WorkerService::new(Here))
}

struct Here;

impl Worker for Here {
    async fn echo(&self, data: Bytes) -> Bytes {
        data
    }

    async fn say(&self, text: String) -> String {
        text
    }

    #[allow(clippy::print_stdout, reason = "stdout is what is looked at")]
    async fn print(&self, text: String) {
        println!("{text}");
        print!("{text}, and no line end; ");
    }

    async fn complain(&self, lines: u64) {
        let mut stderr = std::io::stderr().lock();
        for line in 0..lines {
            writeln!(stderr, "{line:063}").expect("somebody reads stderr");
        }
    }

    async fn call_back(&self, times: u64, back: Callback<Bytes, u64>) -> u64 {
        let mut total = 0;
        for _ in 0..times {
            let data = Bytes::from(vec![7; 100_000]);
            total += back.call(data).await.unwrap_or(0);
        }
        total
    }

    async fn hang(&self) {
        std::future::pending::<()>().await;
    }

    async fn kinds(&self, cx: &Context) -> (String, String) {
        let peer = cx.peer();
        let kind = |name| {
            let kind = peer.evidence().text(EvidenceKey::new(name));
            kind.unwrap_or_default().to_owned()
        };
        (kind("stdin"), kind("stdout"))
    }

    async fn take_again(&self) -> String {
        match mynah::stdio::OwnStdio::take() {
            Ok(_) => "taken twice".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[allow(clippy::exit, reason = "the process is what is looked at")]
    async fn exit(&self, status: i32) {
        std::process::exit(status);
    }
}
