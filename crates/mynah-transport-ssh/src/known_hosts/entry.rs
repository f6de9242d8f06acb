//! One line.

use super::KeyBlob;
use super::pattern::Hosts;
use data_encoding::BASE64;

/// The longest line that is read, in bytes. A key of 16,384 bits takes 3 KiB.
const LINE_BYTES: usize = 64 << 10;

/// What a line says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// It is a key of the hosts.
    None,
    /// It signs certificates of the hosts.
    CertAuthority,
    /// It must not be accepted.
    Revoked,
}

/// A line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) marker: Marker,
    pub(crate) hosts: Hosts,
    pub(crate) key: KeyBlob,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    TooLong,
    NotText,
    Marker,
    Hosts,
    NoKey,
    Base64,
    Blob,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the line is too long",
            Self::NotText => "the line is no text",
            Self::Marker => "there is no such marker: @cert-authority and @revoked are known",
            Self::Hosts => "the names of the hosts are none",
            Self::NoKey => "there is no key",
            Self::Base64 => "the key is no base64",
            Self::Blob => "the key is not of the type that the line names",
        })
    }
}

/// Reads a line; `None` for one that is empty, a comment, or about a key of SSH 1.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Entry>, ParseError> {
    if line.len() > LINE_BYTES {
        return Err(ParseError::TooLong);
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    match line.iter().find(|byte| !blank(byte)) {
        None | Some(b'#') => return Ok(None),
        Some(_) => {}
    }
    let text = std::str::from_utf8(line).map_err(|_invalid| ParseError::NotText)?;
    let mut fields = text
        .split([' ', '\t', '\r'])
        .filter(|field| !field.is_empty());
    let mut next = || fields.next();
    let first = next().ok_or(ParseError::Hosts)?;
    let (marker, hosts) = if first.starts_with('@') {
        let marker = match first {
            "@cert-authority" => Marker::CertAuthority,
            "@revoked" => Marker::Revoked,
            _ => return Err(ParseError::Marker),
        };
        (marker, next().ok_or(ParseError::Hosts)?)
    } else {
        (Marker::None, first)
    };
    // One marker, no more.
    if hosts.starts_with('@') {
        return Err(ParseError::Marker);
    }
    let hosts = Hosts::parse(hosts).ok_or(ParseError::Hosts)?;
    let kind = next().ok_or(ParseError::NoKey)?;
    let encoded = next().ok_or(ParseError::NoKey)?;
    // SSH 1: bits, exponent, modulus. Nobody speaks it any more.
    if kind.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let blob = BASE64
        .decode(encoded.as_bytes())
        .map_err(|_invalid| ParseError::Base64)?;
    let key = KeyBlob::of_kind(kind, blob).ok_or(ParseError::Blob)?;
    Ok(Some(Entry { marker, hosts, key }))
}

impl KeyBlob {
    /// A key whose blob begins with the name of its type. `None` when it does not.
    pub(crate) fn of_kind(kind: &str, blob: Vec<u8>) -> Option<Self> {
        let length = u32::try_from(kind.len()).ok()?.to_be_bytes();
        let rest = blob.strip_prefix(&length)?.strip_prefix(kind.as_bytes())?;
        let kind = kind.to_owned();
        (!rest.is_empty()).then_some(Self { kind, blob })
    }
}
