//! Who has a path.

use crate::listen::socket;
use mynah_protocol::{TransportError, TransportErrorKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use std::ffi::OsString;
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The right of one listener to a path: a lock on the file beside it, held as long as the listener lives.
///
/// Without it there would be a moment between finding a stale socket file and removing it in which another server puts a
/// live one there.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Absolute, so that it is the same file whatever becomes of the working directory.
    path: PathBuf,
    lock_path: PathBuf,
    lock: File,
    /// The socket file that this listener has made.
    made: Option<FileId>,
}

/// Which file it is. The number of a file is given again once the file is gone; so the time of its birth counts too.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    born: Option<SystemTime>,
}

impl From<&Metadata> for FileId {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            born: file.created().ok(),
        }
    }
}

/// Attempts at a lock file that its last holder removes at the same time.
const ATTEMPTS: usize = 16;

impl Claim {
    /// Takes a path, and removes a stale socket file that is there.
    pub(crate) fn on(path: &Path) -> Result<Self, TransportError> {
        let given = path;
        let path = std::path::absolute(given)?;
        let mut lock_path = OsString::from(&path);
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let claim = Self {
            lock: lock(&lock_path)?,
            lock_path,
            path,
            made: None,
        };
        claim.remove_stale(given)?;
        Ok(claim)
    }

    /// Remembers the file that was made.
    pub(crate) fn made_socket(&mut self) -> io::Result<()> {
        self.made = Some(FileId::from(&self.path.symlink_metadata()?));
        Ok(())
    }

    /// `given`: the path as it was given, which an address of a socket has room for.
    fn remove_stale(&self, given: &Path) -> Result<(), TransportError> {
        let file = match self.path.symlink_metadata() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !file.file_type().is_socket() {
            let what = "there is a file that is no socket";
            return Err(TransportError::new(TransportErrorKind::Address, what));
        }
        if !is_stale(given)? {
            return Err(taken());
        }
        // Servers that know nothing of the lock have a moment left, from here to the removal.
        if self.is_there(&FileId::from(&file)) {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    fn is_there(&self, id: &FileId) -> bool {
        let file = self.path.symlink_metadata();
        file.is_ok_and(|file| FileId::from(&file) == *id)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.made.as_ref().is_some_and(|made| self.is_there(made)) {
            // Nobody hears of it when this fails; the next listener finds a stale file.
            std::fs::remove_file(&self.path).unwrap_or_default();
        }
        // Still locked: whoever opens it now finds out that it is not there any more.
        let ours = self.lock.metadata().map(|file| FileId::from(&file));
        let there = self.lock_path.symlink_metadata();
        if ours.is_ok_and(|ours| there.is_ok_and(|there| FileId::from(&there) == ours)) {
            std::fs::remove_file(&self.lock_path).unwrap_or_default();
        }
    }
}

fn taken() -> TransportError {
    TransportError::new(TransportErrorKind::Address, "another server listens there")
}

/// Opens and locks the file, which is there when this returns.
fn lock(path: &Path) -> Result<File, TransportError> {
    let failed = |error: io::Error| {
        let kind = TransportError::from(io::Error::from(error.kind())).kind();
        let what = format!("cannot lock {}", path.display());
        TransportError::new(kind, what).with_source(error)
    };
    for _ in 0..ATTEMPTS {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| failed(error.into()))?;
        let file = File::from(file);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken()),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let locked = FileId::from(&file.metadata().map_err(failed)?);
        match path.symlink_metadata() {
            Ok(there) if FileId::from(&there) == locked => return Ok(file),
            // Its last holder has removed it between the opening and the lock.
            _ => {}
        }
    }
    Err(taken())
}

/// Whether nobody listens on a socket file.
fn is_stale(path: &Path) -> Result<bool, TransportError> {
    let probe = socket()?;
    let name = SocketAddrUnix::new(path).map_err(io::Error::from)?;
    Ok(match rustix::net::connect(&probe, &name) {
        // Gone meanwhile: there is nothing to remove, and nothing in the way.
        Err(Errno::CONNREFUSED | Errno::NOENT) => true,
        // Somebody listens, has too much to do just now, does not let us in, or is of another type.
        _ => false,
    })
}
