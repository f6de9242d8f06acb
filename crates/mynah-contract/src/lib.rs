//! Contracts as values: what a service offers, its manifest, and what a change of it breaks.
//!
//! A [`Contract`] lists the methods and events of a service: names, kinds, params in their order, defaults, docs, and
//! where they are known the shapes of what travels, as JSON Schema. It is what `#[service]` yields, and it can be
//! written by hand with the same entries. A [`Manifest`] holds several, as stable JSON with one hash for each method;
//! [`Comparison`] says of two manifests whether programs of the one still understand programs of the other, and names the
//! field and the reason where they do not. A [`Validator`] says of the values of a call whether
//! they are what the contract says. [`openrpc`] and [`clamator`] write a manifest in the words of others.
//!
//! What it is not: it opens no file and no connection, reads no clock, and knows no wire. What it reads may come from a
//! peer: sizes, depths and the work that is done on them are bounded.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::get_unwrap,
    clippy::panic,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::allow_attributes_without_reason
)]

pub mod clamator;
mod compare;
mod contract;
mod definitions;
mod error;
mod fault;
#[cfg(feature = "schema")]
mod generated;
mod hash;
pub mod json;
mod manifest;
mod method;
pub mod openrpc;
mod schema;
mod shape;
mod validator;

pub use compare::{Change, Comparison, Reason, Verdict};
pub use contract::{Contract, Event};
pub use error::ContractError;
pub use fault::{Fault, Step};
#[cfg(feature = "schema")]
pub use generated::{received, sent};
pub use hash::Hash;
pub use manifest::Manifest;
pub use method::{ErrorEntry, Method, MethodKind, Param, ParamKind, ParamsForm};
pub use schema::Schema;
pub use validator::{Unchecked, Validator};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
