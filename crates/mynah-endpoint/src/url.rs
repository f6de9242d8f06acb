//! URLs that name an endpoint.

use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};
use mynah_codec::dialect::native::Native;
use mynah_codec::{Dialect, dialect};
use mynah_protocol::FormatId;
use std::str::FromStr;

/// Where, and what is spoken there.
///
/// | option | values | what it chooses |
/// |---|---|---|
/// | `dialect` | `native`, `cbor-rpc` | the wire; native unless it is given |
/// | `format` | `cbor`, `json`, `messagepack` | how it is spelled; CBOR unless it is given. cbor-rpc has no MessagePack |
/// | `max_message` | bytes, 1 and more | the largest message, whatever the limits say |
/// | `padding` | `newline`, `python` | cbor-rpc in JSON: what stands behind a message; a newline unless it is given |
/// | `names` | `method`, `qualified` | cbor-rpc: whether calls name their service too, `service.method`; the method alone unless it is given |
/// | `errors` | `text`, `rich` | cbor-rpc: whether errors go out as maps of code, message and data; texts unless it is given |
///
/// An option of a dialect that is not the one that is chosen is an error.
#[derive(Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// Where.
    pub place: Place,
    /// What is spoken: the native dialect in CBOR unless the URL says otherwise. Of no account in process.
    pub dialect: Box<dyn Dialect>,
    /// The largest message in bytes, where the URL says it; it holds whatever the limits say.
    pub max_message_bytes: Option<usize>,
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
        let options = Options::read(url, query)?;
        Ok(Self {
            place,
            max_message_bytes: options.max_message_bytes,
            dialect: options.dialect(),
        })
    }
}

fn incomplete(url: &str, what: &'static str) -> EndpointError {
    EndpointError::Incomplete {
        url: url.to_owned(),
        what,
    }
}

/// What stands behind the `?`.
struct Options {
    dialect: &'static str,
    format: FormatId,
    max_message_bytes: Option<usize>,
    cbor_rpc: CborRpcOptions,
}

#[derive(Default)]
struct CborRpcOptions {
    padding: Padding,
    qualified: bool,
    rich_errors: bool,
}

impl Options {
    fn read(url: &str, query: &str) -> Result<Self, EndpointError> {
        let mut options = Self {
            dialect: dialect::native::NAME,
            format: FormatId::Cbor,
            max_message_bytes: None,
            cbor_rpc: CborRpcOptions::default(),
        };
        let pairs = || query.split('&').filter(|pair| !pair.is_empty());
        for pair in pairs() {
            let (option, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = options.set(option, value);
            known.map_err(|known| EndpointError::Option {
                url: url.to_owned(),
                option: option.to_owned(),
                value: value.to_owned(),
                known,
            })?;
        }
        options
            .check(pairs().map(|pair| pair.split_once('=').unwrap_or((pair, ""))))
            .map_err(|(option, value, known)| EndpointError::Option {
                url: url.to_owned(),
                option: option.to_owned(),
                value: value.to_owned(),
                known,
            })?;
        Ok(options)
    }

    /// Whether all that was given belongs to the dialect that was chosen. `Err`: what does not, and why.
    fn check<'q>(
        &self,
        mut pairs: impl Iterator<Item = (&'q str, &'q str)>,
    ) -> Result<(), (&'q str, &'q str, &'static str)> {
        let cbor_rpc = self.dialect == dialect::cbor_rpc::NAME;
        let why = if cbor_rpc {
            "formats of cbor-rpc are cbor and json"
        } else {
            "this option is of dialect=cbor-rpc"
        };
        let foreign = pairs.find(|pair| match *pair {
            ("format", format) => cbor_rpc && format == "messagepack",
            ("padding" | "names" | "errors", _) => !cbor_rpc,
            _ => false,
        });
        foreign.map_or(Ok(()), |(option, value)| Err((option, value, why)))
    }

    /// `Err`: what would be known.
    fn set(&mut self, option: &str, value: &str) -> Result<(), &'static str> {
        match (option, value) {
            ("dialect", "native") => self.dialect = dialect::native::NAME,
            ("dialect", "cbor-rpc") => self.dialect = dialect::cbor_rpc::NAME,
            ("dialect", _) => return Err("dialects are native and cbor-rpc"),
            ("format", "cbor") => self.format = FormatId::Cbor,
            ("format", "json") => self.format = FormatId::Json,
            ("format", "messagepack") => self.format = FormatId::MessagePack,
            ("format", _) => return Err("formats are cbor, json and messagepack"),
            ("max_message", bytes) => match bytes.parse() {
                Ok(bytes @ 1..) => self.max_message_bytes = Some(bytes),
                _ => return Err("max_message is a number of bytes, 1 and more"),
            },
            ("padding", "newline") => self.cbor_rpc.padding = Padding::Newline,
            ("padding", "python") => self.cbor_rpc.padding = Padding::Python,
            ("padding", _) => return Err("paddings are newline and python"),
            ("names", "method") => self.cbor_rpc.qualified = false,
            ("names", "qualified") => self.cbor_rpc.qualified = true,
            ("names", _) => return Err("names are method and qualified"),
            ("errors", "text") => self.cbor_rpc.rich_errors = false,
            ("errors", "rich") => self.cbor_rpc.rich_errors = true,
            ("errors", _) => return Err("errors are text and rich"),
            _ => {
                return Err("options are dialect, format, max_message, padding, names and errors");
            }
        }
        Ok(())
    }

    fn dialect(&self) -> Box<dyn Dialect> {
        if self.dialect != dialect::cbor_rpc::NAME {
            return Box::new(match self.format {
                FormatId::Json => Native::json(),
                FormatId::MessagePack => Native::messagepack(),
                _ => Native::new(),
            });
        }
        let CborRpcOptions {
            padding,
            qualified,
            rich_errors,
        } = self.cbor_rpc;
        let dialect = if self.format == FormatId::Json {
            CborRpc::json(padding)
        } else {
            CborRpc::cbor()
        };
        Box::new(
            dialect
                .with_qualified_names(qualified)
                .with_rich_errors(rich_errors),
        )
    }
}
