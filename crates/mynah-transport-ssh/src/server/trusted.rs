//! Files that decide who is let in and who the server is. They are opened first and looked at then, so that what is
//! looked at is what is read; an error says which path it is about, what is wrong with it, and how to mend it.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Opens a regular file. A FIFO in its place holds nobody up.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| at(path, error.kind(), &error.to_string()))?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(denied(path, "no file"));
    }
    Ok((file, facts))
}

/// That nobody but root and the user of this process can change the file, or put another one in its place.
pub(super) fn unchanged_by_others(path: &Path, facts: &Metadata) -> io::Result<()> {
    check(path, facts, "")?;
    for directory in directories(path)? {
        let facts = std::fs::metadata(&directory)
            .map_err(|error| at(&directory, error.kind(), &error.to_string()))?;
        let what = format!("the directory of {}, ", path.display());
        check(&directory, &facts, &what)?;
    }
    Ok(())
}

/// That nobody but its owner can read the file or change it.
pub(super) fn private(path: &Path, facts: &Metadata) -> io::Result<()> {
    let mode = facts.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let what = format!(
        "others may read or write it (mode {mode:04o}): chmod 600 {}",
        path.display()
    );
    Err(denied(path, &what))
}

/// Where the name stands, and where what it leads to stands.
fn directories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        None => PathBuf::from("/"),
    };
    let real = path
        .canonicalize()
        .map_err(|error| at(path, error.kind(), &error.to_string()))?;
    let (named, real) = (parent(path), parent(&real));
    let same = named.canonicalize().is_ok_and(|named| named == real);
    Ok(if same { vec![named] } else { vec![named, real] })
}

fn check(path: &Path, facts: &Metadata, which: &str) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    match fault(facts.uid(), facts.mode(), own) {
        None => Ok(()),
        Some(Fault::Mode(mode)) => {
            let shown = path.display();
            let what = format!("{which}others may write it (mode {mode:04o}): chmod go-w {shown}");
            Err(denied(path, &what))
        }
        Some(Fault::Owner(uid)) => {
            let shown = path.display();
            let what = format!(
                "{which}it belongs to the user with number {uid}, neither root nor the user of this process: chown {own} {shown}"
            );
            Err(denied(path, &what))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Others may write it: its mode.
    Mode(u32),
    /// It belongs to somebody else: whom.
    Owner(u32),
}

/// Who may write there, besides root and `own`. A directory in which all may make files but remove only their own
/// (mode 1777) is refused too: a name that is free for a moment is anybody's.
const fn fault(uid: u32, mode: u32, own: u32) -> Option<Fault> {
    if mode & 0o022 != 0 {
        Some(Fault::Mode(mode & 0o7777))
    } else if uid != 0 && uid != own {
        Some(Fault::Owner(uid))
    } else {
        None
    }
}

fn denied(path: &Path, what: &str) -> io::Error {
    at(path, io::ErrorKind::PermissionDenied, what)
}

fn at(path: &Path, kind: io::ErrorKind, what: &str) -> io::Error {
    io::Error::new(kind, format!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests;
