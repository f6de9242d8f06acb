//! What is said between two Mynah peers: envelopes, ids, errors, limits, evidence, and the
//! traits that a transport implements.
//!
//! This crate does no I/O, knows no clock, no runtime and no byte format. It is `no_std` with
//! `alloc`; the feature `std` switches on the `std` features of its dependencies and adds nothing else.
//!
//! A stranger's transport depends on this crate alone: a byte transport implements [`Listener`]
//! and [`Dialer`] over any type of connection, a carrier of whole envelopes implements
//! [`Transport`].
//!
//! What it is not: it writes no bytes (`mynah-codec` does) and enforces no rules of a running
//! connection (`mynah-connection` does).
#![no_std]
// Nothing that a peer sends may panic, and no number is narrowed without a word. An exception argues for itself in place.
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

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod allowed;
mod code;
mod delivery;
mod end;
mod envelope;
mod error;
mod evidence;
mod hello;
mod id;
mod limits;
mod metadata;
mod moment;
mod name;
mod offer;
mod outcome;
mod payload;
mod profile;
mod shell_word;
mod side_lines;
mod stream;
mod transport;
pub mod value;

pub use allowed::{AllowedMethods, PatternError};
pub use code::{ErrorCode, RetryClass, Scope};
pub use delivery::{DeliveryReport, DeliveryStatus, Undelivered};
pub use end::{By, EndReason, PeerEnd};
pub use envelope::{
    Cancel, CancelReason, Envelope, Event, GoingAway, Lane, Log, Notification, Progress, Request,
    Response, Within,
};
pub use error::RpcError;
pub use evidence::{Evidence, EvidenceKey};
pub use hello::{Hello, MoreHello, Opaque};
pub use id::{CallId, WireId};
pub use limits::{DecodeLimits, DuplicateKeys, Limits};
pub use metadata::{Metadata, OPERATION_ID};
pub use moment::Moment;
pub use name::{CALLBACK_SERVICE, EVENTS_SERVICE, MethodName, NameError};
pub use offer::{Offer, OfferedService};
pub use outcome::Outcome;
pub use payload::{FormatId, Payload, PayloadBytes, Segment};
pub use profile::{Capabilities, HalfClose, OnTimeout, ParamsShape, Profile, Remote};
pub use shell_word::shell_word;
pub use side_lines::SideLineBuffer;
pub use stream::{Credit, InputEnd, ItemBatch, Items, Stop, StreamSide, Streams, Window};
pub use transport::{
    Accepted, Delivered, Dialer, Inbound, Listener, Outbound, Receipt, Settled, SideLine,
    SideLines, Transport, TransportError, TransportErrorKind,
};
pub use value::Value;

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
