//! The keys with which a server shows who it is.

use super::trusted;
use crate::identity::{FILE_BYTES, decode};
use mynah_protocol::{TransportError, TransportErrorKind};
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Reads a host key; one that does not exist is made.
pub(super) async fn load(path: &Path) -> Result<PrivateKey, TransportError> {
    let failed = |kind, what: &str| {
        TransportError::new(kind, format!("host key {}: {what}", path.display()))
    };
    let made = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || make_unless_there(&path)).await
    };
    match made {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(failed(TransportErrorKind::Denied, "it cannot be made").with_source(error));
        }
        Err(error) => {
            return Err(failed(TransportErrorKind::Other, "interrupted").with_source(error));
        }
    }
    let read = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || read_private(&path)).await
    };
    let text = match read {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            let what = format!("host key {error}");
            return Err(TransportError::new(TransportErrorKind::Denied, what));
        }
        Err(error) => {
            return Err(failed(TransportErrorKind::Other, "interrupted").with_source(error));
        }
    };
    decode(&text, None, &format!("host key {}", path.display()))
}

/// Reads a file that is its owner's alone.
fn read_private(path: &Path) -> io::Result<String> {
    let (file, facts) = trusted::open(path)?;
    trusted::private(path, &facts)?;
    let mut text = String::new();
    file.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Makes a key, complete and for its owner alone before it has its name.
///
/// Two that make it at once agree on one: a name is given to a file that is whole, and never taken from another.
fn make_unless_there(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let random = SystemRandom::new();
    let failed = |what: &str| io::Error::other(what.to_owned());
    let mut seed = [0; 32];
    let mut number = [0; 8];
    random
        .fill(&mut seed)
        .and_then(|()| random.fill(&mut number))
        .map_err(|_error| failed("no random bytes"))?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let text = key
        .to_openssh(LineEnding::LF)
        .map_err(|error| failed(&format!("the key cannot be written: {error}")))?;
    let whole = Temporary(beside(path, u64::from_le_bytes(number)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&whole.0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    match std::fs::hard_link(&whole.0, path) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn beside(path: &Path, number: u64) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{number:016x}.new"));
    path.with_file_name(name)
}

/// A file that is removed, whatever happens.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // One that was not made is not removed either.
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests;
