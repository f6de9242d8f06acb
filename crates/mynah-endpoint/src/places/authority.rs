//! `//user@host:port`.

use crate::endpoint::Url;
use crate::error::EndpointError;
use std::fmt;

/// Who, where, and at which port, as far as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) user: Option<String>,
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Authority {
    /// Reads it, and returns what stands behind it, without the slash.
    pub(super) fn read<'u>(url: &Url<'u>) -> Result<(Self, &'u str), EndpointError> {
        let form = "a host is needed, //host, //user@host or //user@host:port";
        let rest = url
            .address
            .strip_prefix("//")
            .ok_or_else(|| url.wrong(form))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(url.wrong("a password does not belong into a URL, which stands in logs and lists of processes"));
        }
        let (host, port) = split_port(host).ok_or_else(|| url.wrong(form))?;
        let user = match user {
            Some("") => return Err(url.wrong(form)),
            user => user.map(|user| word(url, user)).transpose()?,
        };
        // What comes from elsewhere must not be taken for an option of a program.
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:%".contains(&byte);
        if host.is_empty() || host.starts_with('-') || !host.bytes().all(known) {
            return Err(url.wrong(form));
        }
        let authority = Self {
            user,
            host: host.to_owned(),
            port,
        };
        Ok((authority, path))
    }
}

fn word(url: &Url<'_>, text: &str) -> Result<String, EndpointError> {
    let bytes = crate::percent::decode(text);
    let word = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let word = word.filter(|word| !word.starts_with('-') && !word.chars().any(char::is_control));
    word.ok_or_else(|| url.wrong("there is no such user"))
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            match behind {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':')?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match port {
        None => Some((host, None)),
        Some(port) if digits(port) => Some((host, Some(port.parse().ok()?))),
        Some(_) => None,
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
