//! authorized_keys: who may have a session, and what may be called in it.
//!
//! Our own strict reader of OpenSSH's file. What it does not understand narrows: a line with an option that is unknown,
//! or that asks for what this server never grants (`command=`, `permitopen=`, …), refuses its key, also where another
//! line lists the same key without it.

mod date;
mod from;
mod line;
mod options;

use from::FromList;
use line::Line;
use mynah_protocol::AllowedMethods;
use options::Options;
pub(super) use options::is_user;
use russh::keys::PublicKey;
use std::fmt;
use std::net::IpAddr;

/// A file larger than this is none: more keys than any service has users.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// A line longer than this is refused: twice what OpenSSH reads of a public key.
const MAX_LINE_BYTES: usize = 16 << 10;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct AuthorizedKeys {
    entries: Vec<Entry>,
    faults: Vec<Fault>,
}

/// A line with a key.
#[derive(Debug)]
struct Entry {
    line: usize,
    key: PublicKey,
    /// `Err`: why the key is refused, whatever else lists it.
    options: Result<Options, String>,
}

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// From 1.
    pub(super) line: usize,
    pub(super) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Who asks to be let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) key: &'a PublicKey,
    pub(super) user: &'a str,
    pub(super) remote: IpAddr,
    /// Seconds since 1970.
    pub(super) now: u64,
    /// The users that keys may be used for which name none of their own.
    pub(super) users: &'a [String],
}

impl AuthorizedKeys {
    /// Reads the text of a file. Lines that are wrong are noted, and let nobody in.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut keys = Self::default();
        for (at, bytes) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = at + 1;
            match read(bytes) {
                Ok(None) => {}
                Ok(Some(Line { key, options })) => {
                    if let Err(why) = &options {
                        let what = format!("the key is refused: {why}");
                        keys.faults.push(Fault { line, what });
                    }
                    keys.entries.push(Entry { line, key, options });
                }
                Err(what) => keys.faults.push(Fault { line, what }),
            }
        }
        keys
    }

    /// Lines that are wrong.
    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What the one who asks may call, if the file lets it in: the first line for its key that does.
    ///
    /// # Errors
    /// Why nobody is let in by this key; for the operator, not for the peer.
    pub(super) fn permit(&self, asked: Asked<'_>) -> Result<Option<AllowedMethods>, Fault> {
        let of_key = |entry: &&Entry| entry.key.key_data() == asked.key.key_data();
        let mut why = Fault {
            line: 0,
            what: "the key is in no line".to_owned(),
        };
        for entry in self.entries.iter().filter(of_key) {
            if let Err(what) = &entry.options {
                return Err(Fault {
                    line: entry.line,
                    what: what.clone(),
                });
            }
        }
        for entry in self.entries.iter().filter(of_key) {
            let Ok(options) = &entry.options else {
                continue;
            };
            match options.permit(asked) {
                Ok(()) => return Ok(options.methods.clone()),
                Err(what) => {
                    why = Fault {
                        line: entry.line,
                        what,
                    };
                }
            }
        }
        Err(why)
    }
}

fn read(bytes: &[u8]) -> Result<Option<Line>, String> {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let begin = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    if matches!(begin, None | Some(b'#')) {
        return Ok(None);
    }
    if bytes.len() > MAX_LINE_BYTES {
        return Err(format!("longer than {MAX_LINE_BYTES} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_error| "not UTF-8".to_owned())?;
    line::read(text).map(Some)
}

#[cfg(test)]
mod tests;
