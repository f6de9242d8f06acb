//! Errors on the way.

use crate::{DecodeError, DecodeErrorKind};
use std::fmt::{self, Display, Write as _};

/// The most bytes of a message that serde makes; it may quote what the peer has sent.
const LONGEST_MESSAGE: usize = 256;

/// A [`DecodeError`] behind a pointer, so that results are small on the stack of a deep value.
#[derive(Debug)]
pub(super) struct Failure(Box<DecodeError>);

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(super) fn into_inner(self) -> DecodeError {
        *self.0
    }
}

impl From<DecodeError> for Failure {
    #[cold]
    fn from(error: DecodeError) -> Self {
        Self(Box::new(error))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl serde::de::Error for Failure {
    #[cold]
    #[inline(never)]
    fn custom<T: Display>(message: T) -> Self {
        DecodeError::shape(short(message), 0).into()
    }

    #[cold]
    fn duplicate_field(field: &'static str) -> Self {
        let detail = format!("the field {field} is there twice");
        DecodeError::new(DecodeErrorKind::DuplicateKey, detail, 0).into()
    }
}

/// The beginning of a message.
fn short<T: Display>(message: T) -> String {
    struct Short(String);
    impl fmt::Write for Short {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let room = LONGEST_MESSAGE - self.0.len();
            let cut = part.floor_char_boundary(room);
            self.0.push_str(part.get(..cut).unwrap_or_default());
            if cut < part.len() {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }

    let mut text = Short(String::new());
    if write!(text, "{message}").is_err() {
        text.0.push_str("...");
    }
    text.0
}
