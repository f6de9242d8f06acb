//! What every transport must do, with a child process in between: it passes on what it reads from its stdin to a named
//! pipe, and what it reads from another to its stdout.
#![cfg(unix)]

use mynah_protocol::{Accepted, Evidence, EvidenceKey, TransportError};
use mynah_testkit::transport::ByteTransport;
use mynah_transport_stdio::{ChildProcess, Program, StopTimes};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// What the child does: `$1` is read and goes to its stdout, its stdin goes to `$2`. Each way ends by itself.
const SCRIPT: &str = r#"
exec 3<"$1" 4>"$2"
echo >&4
cat <&3 4>&- &
exec 1>&- 3<&-
cat >&4
exec 4>&- 0<&-
wait
"#;

/// The far side: both named pipes.
struct Pipes {
    from_child: pipe::Receiver,
    /// `None`: it was shut down.
    to_child: Option<pipe::Sender>,
}

impl AsyncRead for Pipes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.from_child).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.to_child {
            Some(sender) => Pin::new(sender).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to_child = None;
        Poll::Ready(Ok(()))
    }
}

async fn open() -> Result<(Accepted<ChildProcess>, Accepted<Pipes>), TransportError> {
    let directory = tempfile::tempdir()?;
    let [back, there] = ["back", "there"].map(|name| directory.path().join(name));
    for path in [&back, &there] {
        let made = mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        made.map_err(io::Error::from)?;
    }
    let mut from_child = pipe::OpenOptions::new().open_receiver(&there)?;
    // A pipe that nobody reads cannot be opened for writing: somebody does until the child does.
    let stand_in = pipe::OpenOptions::new().open_receiver(&back)?;
    let to_child = pipe::OpenOptions::new().open_sender(&back)?;
    // What the child passes on when nobody reads it any more goes on until it is told to end.
    let times = StopTimes::default()
        .with_after_eof(Duration::from_millis(100))
        .with_after_term(Duration::from_millis(100));
    let near = Program::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(&back)
        .arg(&there)
        .stop_times(times)
        .spawn()?;
    // The child has both pipes.
    from_child.read_u8().await?;
    drop(stand_in);
    let far = Accepted {
        connection: Pipes {
            from_child,
            to_child: Some(to_child),
        },
        evidence: Evidence::new().with(EvidenceKey::TRANSPORT, "stdio"),
    };
    Ok((near, far))
}

mynah_testkit::transport_suite! { bytes paired stdio => ByteTransport::paired("stdio", open) }
