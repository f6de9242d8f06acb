//! A real redis-server for tests: alone, as a Cluster of three, or as a pair under Sentinels; on loopback, in a folder of
//! its own that goes with it.
//!
//! Every process is ended when its handle is dropped. A program that is missing is an error that says what to install.
//!
//! Shape: a handle is not `Clone`; share it by reference or in an `Arc`. Nothing of the machine's own configuration is read.

mod cluster;
mod reply;
mod sentinel;
mod server;

pub use cluster::RedisCluster;
pub use reply::Reply;
pub use sentinel::RedisSentinel;
pub use server::{AppendOnly, RedisOptions, RedisServer};

use std::future::Future;
use std::io;
use std::time::Duration;

/// How long a server may take to come up, or a cluster to agree: a bound, no measure.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until it holds.
async fn until<F>(what: &str, mut holds: impl FnMut() -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<bool>>,
{
    let looks = async {
        loop {
            match holds().await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looks).await {
        Ok(ended) => ended,
        Err(_elapsed) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{what}: not within {} s", PATIENCE.as_secs()),
        )),
    }
}

/// What a server that is coming up or going down answers with.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotFound
    )
}

/// Something was answered that is not what was asked for.
fn unexpected(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
