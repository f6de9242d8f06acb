//! Mynah and the real peers of other languages, face to face. `cargo xtask test` sets up what these tests need.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that meets what it does not expect ends there, helpers included; one that measures says what"
)]

mod cbor_rpc_client;
mod cbor_rpc_server;
mod cbor_rpc_stdio;
mod cbor_rpc_wire;
mod floods;
mod harness;
mod native_python;
mod native_vectors;
mod service;
mod stdio;
mod transcript;
mod unix;
mod worker;
