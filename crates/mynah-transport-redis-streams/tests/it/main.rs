//! The carrier with a real redis-server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod acl;
mod away;
mod calls;
mod cancel;
mod conformance;
mod deadlines;
mod drains;
mod equals;
mod fleet;
mod formats;
mod killed;
mod offers;
mod operations;
mod outages;
mod presence;
mod recovery;
mod replicas;
mod robust;
mod rules;
mod session_ends;
mod sessions;
mod topics;
mod topology;
mod trims;
