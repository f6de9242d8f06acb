//! A Redis command and its reply in RESP2, by hand: an eye that shares no code with what is tested.

use super::unexpected;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};

/// What a Redis server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// No such thing.
    Nil,
    /// A number.
    Integer(i64),
    /// A status, or bytes; what is no UTF-8 is replaced.
    Text(String),
    /// Replies, in order.
    Array(Vec<Self>),
    /// An error; a reply of its own only inside of an array.
    Error(String),
}

impl Reply {
    /// The text, where it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nil | Self::Integer(_) | Self::Array(_) | Self::Error(_) => None,
        }
    }

    /// The number, where it is one or a text that says one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Nil | Self::Array(_) | Self::Error(_) => None,
        }
    }

    /// The replies inside; empty where it is no array.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            Self::Nil | Self::Integer(_) | Self::Text(_) | Self::Error(_) => &[],
        }
    }

    /// What follows this name in a flat list of names and values, as `XINFO` gives and fields are.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let (pairs, _) = self.items().as_chunks();
        pairs
            .iter()
            .find_map(|[key, value]| (key.as_text() == Some(name)).then_some(value))
    }

    /// The texts inside, in order; what is no text is left out.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.items().iter().filter_map(Self::as_text).collect()
    }
}

/// Sends one command and reads its reply.
pub(super) async fn ask<S>(stream: &mut BufReader<S>, command: &[&[u8]]) -> io::Result<Reply>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut out = format!("*{}\r\n", command.len()).into_bytes();
    for part in command {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    stream.write_all(&out).await?;
    match read(stream).await? {
        Reply::Error(error) => Err(io::Error::other(error)),
        reply => Ok(reply),
    }
}

/// Boxed, since an array has replies inside.
fn read<'s, S: AsyncBufRead + Unpin + Send>(
    stream: &'s mut S,
) -> Pin<Box<dyn Future<Output = io::Result<Reply>> + Send + 's>> {
    Box::pin(async move {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let mut chars = line.chars();
        let kind = chars.next();
        let rest = chars.as_str();
        let number = || {
            rest.parse::<i64>()
                .map_err(|error| unexpected(format!("{line:?} of a Redis server: {error}")))
        };
        match kind {
            Some('+') => Ok(Reply::Text(rest.to_owned())),
            Some('-') => Ok(Reply::Error(rest.to_owned())),
            Some(':') => number().map(Reply::Integer),
            Some('$') => match u64::try_from(number()?) {
                Err(_negative) => Ok(Reply::Nil),
                Ok(length) => {
                    let mut bytes = Vec::new();
                    let whole = length.saturating_add(2);
                    let read = (&mut *stream).take(whole).read_to_end(&mut bytes).await?;
                    if u64::try_from(read) != Ok(whole) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    bytes.truncate(bytes.len().saturating_sub(2));
                    Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
                }
            },
            Some('*') => match u64::try_from(number()?) {
                Err(_negative) => Ok(Reply::Nil),
                Ok(length) => {
                    let mut items = Vec::new();
                    for _ in 0..length {
                        items.push(read(stream).await?);
                    }
                    Ok(Reply::Array(items))
                }
            },
            _ => Err(unexpected(format!("{line:?} of a Redis server"))),
        }
    })
}
