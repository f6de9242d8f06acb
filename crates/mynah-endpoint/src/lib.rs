//! Opens and accepts connections by URL.
//!
//! `tcp://host:port` and `memory:NAME`, with options behind a `?`: [`Endpoint`] lists them.

mod url;

pub use url::{Endpoint, EndpointError, Place};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
