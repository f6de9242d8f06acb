//! The side that dials.

mod dial;
mod handler;
mod login;
mod options;
mod preamble;
mod start;
mod stream;
mod supervise;

pub use dial::SshDialer;
pub use options::{KeyExchange, SshOptions, StopTimes};
pub use start::{Remote, SshAddress};
pub use stream::{SshHandle, SshStream};
