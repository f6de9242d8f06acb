//! Opens and accepts connections by URL.
//!
//! `tcp://host:port` with `?dialect=native|cbor-rpc` and `&format=cbor|json|messagepack`
//! (MessagePack in the native dialect only), and `memory:NAME`.

mod url;

pub use url::{Endpoint, EndpointError, Place};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
