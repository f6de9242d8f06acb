//! A child process as a peer.

mod exit;
mod process;
mod program;
mod stderr;
mod stream;

pub use exit::ChildExit;
pub use process::StopTimes;
pub use program::{ProcessGroup, Program, StderrMode};
pub use stderr::StderrLines;
pub use stream::{ChildHandle, ChildProcess};
