//! What a carrier knows of a request on its way.
//!
//! A carrier with a broker in it outlives the peers behind it: a request may wait to be written, or get lost, while the
//! connection goes on. It says so with [`Envelope::Delivery`](crate::Envelope::Delivery), to its own side only.

use crate::WireId;

/// What a carrier knows of a request of its own side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The call.
    pub id: WireId,
    /// How its request stands.
    pub status: DeliveryStatus,
}

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryStatus {
    /// It was written, as far as is known. So every request begins.
    Written,
    /// It waits to be written. If the deadline of the call passes meanwhile, nothing was sent.
    Waits,
    /// It was written, or was not: nobody can know. If nothing is heard by the deadline of the call, its outcome is
    /// indeterminate.
    Doubtful,
    /// The call ends now, without an answer.
    Failed(Undelivered),
}

/// Why a call ends without an answer while the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undelivered {
    /// Nobody took it, and nothing has run. It may be made again.
    Busy,
    /// It was not written. It may be made again.
    NotWritten,
    /// Whoever is there cannot take such a call, and nothing has run: what they lack.
    Unsupported(&'static str),
    /// Whether it was written is not known.
    Doubtful,
    /// Whoever had it is gone. It may have run.
    PeerGone,
    /// Whoever had it went away and did not finish it in time. It may have run.
    Drained,
    /// Whoever has it broke the protocol: how. It may have run.
    Violation(&'static str),
}
