//! What a user proves to be: keys, the agent, a password.

use mynah_protocol::{TransportError, TransportErrorKind};
use russh::keys::PrivateKey;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a user proves to be the one.
#[derive(Clone)]
pub struct Identity {
    pub(crate) proof: Proof,
}

#[derive(Clone)]
pub(crate) enum Proof {
    File(PathBuf, Option<Secret>),
    Key(Arc<PrivateKey>),
    /// `None`: the one that `SSH_AUTH_SOCK` names.
    Agent(Option<PathBuf>),
    Password(Secret),
    PasswordFile(PathBuf),
}

/// A text that no log shows.
#[derive(Clone)]
pub(crate) struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Arc::from(text.into()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl Identity {
    /// A private key in a file (Ed25519 or ECDSA; the formats of OpenSSH, PKCS#8 and SEC 1). It is read at each dial.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            proof: Proof::File(path.into(), None),
        }
    }

    /// The same for a file that a passphrase protects.
    pub fn file_with_passphrase(path: impl Into<PathBuf>, passphrase: impl Into<String>) -> Self {
        Self {
            proof: Proof::File(path.into(), Some(Secret::new(passphrase))),
        }
    }

    /// A private key as text, as it would stand in a file.
    ///
    /// # Errors
    /// [`TransportErrorKind::Denied`] when it is no key that can be used, or the passphrase is missing or wrong.
    pub fn key(text: &str, passphrase: Option<&str>) -> Result<Self, TransportError> {
        Ok(Self {
            proof: Proof::Key(Arc::new(decode(text, passphrase, "the key")?)),
        })
    }

    /// The keys of the agent that `SSH_AUTH_SOCK` names.
    #[must_use]
    pub const fn agent() -> Self {
        Self {
            proof: Proof::Agent(None),
        }
    }

    /// The keys of the agent at a socket.
    pub fn agent_at(socket: impl Into<PathBuf>) -> Self {
        Self {
            proof: Proof::Agent(Some(socket.into())),
        }
    }

    /// A password.
    pub fn password(password: impl Into<String>) -> Self {
        Self {
            proof: Proof::Password(Secret::new(password)),
        }
    }

    /// The password that is the first line of a file. It is read at each dial.
    pub fn password_file(path: impl Into<PathBuf>) -> Self {
        Self {
            proof: Proof::PasswordFile(path.into()),
        }
    }

    /// What `ssh` would try too: the agent when there is one, then `~/.ssh/id_ed25519` and `~/.ssh/id_ecdsa` as far as
    /// they are there and need no passphrase.
    pub(crate) fn usual() -> Vec<Self> {
        let mut usual = Vec::new();
        if std::env::var_os("SSH_AUTH_SOCK").is_some_and(|socket| !socket.is_empty()) {
            usual.push(Self::agent());
        }
        if let Some(home) = std::env::home_dir() {
            let files = ["id_ed25519", "id_ecdsa"].map(|name| home.join(".ssh").join(name));
            usual.extend(
                files
                    .into_iter()
                    .filter(|path| path.exists())
                    .map(Self::file),
            );
        }
        usual
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.proof {
            Proof::File(path, _) => f.debug_tuple("File").field(path).finish(),
            Proof::Key(_) => f.write_str("Key"),
            Proof::Agent(socket) => f.debug_tuple("Agent").field(socket).finish(),
            Proof::Password(_) => f.write_str("Password"),
            Proof::PasswordFile(path) => f.debug_tuple("PasswordFile").field(path).finish(),
        }
    }
}

/// How many bytes of a file with a key or a password are read.
pub(crate) const FILE_BYTES: u64 = 1 << 20;

/// Reads a private key.
pub(crate) async fn read_key(
    path: &Path,
    passphrase: Option<&Secret>,
) -> Result<PrivateKey, TransportError> {
    let text = read_secret(path).await?;
    let (name, passphrase) = (path.display().to_string(), passphrase.cloned());
    // A passphrase is stretched for a good part of a second.
    let decoded = tokio::task::spawn_blocking(move || {
        decode(&text, passphrase.as_ref().map(Secret::reveal), &name)
    });
    decoded.await.map_err(|error| {
        TransportError::new(TransportErrorKind::Other, "reading a key was interrupted")
            .with_source(error)
    })?
}

/// Reads a file that holds something secret.
pub(crate) async fn read_secret(path: &Path) -> Result<String, TransportError> {
    use tokio::io::AsyncReadExt as _;
    let read = async {
        let mut text = String::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(FILE_BYTES).read_to_string(&mut text).await?;
        Ok(text)
    };
    read.await.map_err(|error: std::io::Error| {
        let what = format!("cannot read {}", path.display());
        TransportError::new(TransportErrorKind::Denied, what).with_source(error)
    })
}

/// Makes a key of its text; `name` says whose text it is.
pub(crate) fn decode(
    text: &str,
    passphrase: Option<&str>,
    name: &str,
) -> Result<PrivateKey, TransportError> {
    let fail = |what: String| TransportError::new(TransportErrorKind::Denied, what);
    let key = russh::keys::decode_secret_key(text, passphrase).map_err(|error| {
        let what = match (&error, passphrase) {
            (russh::keys::Error::KeyIsEncrypted, None) => {
                format!("{name} is protected by a passphrase")
            }
            (_, Some(_)) => format!("{name} is no key that can be read with that passphrase"),
            (_, None) => format!("{name} is no private key that can be read"),
        };
        fail(what).with_source(error)
    })?;
    let kind = key.algorithm();
    if !is_spoken(&kind) {
        return Err(fail(format!(
            "{name} is a key of type {kind}: Ed25519 and ECDSA can be used"
        )));
    }
    Ok(key)
}

/// Whether this crate can sign with keys of a type, and check signatures of it.
pub(crate) const fn is_spoken(kind: &russh::keys::Algorithm) -> bool {
    use russh::keys::Algorithm;
    matches!(kind, Algorithm::Ed25519 | Algorithm::Ecdsa { .. })
}

#[cfg(test)]
mod tests;
