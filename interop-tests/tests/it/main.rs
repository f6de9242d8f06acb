//! Mynah and the real peers of other languages, face to face. `cargo xtask test` sets up what these tests need.
#![allow(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

mod cbor_rpc_client;
mod cbor_rpc_server;
mod cbor_rpc_wire;
mod harness;
mod service;
mod transcript;
