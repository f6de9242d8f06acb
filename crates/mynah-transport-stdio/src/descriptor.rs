//! Inherited file descriptors of any kind, read and written without waiting and without a change of their flags.

use crate::thread::{ThreadReader, ThreadWriter};
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead as _, Interest, ReadBuf};

/// Bytes that are read at once, at most: what a pipe holds unless somebody makes it larger.
const READ_BYTES: usize = 64 << 10;

/// What a file descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pipe,
    Socket,
    /// A terminal, `/dev/null`, …
    Device,
    /// A file, and whatever else there is.
    File,
}

impl Kind {
    pub(crate) fn of(fd: impl AsFd) -> io::Result<Self> {
        Ok(match FileType::from_raw_mode(fstat(fd)?.st_mode) {
            FileType::Fifo => Self::Pipe,
            FileType::Socket => Self::Socket,
            FileType::CharacterDevice => Self::Device,
            _ => Self::File,
        })
    }

    /// For people, and for evidence.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Device => "device",
            Self::File => "file",
        }
    }
}

/// The end that is read.
#[derive(Debug)]
pub(crate) enum Input {
    Watched(Watched),
    Thread(ThreadReader),
}

/// The end that is written.
#[derive(Debug)]
pub(crate) enum Output {
    Watched(Watched),
    Thread(ThreadWriter),
}

/// What the runtime watches.
#[derive(Debug)]
pub(crate) struct Watched {
    fd: AsyncFd<OwnedFd>,
    kind: Kind,
}

impl Input {
    pub(crate) fn open(fd: OwnedFd, kind: Kind) -> io::Result<Self> {
        Ok(match Watched::open(fd, kind, Interest::READABLE)? {
            Ok(watched) => Self::Watched(watched),
            Err(fd) => Self::Thread(ThreadReader::start(fd)?),
        })
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Watched(watched) => watched.poll_read(cx, buffer),
            Self::Thread(thread) => Pin::new(thread).poll_read(cx, buffer),
        }
    }
}

impl Output {
    pub(crate) fn open(fd: OwnedFd, kind: Kind) -> io::Result<Self> {
        Ok(match Watched::open(fd, kind, Interest::WRITABLE)? {
            Ok(watched) => Self::Watched(watched),
            Err(fd) => Self::Thread(ThreadWriter::start(fd)?),
        })
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Watched(watched) => watched.poll_write(cx, parts),
            Self::Thread(thread) => thread.poll_write(cx, parts),
        }
    }

    /// Waits until everything has been handed to the system.
    pub(crate) fn poll_flush(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Watched(_) => Poll::Ready(Ok(())),
            Self::Thread(thread) => thread.poll_flush(cx),
        }
    }

    /// Tells the other side that nothing more comes; dropped then, this is closed.
    pub(crate) fn shut_down(&self) {
        if let Self::Watched(Watched {
            fd,
            kind: Kind::Socket,
        }) = self
        {
            // A parent of this process may hold the socket too: closing it here would tell nobody. One that is not
            // connected any more has nobody to tell.
            let _gone = rustix::net::shutdown(fd.get_ref(), Shutdown::Write);
        }
    }
}

impl Watched {
    /// Has the runtime watch it. The inner `Err`: it cannot be watched, and is returned as it was.
    fn open(fd: OwnedFd, kind: Kind, interest: Interest) -> io::Result<Result<Self, OwnedFd>> {
        let own = match kind {
            Kind::Socket => {
                check_stream(&fd)?;
                fd.try_clone()?
            }
            Kind::Pipe | Kind::Device => match reopen(&fd) {
                Ok(own) => own,
                // No /proc, or a terminal that is not ours to open.
                Err(_refused) => return Ok(Err(fd)),
            },
            Kind::File => return Ok(Err(fd)),
        };
        Ok(match watch(own, interest) {
            Ok(fd) => Ok(Self { fd, kind }),
            // Not everything can be watched: /dev/null cannot.
            Err(_refused) => Err(fd),
        })
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut ready = ready!(self.fd.poll_read_ready(cx))?;
            let room = room(buffer);
            let read = ready.try_io(|fd| match self.kind {
                Kind::Socket => {
                    let received = rustix::net::recv(fd, &mut *room, RecvFlags::DONTWAIT);
                    Ok(received.map(|(read, _len)| read)?)
                }
                _ => Ok(rustix::io::read(fd, &mut *room)?),
            });
            match read {
                Ok(Ok(read)) => {
                    // What did not fill the buffer was all there was: the next look need not ask the system. A
                    // terminal gives a line at a time.
                    if read > 0 && read < room.len() && self.kind != Kind::Device {
                        ready.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.fd.poll_write_ready(cx))?;
            let written = ready.try_io(|fd| match self.kind {
                Kind::Socket => {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    let mut none = SendAncillaryBuffer::default();
                    Ok(rustix::net::sendmsg(fd, parts, &mut none, flags)?)
                }
                _ => Ok(rustix::io::writev(fd, parts)?),
            });
            match written {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(written) => return Poll::Ready(written),
                Err(_would_block) => {}
            }
        }
    }
}

/// Room for one read, zeroed: of a buffer for many MiB no more than arrives at once as a rule.
pub(crate) fn room<'b>(buffer: &'b mut ReadBuf<'_>) -> &'b mut [u8] {
    buffer.initialize_unfilled_to(buffer.remaining().min(READ_BYTES))
}

/// The replacement of this is `unsafe`, for the sake of types whose descriptor may change or close under the runtime. An
/// `OwnedFd` has one descriptor, and keeps it open.
#[allow(
    deprecated,
    reason = "sound for an OwnedFd; there is no other safe way to watch a socket whose flags are somebody else's too"
)]
fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

/// The same pipe or device as an open file of its own, whose flags nobody shares.
fn reopen(fd: &OwnedFd) -> io::Result<OwnedFd> {
    let access = fcntl_getfl(fd)? & OFlags::ACCMODE;
    let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn check_stream(fd: &OwnedFd) -> io::Result<()> {
    if rustix::net::sockopt::socket_type(fd)? == rustix::net::SocketType::STREAM {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "a socket of datagrams carries no stream of bytes",
    ))
}
