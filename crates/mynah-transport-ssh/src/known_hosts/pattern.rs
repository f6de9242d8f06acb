//! The names of a line, and how one is looked up.

use data_encoding::BASE64;
use ring::hmac;

/// The port that is not part of a name.
const SSH_PORT: u16 = 22;

/// What a host is called in the files: in lower case, and `[host]:port` unless the port is 22.
pub(crate) fn lookup_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == SSH_PORT {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

/// The first field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// `|1|salt|hash`: one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Patterns, in lower case, and whether each is negated.
    Patterns(Vec<(bool, String)>),
}

impl Hosts {
    /// `None` when it is no such field.
    pub(super) fn parse(field: &str) -> Option<Self> {
        if let Some(hashed) = field.strip_prefix('|') {
            let (version, rest) = hashed.split_once('|')?;
            let (salt, hash) = rest.split_once('|')?;
            let salt = BASE64.decode(salt.as_bytes()).ok()?;
            let hash = BASE64.decode(hash.as_bytes()).ok()?;
            // 1 is HMAC-SHA1, whose output has 20 bytes, and so has its salt.
            let whole = version == "1" && salt.len() == 20 && hash.len() == 20;
            return whole.then_some(Self::Hashed { salt, hash });
        }
        let patterns = field.split(',').map(|pattern| {
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, pattern),
            };
            let hashed = pattern.starts_with('|');
            (!pattern.is_empty() && !hashed).then(|| (negated, pattern.to_ascii_lowercase()))
        });
        patterns.collect::<Option<_>>().map(Self::Patterns)
    }

    /// Whether the line is about the host of this name.
    pub(super) fn is_about(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(patterns) => {
                let mut found = false;
                for (negated, pattern) in patterns {
                    if matches(pattern.as_bytes(), name.as_bytes()) {
                        if *negated {
                            return false;
                        }
                        found = true;
                    }
                }
                found
            }
        }
    }
}

/// Whether a name matches a pattern of `*` (any bytes, or none) and `?` (one byte). Takes at most the product of both
/// lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to go on when the last star has to take one byte more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), name.get(seen)) {
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, seen));
            }
            (Some(b'?'), Some(_)) => (at, seen) = (at + 1, seen + 1),
            (Some(one), Some(other)) if one == other => (at, seen) = (at + 1, seen + 1),
            (None, None) => return true,
            _ => {
                let Some((behind, from)) = star.filter(|(_, from)| *from < name.len()) else {
                    return false;
                };
                star = Some((behind, from + 1));
                (at, seen) = (behind, from + 1);
            }
        }
    }
}
