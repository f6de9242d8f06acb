//! One line: options, type, key, comment.

use super::options::{self, Options};
use data_encoding::BASE64;
use russh::keys::PublicKey;

/// A line with a key.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) key: PublicKey,
    /// `Err`: why the key is refused.
    pub(super) options: Result<Options, String>,
}

/// Types of keys that this server speaks.
const TYPES: [&str; 4] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
];

/// Types that OpenSSH knows and this server does not speak: RSA and DSA, hardware keys, and certificates.
fn is_other_type(word: &str) -> bool {
    matches!(word, "ssh-rsa" | "ssh-dss")
        || word.ends_with("@openssh.com")
            && ["ssh-", "ecdsa-", "sk-", "rsa-"]
                .iter()
                .any(|begin| word.starts_with(begin))
}

/// Reads a line that is neither empty nor a comment.
pub(super) fn read(text: &str) -> Result<Line, String> {
    let text = text.trim_matches([' ', '\t']);
    let (first, rest) = word(text);
    if TYPES.contains(&first) || is_other_type(first) {
        return Ok(Line {
            key: key(first, rest)?,
            options: Ok(Options::default()),
        });
    }
    let (written, rest) = split_options(text)?;
    let (kind, rest) = word(rest);
    if !TYPES.contains(&kind) && !is_other_type(kind) {
        return Err("no type of a key where one is expected".to_owned());
    }
    Ok(Line {
        key: key(kind, rest)?,
        options: options::read(written),
    })
}

fn key(kind: &str, rest: &str) -> Result<PublicKey, String> {
    if kind.contains("-cert-v") {
        return Err("certificates are not spoken here: list the key itself".to_owned());
    }
    if !TYPES.contains(&kind) {
        return Err(format!(
            "keys of type {kind} are not spoken here: use ssh-ed25519 or ECDSA"
        ));
    }
    let (base64, _comment) = word(rest);
    let blob = BASE64.decode(base64.as_bytes());
    let blob = blob.map_err(|_error| "the key is no base64".to_owned())?;
    let key = PublicKey::from_bytes(&blob).map_err(|_error| "the key cannot be read".to_owned())?;
    if key.algorithm().as_str() != kind {
        return Err(format!("the key is of another type than {kind}"));
    }
    Ok(key)
}

/// The first word, and what comes behind the blanks after it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

/// Options end at the first blank outside quotes.
fn split_options(text: &str) -> Result<(&str, &str), String> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                return Ok(text.split_at_checked(at).unwrap_or((text, "")));
            }
            _ => {}
        }
    }
    Err(if quoted {
        "a quote is not closed".to_owned()
    } else {
        "no key behind the options".to_owned()
    })
}
