//! URLs that name an endpoint.

use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};
use mynah_codec::dialect::native::Native;
use mynah_codec::{Dialect, dialect};
use mynah_protocol::FormatId;
use std::str::FromStr;

/// Where, and what is spoken there.
#[derive(Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// Where.
    pub place: Place,
    /// What is spoken: the native dialect in CBOR unless the URL says otherwise. Of no account in process.
    pub dialect: Box<dyn Dialect>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// `tcp://host:port`.
    Tcp(String),
    /// `memory:NAME`: a server of this process.
    Memory(String),
}

/// A URL that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no scheme, or an unknown one.
    #[error("\"{0}\" has no known scheme; known are tcp://host:port and memory:NAME")]
    Scheme(String),
    /// Nothing, or not enough, behind the scheme.
    #[error("\"{url}\": {what}")]
    Incomplete {
        /// The URL.
        url: String,
        /// What is missing.
        what: &'static str,
    },
    /// An option that is unknown, or has an unknown value.
    #[error("\"{url}\": {option}={value} is unknown; {known}")]
    Option {
        /// The URL.
        url: String,
        /// The name of the option.
        option: String,
        /// Its value.
        value: String,
        /// What would be known.
        known: &'static str,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(url: &str) -> Result<Self, EndpointError> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let place = if let Some(host) = address.strip_prefix("tcp://") {
            let host = host.trim_end_matches('/');
            match host.rsplit_once(':') {
                Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() => {
                    Place::Tcp(host.to_owned())
                }
                _ => {
                    return Err(incomplete(
                        url,
                        "tcp needs a host and a port, tcp://host:port",
                    ));
                }
            }
        } else if let Some(name) = address.strip_prefix("memory:") {
            if name.is_empty() {
                return Err(incomplete(url, "memory needs a name, memory:NAME"));
            }
            Place::Memory(name.to_owned())
        } else {
            return Err(EndpointError::Scheme(url.to_owned()));
        };
        Ok(Self {
            place,
            dialect: options(url, query)?,
        })
    }
}

fn incomplete(url: &str, what: &'static str) -> EndpointError {
    EndpointError::Incomplete {
        url: url.to_owned(),
        what,
    }
}

fn options(url: &str, query: &str) -> Result<Box<dyn Dialect>, EndpointError> {
    let mut dialect = dialect::native::NAME;
    let mut format = FormatId::Cbor;
    let mut padding = Padding::Newline;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (option, value) = pair.split_once('=').unwrap_or((pair, ""));
        let unknown = |known| EndpointError::Option {
            url: url.to_owned(),
            option: option.to_owned(),
            value: value.to_owned(),
            known,
        };
        match (option, value) {
            ("dialect", "native") => dialect = dialect::native::NAME,
            ("dialect", "cbor-rpc") => dialect = dialect::cbor_rpc::NAME,
            ("dialect", _) => return Err(unknown("dialects are native and cbor-rpc")),
            ("format", "cbor") => format = FormatId::Cbor,
            ("format", "json") => format = FormatId::Json,
            ("format", "messagepack") => format = FormatId::MessagePack,
            ("format", _) => return Err(unknown("formats are cbor, json and messagepack")),
            ("padding", "newline") => padding = Padding::Newline,
            ("padding", "python") => padding = Padding::Python,
            ("padding", _) => return Err(unknown("paddings are newline and python")),
            _ => return Err(unknown("options are dialect, format and padding")),
        }
    }
    Ok(match (dialect, format) {
        (dialect::cbor_rpc::NAME, FormatId::Json) => Box::new(CborRpc::json(padding)),
        (dialect::cbor_rpc::NAME, FormatId::MessagePack) => {
            return Err(EndpointError::Option {
                url: url.to_owned(),
                option: "format".to_owned(),
                value: format.to_string(),
                known: "formats of cbor-rpc are cbor and json",
            });
        }
        (dialect::cbor_rpc::NAME, _) => Box::new(CborRpc::cbor()),
        (_, FormatId::Json) => Box::new(Native::json()),
        (_, FormatId::MessagePack) => Box::new(Native::messagepack()),
        _ => Box::new(Native::new()),
    })
}
