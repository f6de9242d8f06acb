//! Typed messages over async bytes, without RPC. With the feature `io`.

mod error;
mod pipe;

pub use error::PipeError;
pub use pipe::Pipe;

use crate::Format;
use crate::framing::Framing;

/// Makes any async bytes a stream and a sink of typed messages: `framing` cuts the bytes into messages, `format` says each.
///
/// What is read is of type `In`, what is written of type `Out`, by default the same. The limits on values are
/// [`DecodeLimits::DEFAULT`](mynah_protocol::DecodeLimits::DEFAULT), see [`Pipe::with_limits`].
#[must_use]
pub fn pipe<IO, F: Framing, In, Out>(io: IO, framing: F, format: Format) -> Pipe<IO, F, In, Out> {
    Pipe::new(io, framing, format)
}

#[cfg(test)]
mod tests;
