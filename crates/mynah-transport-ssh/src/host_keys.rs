//! Which host keys are accepted.

use crate::known_hosts::{KeyBlob, KnownHosts, Verdict, lookup_name};
use mynah_protocol::{TransportError, TransportErrorKind};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey};
use std::fmt;
use std::path::PathBuf;

/// Which host keys are accepted.
///
/// Whoever answers at an address proves a key; this says whether it is the right one. There is no default that asks
/// nobody: [`known_hosts`](Self::known_hosts) is what a dialer has unless it is told otherwise.
///
/// The files are read at each dial, by the rules of sshd(8): several keys for a host, hashed names, wildcards, negation,
/// ports, `@revoked` and `@cert-authority`. A file that cannot be read, or has a line that is none, is an error and
/// never an empty file.
#[derive(Clone, Debug)]
pub struct HostKeys {
    policy: Policy,
}

#[derive(Clone, Debug)]
enum Policy {
    Files {
        /// `None`: those of the user and of the system, as far as they are there.
        files: Option<Vec<PathBuf>>,
        accept_new: bool,
    },
    Fingerprints(Vec<String>),
    Any,
}

/// What asks for a call that says what it does.
#[derive(Clone, Copy, Debug)]
pub struct DangerousHostKeys(());

impl DangerousHostKeys {
    /// Accepts whatever key the other side has: anybody on the way may be the host, and read and change everything.
    #[must_use]
    pub const fn accept_any(self) -> HostKeys {
        HostKeys {
            policy: Policy::Any,
        }
    }
}

impl Default for HostKeys {
    fn default() -> Self {
        Self::known_hosts()
    }
}

/// How many bytes of a file of host keys are read.
const FILE_BYTES: u64 = 16 << 20;

impl HostKeys {
    /// Those in `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`, one of which must be there.
    #[must_use]
    pub const fn known_hosts() -> Self {
        Self {
            policy: Policy::Files {
                files: None,
                accept_new: false,
            },
        }
    }

    /// Those in files of this format. Each must be there.
    pub fn known_hosts_in(files: impl IntoIterator<Item: Into<PathBuf>>) -> Self {
        Self {
            policy: Policy::Files {
                files: Some(files.into_iter().map(Into::into).collect()),
                accept_new: false,
            },
        }
    }

    /// Accepts the key of a host that no file knows, and adds it to the first file, which is made when it is not there
    /// (mode 0600). A host that is known by another key, be it of another type, or by an authority is refused as before.
    /// Of no effect on [`fingerprints`](Self::fingerprints).
    #[must_use]
    pub fn accept_new(mut self) -> Self {
        if let Policy::Files { accept_new, .. } = &mut self.policy {
            *accept_new = true;
        }
        self
    }

    /// Those with these fingerprints, as `ssh-keygen -l` shows them: `SHA256:` and 43 characters. No file is read.
    pub fn fingerprints(fingerprints: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            policy: Policy::Fingerprints(fingerprints.into_iter().map(Into::into).collect()),
        }
    }

    /// What gives up the check.
    #[must_use]
    pub const fn dangerous() -> DangerousHostKeys {
        DangerousHostKeys(())
    }

    /// Reads what it needs to know.
    pub(crate) async fn load(&self, host: &str, port: u16) -> Result<HostCheck, TransportError> {
        let name = lookup_name(host, port);
        let check = |rule| HostCheck { name, rule };
        match &self.policy {
            Policy::Any => Ok(check(Rule::Any)),
            Policy::Fingerprints(fingerprints) => {
                for fingerprint in fingerprints {
                    if !is_fingerprint(fingerprint) {
                        let what = format!(
                            "\"{}\" is no fingerprint of a host key: SHA256: and 43 characters",
                            fingerprint.escape_debug()
                        );
                        return Err(TransportError::new(TransportErrorKind::Address, what));
                    }
                }
                Ok(check(Rule::Fingerprints(fingerprints.clone())))
            }
            Policy::Files { files, accept_new } => {
                let (known, learn) = read(files.as_deref(), *accept_new).await?;
                Ok(check(Rule::Known {
                    known,
                    learn: accept_new.then_some(learn),
                }))
            }
        }
    }
}

fn is_fingerprint(text: &str) -> bool {
    let hash = text.strip_prefix("SHA256:").unwrap_or_default();
    hash.len() == 43
        && data_encoding::BASE64_NOPAD
            .decode(hash.as_bytes())
            .is_ok_and(|hash| hash.len() == 32)
}

/// The files, and the one to which a key is added.
async fn read(
    files: Option<&[PathBuf]>,
    accept_new: bool,
) -> Result<(KnownHosts, PathBuf), TransportError> {
    let (paths, all) = match files {
        Some(files) => (files.to_vec(), true),
        None => {
            let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
            let user = home.map(|home| home.join(".ssh").join("known_hosts"));
            let system = PathBuf::from("/etc/ssh/ssh_known_hosts");
            (user.into_iter().chain([system]).collect(), false)
        }
    };
    let Some(first) = paths.first().cloned() else {
        let what = "there is no file of known hosts to look into";
        return Err(TransportError::new(TransportErrorKind::Address, what));
    };
    let mut known = KnownHosts::default();
    let mut found = false;
    for (index, path) in paths.iter().enumerate() {
        match read_file(path).await {
            Ok(text) => {
                found = true;
                known
                    .add(&path.to_string_lossy(), &text)
                    .map_err(|(place, error)| {
                        let what = format!("cannot use the known hosts at {place}: {error}");
                        TransportError::new(TransportErrorKind::Address, what)
                    })?;
            }
            // It may be made, or be one of two.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let needed = if accept_new { index > 0 && all } else { all };
                if needed {
                    return Err(unreadable(path, error));
                }
            }
            Err(error) => return Err(unreadable(path, error)),
        }
    }
    if !found && !accept_new {
        let names: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        let what = format!("no host is known: there is no {}", names.join(" and no "));
        return Err(TransportError::new(TransportErrorKind::Denied, what));
    }
    Ok((known, first))
}

fn unreadable(path: &std::path::Path, error: std::io::Error) -> TransportError {
    let what = format!("cannot read the known hosts in {}", path.display());
    TransportError::new(TransportErrorKind::Denied, what).with_source(error)
}

async fn read_file(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let file = tokio::fs::File::open(path).await?;
    let mut text = Vec::new();
    let read = file.take(FILE_BYTES + 1).read_to_end(&mut text).await?;
    if read as u64 > FILE_BYTES {
        let what = format!("it has more than {FILE_BYTES} bytes");
        return Err(std::io::Error::other(what));
    }
    Ok(text)
}

/// The rules for one host, in memory.
#[derive(Debug)]
pub(crate) struct HostCheck {
    /// What the host is called in the files.
    name: String,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Known {
        known: KnownHosts,
        learn: Option<PathBuf>,
    },
    Fingerprints(Vec<String>),
    Any,
}

/// A key that is accepted.
#[derive(Clone, Debug)]
pub(crate) struct HostKey {
    /// `ssh-ed25519`, …
    pub(crate) kind: String,
    pub(crate) fingerprint: String,
}

/// Why a key is refused.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HostCheck {
    /// The types of the keys by which the host is known: a server that has several is asked for these.
    pub(crate) fn known_kinds(&self) -> Vec<&str> {
        match &self.rule {
            Rule::Known { known, .. } => known.kinds(&self.name).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether there are authorities whose certificates would do.
    pub(crate) fn takes_certificates(&self) -> bool {
        match &self.rule {
            Rule::Known { known, .. } => known.authorities(&self.name).next().is_some(),
            _ => false,
        }
    }

    /// Judges a plain key, and learns it when it is to be learnt.
    pub(crate) async fn check(&self, key: &PublicKey) -> Result<HostKey, Refused> {
        let accepted = HostKey {
            kind: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        };
        match &self.rule {
            Rule::Any => Ok(accepted),
            Rule::Fingerprints(fingerprints) => {
                if fingerprints.contains(&accepted.fingerprint) {
                    return Ok(accepted);
                }
                Err(self.refused(
                    &accepted,
                    "whose fingerprint is not the one that is asked for",
                ))
            }
            Rule::Known { known, learn } => {
                let blob = blob(key)?;
                match known.look_up(&self.name, &blob) {
                    Verdict::Known => Ok(accepted),
                    Verdict::Unknown => {
                        match learn {
                            Some(file) => {
                                self.learn(file, &blob).await?;
                                Ok(accepted)
                            }
                            None => Err(self
                                .refused(&accepted, "which no file of known hosts lists for it")),
                        }
                    }
                    other => Err(self.refused(&accepted, &why(&other))),
                }
            }
        }
    }

    /// Judges a certificate.
    pub(crate) fn check_certificate(
        &self,
        certificate: &Certificate,
        host: &str,
        now: u64,
    ) -> Result<HostKey, Refused> {
        let key = PublicKey::from(certificate.public_key().clone());
        let accepted = HostKey {
            kind: certificate.algorithm().to_certificate_type(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        };
        let refuse = |why: &str| Err(self.refused(&accepted, why));
        let Rule::Known { known, .. } = &self.rule else {
            return refuse("though no certificate was asked for");
        };
        let authority = PublicKey::from(certificate.signature_key().clone());
        for key in [&key, &authority] {
            if let Some(place) = known.revoked(&self.name, &blob(key)?) {
                return refuse(&why(&Verdict::Revoked(place.clone())));
            }
        }
        let signer = blob(&authority)?;
        if !known.authorities(&self.name).any(|known| *known == signer) {
            return refuse("whose certificate is not of an authority that is known for it");
        }
        if certificate.cert_type() != CertType::Host {
            return refuse("whose certificate is for a user");
        }
        let fingerprint = authority.fingerprint(HashAlg::Sha256);
        if certificate.validate_at(now, [&fingerprint]).is_err() {
            return refuse("whose certificate is not valid now, or not signed by whom it names");
        }
        if certificate.critical_options().iter().next().is_some() {
            return refuse("whose certificate has conditions that are not known");
        }
        let names = certificate.valid_principals();
        if !names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return refuse("whose certificate is for other hosts");
        }
        Ok(accepted)
    }

    fn refused(&self, key: &HostKey, why: &str) -> Refused {
        Refused(format!(
            "{} has the host key {} ({}), {why}",
            self.name, key.fingerprint, key.kind
        ))
    }

    /// Adds a key to a file, unless the host became known meanwhile.
    async fn learn(&self, file: &std::path::Path, key: &KeyBlob) -> Result<(), Refused> {
        let (name, file, key) = (self.name.clone(), file.to_owned(), key.clone());
        let shown = file.display().to_string();
        let learnt = tokio::task::spawn_blocking(move || learn(&name, &file, &key)).await;
        let learnt = learnt.map_err(|error| Refused(error.to_string()))?;
        learnt.map_err(|error| {
            let name = &self.name;
            Refused(format!(
                "the host key of {name} cannot be added to {shown}: {error}"
            ))
        })
    }
}

fn why(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Revoked(place) => format!("which is revoked at {place}"),
        Verdict::Changed(place) => format!("but another one is known for it at {place}"),
        Verdict::OtherType(place, kind) => {
            format!("but it is known by a key of another type, {kind}, at {place}")
        }
        Verdict::Authority(place) => {
            format!("but it is known by the certificates of the authority at {place} alone")
        }
        Verdict::Known | Verdict::Unknown => "which is not known".to_owned(),
    }
}

fn blob(key: &PublicKey) -> Result<KeyBlob, Refused> {
    let fail = || Refused("the host key cannot be written down".to_owned());
    let blob = key.to_bytes().map_err(|_encoding| fail())?;
    KeyBlob::of_kind(key.algorithm().as_str(), blob).ok_or_else(fail)
}

/// Under a lock on the file, so that two programs do not learn two keys.
fn learn(name: &str, file: &std::path::Path, key: &KeyBlob) -> std::io::Result<()> {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(directory) = file.parent().filter(|path| !path.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let options = options.read(true).append(true).create(true).mode(0o600);
    let mut open = options.open(file)?;
    rustix::fs::flock(&open, rustix::fs::FlockOperation::LockExclusive)?;
    let mut text = Vec::new();
    (&mut open).take(FILE_BYTES).read_to_end(&mut text)?;
    let mut known = KnownHosts::default();
    known
        .add(&file.to_string_lossy(), &text)
        .map_err(|(place, error)| std::io::Error::other(format!("{place}: {error}")))?;
    match known.look_up(name, key) {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => {}
        other => return Err(std::io::Error::other(why(&other))),
    }
    let begin = match text.last() {
        None | Some(b'\n') => "",
        Some(_) => "\n",
    };
    let encoded = data_encoding::BASE64.encode(&key.blob);
    open.write_all(format!("{begin}{name} {} {encoded}\n", key.kind).as_bytes())?;
    open.sync_all()
}

#[cfg(test)]
mod tests;
