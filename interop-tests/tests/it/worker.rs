//! The contract of a worker whose methods do to their process what a worker should not do.

use mynah::{Bytes, Callback, Context};

/// What the tests of stdio ask of a worker.
#[mynah::service(name = "worker")]
pub(crate) trait Worker {
    /// The same bytes.
    async fn echo(&self, data: Bytes) -> Bytes;
    /// The same text.
    async fn say(&self, text: String) -> String;
    /// Prints to stdout, with and without a line end.
    async fn print(&self, text: String);
    /// Writes so many lines of 63 digits to stderr.
    async fn complain(&self, lines: u64);
    /// Calls back that often.
    async fn call_back(&self, times: u64, back: Callback<Bytes, u64>) -> u64;
    /// Never ends.
    async fn hang(&self);
    /// What stdin and stdout are.
    async fn kinds(&self, cx: &Context) -> (String, String);
    /// What a second attempt to take stdin and stdout says.
    async fn take_again(&self) -> String;
    /// Ends the process.
    async fn exit(&self, status: i32);
}
