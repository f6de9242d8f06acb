//! The calling side.

mod asked;
mod call;
mod core;
mod dial;
mod replies;
mod served;
mod transport;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use dial::check_instance;
pub(crate) use replies::SILENCE;
pub(crate) use transport::profile;

pub use dial::RedisDialer;
pub use transport::RedisClient;
