//! Wires of lines, from the outside: what is skipped is seen, who has ended its direction is answered, and the examples of
//! section 7 of JSON-RPC 2.0 are answered as they stand there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets what it does not expect ends there"
)]

mod half_closed;
mod section_7;
