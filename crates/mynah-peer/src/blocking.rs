//! Synchronous programs: clients and servers without a runtime in the program, and handlers that block.
//!
//! Whatever an async program awaits, a synchronous one waits for: a call of a client through a [`Peer`] of this module is
//! made with `.wait()` in the place of `.await`, results of a stream are an iterator, and what is passed as a stream is
//! anything that can be iterated.
//!
//! ```text
//!   a thread waits ──▶ it drives the connection itself: reads, writes, runs what the other side calls
//!   several wait   ──▶ one of them drives, the others sleep; when it has what it waits for, the next one drives
//!   none waits     ──▶ after a moment a thread of the connection's own drives, until one waits again
//! ```
//!
//! Callbacks and iterators that were passed with a call run on the thread that waits for that call, outside of whatever
//! drives the connection: they may block, and make calls of their own.

mod caretaker;
mod context;
mod desk;
mod direct;
mod feed;
mod iter;
mod peer;
mod pool;
mod runner;
mod server;
mod stream;
mod wait;

pub(crate) use direct::spawn as spawn_connection;
pub(crate) use feed::{BoxStream, Feed};
pub use feed::{FromIterator, FromStream, Input, IntoInput};
#[doc(hidden)]
pub use iter::Fallible;
pub use iter::Iter;
pub use peer::Peer;
pub use pool::BlockingPool;
pub(crate) use pool::PoolFull;
pub use server::{Server, ServerHandle};
pub use stream::{Blocked, stream};

use mynah_protocol::RpcError;
use std::future::{Ready, ready};

/// A plain function as a callback that is asked for something.
///
/// A method of a client takes a function that returns a future for a `Callback<A, R>`. In a synchronous program the
/// function has its answer when it returns: `client.review(docs, blocking::answer(|doc: Doc| Ok(doc.is_good())))`.
pub fn answer<A, R>(
    function: impl Fn(A) -> Result<R, RpcError> + Send + Sync + 'static,
) -> impl Fn(A) -> Ready<Result<R, RpcError>> + Send + Sync + 'static {
    move |value| ready(function(value))
}
