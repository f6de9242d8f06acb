//! Answers of Redis in its protocol, version 2: what they say, as it lies there.
//!
//! redis-rs reads the same, and needs ten times the instructions for it, which is half of all that a call over Redis costs
//! (ADR 67). What it makes of an answer is made here as well: a test holds the two against each other.

mod entries;

pub(super) use entries::entries;

use redis::{RedisResult, Value};

/// Arrays in arrays, at most. What is asked for here has six.
const MOST_DEPTH: usize = 32;
/// Bytes of a line: a number, a word, or an error.
const MOST_LINE: usize = 64 << 10;
/// Bytes of a text. Redis takes no longer ones unless it is told to.
const MOST_BYTES: usize = 512 << 20;
/// What an array gets before its elements are there.
const FIRST_ELEMENTS: usize = 1024;

/// What the start of an input is.
#[derive(Debug, PartialEq)]
pub(super) enum Answer<'i> {
    /// A value, and how many bytes it has.
    Whole(Raw<'i>, usize),
    /// The start of a value. So many bytes are missing at the least.
    Part(usize),
}

/// A value as it lies in the input.
#[derive(Debug, PartialEq)]
pub(crate) enum Raw<'i> {
    Nil,
    Int(i64),
    /// Any bytes.
    Text(&'i [u8]),
    /// A word of Redis, such as `OK`.
    Word(&'i str),
    Array(Vec<Raw<'i>>),
    /// The whole line of an error.
    Error(&'i [u8]),
    /// A value of the library that no answer in version 2 has.
    Other,
}

impl<'i> Raw<'i> {
    /// What the library has read, where it was the library that read.
    pub(crate) fn of(value: &'i Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Int(number) => Self::Int(*number),
            Value::BulkString(bytes) => Self::Text(bytes),
            Value::SimpleString(word) => Self::Word(word),
            Value::Okay => Self::Word("OK"),
            Value::Array(values) => Self::Array(values.iter().map(Self::of).collect()),
            // Version 3 answers with names and what they name.
            Value::Map(pairs) => {
                let pair = |(name, value)| Self::Array(vec![Self::of(name), Self::of(value)]);
                let pairs = pairs.iter().map(|(name, value)| pair((name, value)));
                Self::Array(pairs.collect())
            }
            _ => Self::Other,
        }
    }

    /// What the library would make of it.
    pub(super) fn into_value(self) -> RedisResult<Value> {
        Ok(match self {
            Self::Nil | Self::Other => Value::Nil,
            Self::Int(number) => Value::Int(number),
            Self::Text(bytes) => Value::BulkString(bytes.to_vec()),
            Self::Word("OK") => Value::Okay,
            Self::Word(word) => Value::SimpleString(word.to_owned()),
            Self::Array(values) => {
                let values: RedisResult<_> = values.into_iter().map(Self::into_value).collect();
                Value::Array(values?)
            }
            // It knows what the words of errors mean.
            Self::Error(line) => redis::parse_redis_value(line)?,
        })
    }

    /// A text, or a word.
    pub(crate) fn bytes(&self) -> Option<&'i [u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            Self::Word(word) => Some(word.as_bytes()),
            _ => None,
        }
    }
}

/// Reads the value that an input starts with.
///
/// # Errors
/// Why it is none. What comes behind cannot be read either.
pub(super) fn read(input: &[u8]) -> Result<Answer<'_>, &'static str> {
    let mut reader = Reader { input, at: 0 };
    match reader.value(MOST_DEPTH) {
        Ok(value) => Ok(Answer::Whole(value, reader.at)),
        Err(Stop::Part(missing)) => Ok(Answer::Part(missing)),
        Err(Stop::Wrong(why)) => Err(why),
    }
}

enum Stop {
    Part(usize),
    Wrong(&'static str),
}

struct Reader<'i> {
    input: &'i [u8],
    at: usize,
}

impl<'i> Reader<'i> {
    fn value(&mut self, depth: usize) -> Result<Raw<'i>, Stop> {
        let start = self.at;
        let kind = *self.input.get(self.at).ok_or(Stop::Part(3))?;
        self.at += 1;
        let line = self.line()?;
        match kind {
            b'+' => Ok(Raw::Word(text(line)?)),
            b':' => Ok(Raw::Int(number(line)?)),
            b'$' => match number(line)? {
                -1 => Ok(Raw::Nil),
                len => Ok(Raw::Text(self.bytes(len)?)),
            },
            b'*' => match number(line)? {
                -1 => Ok(Raw::Nil),
                len => self.array(len, depth),
            },
            b'-' => {
                text(line)?;
                Ok(Raw::Error(
                    self.input.get(start..self.at).unwrap_or_default(),
                ))
            }
            _ => Err(Stop::Wrong("what redis says is no answer of its protocol")),
        }
    }

    /// Up to the end of the line, which is passed.
    fn line(&mut self) -> Result<&'i [u8], Stop> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        // A carriage return stands nowhere else.
        let Some(len) = rest.iter().position(|byte| *byte == b'\r') else {
            return Err(match rest.len() > MOST_LINE {
                true => Stop::Wrong("a line of redis does not end"),
                false => Stop::Part(2),
            });
        };
        match rest.get(len + 1) {
            None => return Err(Stop::Part(1)),
            Some(b'\n') => {}
            Some(_) => return Err(Stop::Wrong("a line of redis is broken")),
        }
        self.at += len + 2;
        Ok(rest.get(..len).unwrap_or_default())
    }

    fn bytes(&mut self, len: i64) -> Result<&'i [u8], Stop> {
        let len = usize::try_from(len).ok().filter(|len| *len <= MOST_BYTES);
        let len = len.ok_or(Stop::Wrong(
            "a text of redis has no length that it can have",
        ))?;
        let rest = self.input.get(self.at..).unwrap_or_default();
        let Some((bytes, behind)) = rest.split_at_checked(len) else {
            return Err(Stop::Part(len + 2 - rest.len()));
        };
        match behind {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Err(Stop::Part(2 - behind.len())),
            _ => return Err(Stop::Wrong("a text of redis does not end where it should")),
        }
        self.at += len + 2;
        Ok(bytes)
    }

    fn array(&mut self, len: i64, depth: usize) -> Result<Raw<'i>, Stop> {
        let len =
            usize::try_from(len).map_err(|_not| Stop::Wrong("an array of redis has no length"))?;
        let depth = depth
            .checked_sub(1)
            .ok_or(Stop::Wrong("arrays of redis go too deep"))?;
        // As long as they are not there, a number is nothing but a number.
        let mut values = Vec::with_capacity(len.min(FIRST_ELEMENTS));
        for _ in 0..len {
            values.push(self.value(depth)?);
        }
        Ok(Raw::Array(values))
    }
}

fn text(line: &[u8]) -> Result<&str, Stop> {
    str::from_utf8(line).map_err(|_not| Stop::Wrong("a word of redis is no text"))
}

/// `i64` as Redis writes it.
fn number(line: &[u8]) -> Result<i64, Stop> {
    const WRONG: Stop = Stop::Wrong("a number of redis is none");
    let (negative, digits) = match line {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(WRONG);
    }
    // Downwards: there is one number more below zero than above.
    let number = digits.iter().try_fold(0i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_sub(digit)
    });
    let number = number.ok_or(WRONG)?;
    match negative {
        true => Ok(number),
        false => number.checked_neg().ok_or(WRONG),
    }
}

#[cfg(test)]
mod tests;
