//! Events: published under a topic, and heard by whoever subscribed.

mod hub;
mod listen;
mod queue;
mod serve;
mod subscribe;

pub use hub::{Events, Published};
pub(crate) use listen::Listeners;
pub use queue::Lag;
pub(crate) use queue::Queue;
pub(crate) use serve::built_in;
pub(crate) use subscribe::{Near, Origin};
pub use subscribe::{Subscribe, Subscription};
