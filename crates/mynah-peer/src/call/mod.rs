//! Calls as a program makes them.

mod again;
mod builder;
mod by_name;
mod caller;
mod delegate;
mod future;
mod notify;
mod watch;

pub use again::Attempt;
pub use builder::Call;
pub use by_name::{CallBuilder, CallerExt};
pub use caller::{
    Attachments, Caller, OutgoingCall, ResultStream, ServiceClient, SideEffects, Ticket, WireFormat,
};
pub(crate) use delegate::delegate_to;
pub use future::CallFuture;
pub use notify::Notify;

pub(crate) use again::Again;
pub(crate) use builder::Listeners;
pub(crate) use caller::CallOptions;
pub(crate) use watch::Watch;
