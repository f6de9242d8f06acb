//! known_hosts, as sshd(8) describes it under "SSH_KNOWN_HOSTS FILE FORMAT".
//!
//! Read strictly: a line that is no line of the format is an error with its number, because it might be the one that
//! revokes a key. Keys of types that this crate does not speak are read and compared all the same.

mod entry;
mod pattern;

pub(crate) use entry::{Entry, Marker, ParseError, parse};
pub(crate) use pattern::lookup_name;

/// A public key as it goes over the wire, and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyBlob {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, …
    pub(crate) kind: String,
    pub(crate) blob: Vec<u8>,
}

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What the files say about a key of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A line lists it for the host.
    Known,
    /// A line revokes it for the host, whatever others say.
    Revoked(Place),
    /// The host is known, by this line, with another key of the same type.
    Changed(Place),
    /// The host is known, by this line, with keys of other types alone.
    OtherType(Place, String),
    /// The host is known by the authority in this line, and by no key of its own.
    Authority(Place),
    /// No line is about the host.
    Unknown,
}

/// All lines of some files.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    entries: Vec<(Place, Entry)>,
}

impl KnownHosts {
    /// Adds the lines of a file.
    pub(crate) fn add(&mut self, file: &str, text: &[u8]) -> Result<(), (Place, ParseError)> {
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let place = || Place {
                file: file.to_owned(),
                line: number + 1,
            };
            if let Some(entry) = parse(line).map_err(|error| (place(), error))? {
                self.entries.push((place(), entry));
            }
        }
        Ok(())
    }

    /// Looks up a plain key of a host; `name` is that of [`lookup_name`].
    pub(crate) fn look_up(&self, name: &str, key: &KeyBlob) -> Verdict {
        if let Some(place) = self.revoked(name, key) {
            return Verdict::Revoked(place.clone());
        }
        let mut verdict = Verdict::Unknown;
        for (place, entry) in self.about(name, Marker::None) {
            if entry.key == *key {
                return Verdict::Known;
            }
            if entry.key.kind == key.kind {
                if !matches!(verdict, Verdict::Changed(_)) {
                    verdict = Verdict::Changed(place.clone());
                }
            } else if verdict == Verdict::Unknown {
                verdict = Verdict::OtherType(place.clone(), entry.key.kind.clone());
            }
        }
        if verdict == Verdict::Unknown
            && let Some((place, _)) = self.about(name, Marker::CertAuthority).next()
        {
            return Verdict::Authority(place.clone());
        }
        verdict
    }

    /// The line that revokes a key for a host: a plain one, one within a certificate, or an authority's.
    pub(crate) fn revoked<'a>(&'a self, name: &'a str, key: &KeyBlob) -> Option<&'a Place> {
        let mut revoking = self.about(name, Marker::Revoked);
        revoking
            .find(|(_, entry)| entry.key == *key)
            .map(|(place, _)| place)
    }

    /// The authorities whose certificates hold for a host.
    pub(crate) fn authorities<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a KeyBlob> {
        let lines = self.about(name, Marker::CertAuthority);
        lines.map(|(_, entry)| &entry.key)
    }

    /// The types of the keys by which a host is known.
    pub(crate) fn kinds<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.about(name, Marker::None);
        lines.map(|(_, entry)| entry.key.kind.as_str())
    }

    fn about<'a>(
        &'a self,
        name: &'a str,
        marker: Marker,
    ) -> impl Iterator<Item = (&'a Place, &'a Entry)> {
        let lines = self.entries.iter();
        lines
            .filter(move |(_, entry)| entry.marker == marker && entry.hosts.is_about(name))
            .map(|(place, entry)| (place, entry))
    }
}

#[cfg(test)]
mod tests;
