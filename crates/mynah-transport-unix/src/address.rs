//! Paths and abstract names.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest path or abstract name, in bytes: what `sun_path` holds beside the zero that ends a path, or stands before
/// a name.
pub const MAX_ADDRESS_BYTES: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};

/// Where a Unix socket is.
///
/// As text it is a URL without options: `unix:/run/app.sock`, `unix:@name`. What could be taken for something else (`%`,
/// `?`, an `@` that begins a path, bytes that are no text) is written as `%` and two hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnixAddress {
    /// A file.
    Path(PathBuf),
    /// A name without a file, on Linux: it has no mode, and is gone when its socket is.
    Abstract(Vec<u8>),
}

/// Why there can be no socket at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// It does not begin with `unix:`.
    Scheme,
    /// There is neither a path nor a name.
    Empty,
    /// A host is named: `unix://host/path`.
    Host,
    /// A `%` without two hexadecimal digits behind it.
    Escape,
    /// A path with a zero byte in it.
    Zero,
    /// More bytes than an address of a socket can hold.
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// Abstract names are there on Linux only.
    NoAbstractNames,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme | Self::Empty => {
                f.write_str("unix needs a path or a name, unix:/path or unix:@name")
            }
            Self::Host => f.write_str("unix has no host; an absolute path is unix:/path"),
            Self::Escape => f.write_str("% needs two hexadecimal digits; a % itself is %25"),
            Self::Zero => f.write_str("a path has no zero byte"),
            Self::TooLong { bytes } => write!(
                f,
                "path or name of {bytes} bytes exceeds limit of {MAX_ADDRESS_BYTES} for Unix sockets"
            ),
            Self::NoAbstractNames => f.write_str("this system has no abstract names"),
        }
    }
}

impl std::error::Error for AddressError {}

impl UnixAddress {
    /// Whether there can be a socket at this address.
    ///
    /// # Errors
    /// [`AddressError`] when it is empty, too long, or of a kind that this system does not have.
    pub fn check(&self) -> Result<(), AddressError> {
        let bytes = match self {
            Self::Path(path) => path.as_os_str().as_bytes(),
            Self::Abstract(_) if !cfg!(any(target_os = "linux", target_os = "android")) => {
                return Err(AddressError::NoAbstractNames);
            }
            Self::Abstract(name) => name,
        };
        if bytes.is_empty() {
            return Err(AddressError::Empty);
        }
        if matches!(self, Self::Path(_)) && bytes.contains(&0) {
            return Err(AddressError::Zero);
        }
        if bytes.len() > MAX_ADDRESS_BYTES {
            return Err(AddressError::TooLong { bytes: bytes.len() });
        }
        Ok(())
    }

    /// What tokio connects to: names begin with a zero.
    pub(crate) fn as_tokio_path(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Abstract(name) => {
                let mut bytes = vec![0];
                bytes.extend_from_slice(name);
                PathBuf::from(OsString::from_vec(bytes))
            }
        }
    }
}

impl From<&Path> for UnixAddress {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<PathBuf> for UnixAddress {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, bytes) = match self {
            Self::Path(path) => ("unix:", path.as_os_str().as_bytes()),
            Self::Abstract(name) => ("unix:@", name.as_slice()),
        };
        f.write_str(start)?;
        let is_path = matches!(self, Self::Path(_));
        // A path that begins so is read as something else.
        let ambiguous = is_path && (bytes.starts_with(b"@") || bytes.starts_with(b"//"));
        for (index, chunk) in bytes.utf8_chunks().enumerate() {
            for (at, character) in chunk.valid().char_indices() {
                let first = index == 0 && at == 0;
                if matches!(character, '%' | '?') || character.is_control() || first && ambiguous {
                    let mut utf8 = [0; 4];
                    escape(f, character.encode_utf8(&mut utf8).as_bytes())?;
                } else {
                    fmt::Write::write_char(f, character)?;
                }
            }
            escape(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))
}

impl FromStr for UnixAddress {
    type Err = AddressError;

    /// Reads `unix:/path`, `unix:relative/path`, `unix:///path` or `unix:@name`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("unix:").ok_or(AddressError::Scheme)?;
        let address = if let Some(name) = rest.strip_prefix('@') {
            Self::Abstract(unescape(name)?)
        } else {
            let path = match rest.strip_prefix("//") {
                Some(path) if path.starts_with('/') => path,
                Some(_) => return Err(AddressError::Host),
                None => rest,
            };
            Self::Path(PathBuf::from(OsString::from_vec(unescape(path)?)))
        };
        address.check()?;
        Ok(address)
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).ok_or(AddressError::Escape)?;
        let rest = part.get(2..).unwrap_or_default();
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(AddressError::Escape);
        }
        bytes.push(u8::from_str_radix(digits, 16).unwrap_or_default());
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
