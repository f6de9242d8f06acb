//! The keys with which a server shows who it is.

use crate::identity::read_key;
use mynah_protocol::{TransportError, TransportErrorKind};
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
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
    let mode = tokio::fs::metadata(path).await?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!(
            "others may read or write it (mode {:04o}): make it 0600",
            mode & 0o7777
        );
        return Err(failed(TransportErrorKind::Denied, &what));
    }
    let key = read_key(path, None).await?;
    if key.algorithm().is_rsa() || key.algorithm().is_dsa() {
        let what = "of a type that is not spoken: Ed25519 and ECDSA are";
        return Err(failed(TransportErrorKind::Denied, what));
    }
    Ok(key)
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
