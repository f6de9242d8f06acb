//! What every transport must do.
#![cfg(unix)]

use mynah_protocol::{Accepted, Listener, TransportError};
use mynah_testkit::transport::ByteTransport;
use mynah_transport_unix::{UnixDialer, UnixListener, UnixStream};
use std::task::{Context, Poll};
use tempfile::TempDir;

/// A listener, and the directory of its socket.
struct InDirectory(
    UnixListener,
    #[allow(dead_code, reason = "removed with it")] TempDir,
);

impl Listener for InDirectory {
    type Connection = UnixStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<UnixStream>, TransportError>>> {
        self.0.poll_accept(cx)
    }

    fn address(&self) -> String {
        self.0.address()
    }
}

mynah_testkit::transport_suite! {
    bytes dialled unix => ByteTransport::dialled("unix", || async {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(path.as_path())?;
        Ok((InDirectory(listener, directory), UnixDialer::new(path)))
    })
}
