//! Operations: the same call twice, run once.
//!
//! A call with an operation id (metadata [`OPERATION_ID`](mynah_protocol::OPERATION_ID)) leaves a *seal* when it is
//! answered: its arguments, as a digest, and the answer, for a time. The same id with the same arguments is then answered
//! from the seal, whoever gets it; with other arguments it is refused. What is left is the time between a handler's effect
//! and its seal: a server that dies there has done it, and nobody knows. A handler whose effect is in Redis closes it with
//! [`Operations::once`], which commits the effect and the id in one step.
//!
//! Keys: `PREFIX:op:SERVICE:ID`, a hash of `args` and `reply`, and `PREFIX:once:{TAG}:SCOPE:ID`, the replies of an effect.
//! Both go by themselves.

mod digest;
mod effect;
mod operations;
mod seal;

pub(crate) use digest::Digest;
pub use effect::{Committed, Effect, EffectReply};
pub(crate) use operations::MAX_ID;
pub use operations::{OperationError, Operations};
pub(crate) use seal::{Begun, Seals};
