//! Events: published under a topic, and heard by whoever subscribed; and what else a peer says without being asked.

mod hear;
mod hub;
mod listen;
mod logs;
mod push;
mod queue;
mod serve;
mod subscribe;
mod subscription;
mod wait;

/// The topic that is all of them: its messages are pairs of a topic and a message. Nothing is published under it.
pub(crate) const ALL_TOPICS: &str = "*";

pub(crate) use hear::Hearers;
pub use hub::{Events, Published};
pub use listen::EarlyListeners;
pub(crate) use listen::Listeners;
pub(crate) use logs::stderr_content;
pub use logs::{LogLine, Logs};
pub use queue::Lag;
pub(crate) use queue::Queue;
pub(crate) use serve::{Holder, Lease, built_in};
pub use subscribe::Subscribe;
pub use subscription::Subscription;
pub(crate) use subscription::{Near, Origin, message};
pub use wait::WaitFor;
