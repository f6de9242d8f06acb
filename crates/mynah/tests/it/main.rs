//! Integration tests of the facade: one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accepting;
mod callbacks;
mod cancel;
mod carrier;
mod credit;
mod crossing;
mod deadlines;
mod deadlock;
mod draining;
mod ends;
mod errors;
mod events;
mod floods;
mod flow;
mod handlers;
mod inputs;
mod intercept;
mod large;
mod limits;
mod memory;
mod panics;
mod points;
mod probe;
mod reconnect;
mod serving;
mod side_lines;
mod sides;
mod spans;
mod storm;
mod streams;
mod support;
mod traps;
mod ui;
mod unasked;
mod versions;
