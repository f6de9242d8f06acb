//! The calling side.

mod asked;
mod beat;
mod call;
mod core;
mod dial;
mod events;
mod formats;
mod given;
mod hear;
mod offers;
mod publish;
mod replies;
mod route;
mod say;
mod served;
mod sessions;
mod state;
mod table;
mod transport;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use dial::check_options;
pub(crate) use transport::{profile, session_profile};

pub use dial::RedisDialer;
pub use transport::RedisClient;
