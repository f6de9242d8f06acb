//! What the checks stand on: Python processes held by their handle, a recording proxy, a scripted connection, and a
//! bound on everything that is waited for.

mod process;
mod proxy;
mod python;
mod raw;
mod rust;

pub(crate) use interop_tests::python::within;
pub(crate) use process::{ServerProcess, read_to_end};
pub(crate) use proxy::Recorder;
pub(crate) use python::{
    Codec, PythonServer, Venv, run_client, run_client_at, run_client_with, run_parent, run_script,
    worker,
};
pub(crate) use raw::Raw;
pub(crate) use rust::{RustClient, RustServer};

use std::time::Duration;

/// Waits until something at the other end has happened, bounded.
pub(crate) async fn eventually(what: &str, happened: impl Fn() -> bool) {
    let looks = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, looks).await;
}

/// The vectors of the wire.
pub(crate) fn vectors() -> Vec<serde_json::Value> {
    let file = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/vectors/cbor-rpc.json"
    ));
    let file: serde_json::Value = serde_json::from_str(file).expect("the vectors are JSON");
    file["vectors"].as_array().expect("a list").clone()
}

/// Bytes of a hex text; spaces do not count.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|digit| u8::try_from(digit.to_digit(16).expect("a hex digit")).expect("below 16"))
        .collect();
    assert!(digits.len().is_multiple_of(2), "hex text of odd length");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Bytes as hex, for messages.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
