//! What the fuzz targets hold true of any bytes.
//!
//! Each target is a function here, so that the files of `regressions/` go through the very same
//! code in normal tests. A property that breaks is a panic.

mod any;
mod connection;
mod contracts;
mod framing;
mod mutate;
mod value;
mod wire;

use any::Any;
use mynah_codec::{DecodeError, DecodeErrorKind, Format};
use mynah_protocol::DecodeLimits;
use serde::de::IgnoredAny;

pub use connection::connection;
pub use contracts::contracts;
pub use framing::framing;
pub use mutate::{Grain, Random, mutate};
pub use value::value_conversion;
pub use wire::{
    cbor_rpc as cbor_rpc_wire, jsonrpc as jsonrpc_wire, kollabor as kollabor_wire,
    native as native_wire,
};

/// A property of any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name in the manifest.
    pub name: &'static str,
    /// What it does with its input.
    pub run: fn(&[u8]),
    /// What its inputs are made of.
    pub grain: Grain,
}

const fn target(name: &'static str, run: fn(&[u8]), grain: Grain) -> Target {
    Target { name, run, grain }
}

/// All of them, under the names of the manifest.
pub const TARGETS: &[Target] = &[
    target("cbor_scan_decode", cbor_scan_decode, Grain::Bytes(0)),
    target("json_scan_decode", json_scan_decode, Grain::Bytes(0)),
    target("msgpack_scan_decode", msgpack_scan_decode, Grain::Bytes(0)),
    target("value_conversion", value_conversion, Grain::Bytes(1)),
    target("framing", framing, Grain::Bytes(2)),
    target("native_wire", wire::native, Grain::Frames(2)),
    target("cbor_rpc_wire", wire::cbor_rpc, Grain::Bytes(2)),
    target("jsonrpc_wire", wire::jsonrpc, Grain::Bytes(2)),
    target("kollabor_wire", wire::kollabor, Grain::Bytes(2)),
    target("contracts", contracts, Grain::Bytes(1)),
    target("connection", connection, Grain::Steps(0)),
    target("connection_pair", connection_pair, Grain::Steps(12)),
];

/// CBOR: the scan and the decoder agree, and what was decoded survives a round trip.
pub fn cbor_scan_decode(bytes: &[u8]) {
    scan_decode(Format::Cbor, bytes);
}

/// JSON: the scan and the decoder agree, and what was decoded survives a round trip.
pub fn json_scan_decode(bytes: &[u8]) {
    scan_decode(Format::Json, bytes);
}

/// MessagePack: the scan and the decoder agree, and what was decoded survives a round trip.
pub fn msgpack_scan_decode(bytes: &[u8]) {
    scan_decode(Format::MessagePack, bytes);
}

/// Two connections and all that lies between them do what a model of each says, whatever their programs do.
pub fn connection_pair(bytes: &[u8]) {
    mynah_connection::two_connections(bytes);
}

fn scan_decode(format: Format, bytes: &[u8]) {
    let limits = DecodeLimits::DEFAULT;
    let scanned = format.scan(bytes, &limits);
    let ignored = format.decode::<IgnoredAny>(bytes, &limits);
    let decoded = format.decode::<Any>(bytes, &limits);

    assert_eq!(
        scanned.is_ok(),
        ignored.is_ok(),
        "scan {scanned:?}, skipping {:?}",
        ignored.err()
    );
    // A value of no Rust type, such as a JSON number beyond every float, is well-formed and still
    // not decoded; that verdict says nothing about the bytes.
    let is_shape = |error: &DecodeError| error.kind() == DecodeErrorKind::Shape;
    if !decoded.as_ref().is_err_and(is_shape) {
        assert_eq!(
            scanned.is_ok(),
            decoded.is_ok(),
            "scan {scanned:?}, decoding {:?}",
            decoded.err()
        );
    }

    let Ok(decoded) = decoded else { return };
    let first = encode(format, &decoded);
    match format.scan(&first, &limits) {
        Ok(()) => {}
        // Two keys can differ on the wire and be one value here: null and undefined, or a number
        // with and without a tag.
        Err(error) if error.kind() == DecodeErrorKind::DuplicateKey => return,
        Err(error) => panic!("our own bytes are refused: {error:?}"),
    }
    let again = match format.decode::<Any>(&first, &limits) {
        Ok(again) => again,
        Err(error) => panic!("our own bytes are not decoded: {error:?}"),
    };
    // Bytes are compared instead of values, because a NaN is not equal to itself.
    assert_eq!(
        first,
        encode(format, &again),
        "{decoded:?} became {again:?}"
    );
}

fn encode(format: Format, value: &Any) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format.encode(value, &mut bytes) {
        Ok(()) => bytes,
        Err(error) => panic!("{value:?} was decoded and cannot be encoded: {error:?}"),
    }
}
