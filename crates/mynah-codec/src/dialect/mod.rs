//! Whole wires, one module each.

pub mod cbor_rpc;
pub mod jsonrpc;
pub mod kollabor;
mod lines;
mod members;
pub mod native;
mod shown;

use crate::Wire;
use mynah_protocol::Limits;
use std::fmt;

/// Which side of a connection a wire is for. Only the handshake of some wires tells the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that opened the connection.
    Dial,
    /// The side that accepted it.
    Accept,
}

/// A dialect as it is chosen: makes one [`Wire`] for each connection.
pub trait Dialect: Send + Sync + fmt::Debug + 'static {
    /// Its name: `native`, `cbor-rpc`, …
    fn name(&self) -> &'static str;

    /// The wire of one connection.
    fn wire(&self, side: Side, limits: &Limits) -> Box<dyn Wire>;

    /// A copy behind a pointer.
    fn clone_box(&self) -> Box<dyn Dialect>;

    /// The limits of a connection for which the program sets none.
    fn limits(&self) -> Limits {
        Limits::DEFAULT
    }

    /// The options of a URL that choose it, `dialect=cbor-rpc&format=json`; empty for what is spoken without any.
    fn options(&self) -> String {
        format!("dialect={}", self.name())
    }
}

impl Dialect for Box<dyn Dialect> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn wire(&self, side: Side, limits: &Limits) -> Box<dyn Wire> {
        (**self).wire(side, limits)
    }

    fn clone_box(&self) -> Box<dyn Dialect> {
        (**self).clone_box()
    }

    fn limits(&self) -> Limits {
        (**self).limits()
    }

    fn options(&self) -> String {
        (**self).options()
    }
}
