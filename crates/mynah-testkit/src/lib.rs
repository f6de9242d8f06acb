//! Conformance suites for transports and dialects of Mynah, and pairs of peers with virtual time and faults.
//!
//! For whoever writes a transport or a dialect: one line, and every case of the suite is a test.
//!
//! - [`transport_suite!`]: bytes or envelopes, dialled or in pairs; see [`transport`].
//! - [`dialect_suite!`]: any [`Dialect`](mynah_codec::Dialect); see [`dialect`].
//!
//! For whoever writes a service and wants to know what it does when the line is slow, chopped or cut:
//!
//! - [`Pair`]: two peers connected in memory, over a real wire.
//! - [`Simulation`]: one test for many seeds, under a stopped clock; a failure names its seed.
//! - [`fault`]: weather on a stream of bytes or a carrier of envelopes, cuts at every frame.
//! - [`redis`]: a real redis-server, a Cluster, a Sentinel pair, behind the feature `redis-server`.
//!
//! This crate is a dev-dependency wherever it is used: it switches tokio's virtual time on.
//!
//! What it is not: it compares no bytes with other implementations (golden vectors and interop tests do) and finds no
//! inputs by coverage (fuzzing does).

pub mod dialect;
mod dice;
mod failure;
pub mod fault;
mod macros;
mod pair;
#[cfg(all(feature = "redis-server", unix))]
pub mod redis;
mod report;
mod simulation;
pub mod transport;

mod calls;

pub use dice::Dice;
pub use failure::{Failure, Shown};
pub use pair::{Pair, PairBuilder};
pub use simulation::{Hangs, Simulation, seed_of_environment, within};

/// What the suites' macros refer to. Not for programs: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::report::{
        run_byte_calls, run_bytes, run_dialect, run_dialect_calls, run_envelope_calls,
        run_envelopes, run_group, run_group_calls, run_group_moot,
    };
    pub use mynah_codec::Dialect;
    use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};
    use mynah_codec::dialect::jsonrpc::JsonRpc;
    use mynah_codec::dialect::kollabor::Kollabor;
    use mynah_codec::dialect::native::Native;

    #[must_use]
    pub const fn native_cbor() -> Native {
        Native::new()
    }

    #[must_use]
    pub const fn native_json() -> Native {
        Native::json()
    }

    #[must_use]
    pub const fn native_messagepack() -> Native {
        Native::messagepack()
    }

    #[must_use]
    pub fn cbor_rpc_cbor() -> CborRpc {
        CborRpc::cbor()
    }

    #[must_use]
    pub fn cbor_rpc_json() -> CborRpc {
        CborRpc::json(Padding::Newline)
    }

    #[must_use]
    pub const fn jsonrpc() -> JsonRpc {
        JsonRpc::standard()
    }

    #[must_use]
    pub const fn kollabor() -> Kollabor {
        Kollabor::new()
    }
}

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
