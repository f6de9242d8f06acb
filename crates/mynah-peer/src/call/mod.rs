//! Calls as a program makes them.

mod again;
mod builder;
mod caller;
mod future;
mod notify;
mod watch;

pub use again::Attempt;
pub use builder::Call;
pub use caller::{
    Attachments, Caller, OutgoingCall, ResultStream, ServiceClient, SideEffects, Ticket,
};
pub use future::CallFuture;
pub use notify::Notify;

pub(crate) use again::Again;
pub(crate) use builder::Listeners;
pub(crate) use caller::CallOptions;
pub(crate) use watch::Watch;
