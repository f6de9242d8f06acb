//! Methods that are registered by hand: what handlers may take and give, methods that come and go, what is checked
//! beside types, calls without a connection.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod ambiguous;
mod contracted;
mod direct;
mod export;
mod fallback;
mod notifications;
mod outcome;
mod running;
mod shapes;
mod state;
#[path = "../it/support.rs"]
mod support;
mod ui;
mod validation;
