//! What foreign dialects do otherwise than RFC 8259.

/// What becomes of floats that are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NonFinite {
    /// They are an error in both directions: JSON has no spelling for them.
    #[default]
    Refuse,
    /// They are spelled `NaN`, `Infinity` and `-Infinity`, as Python's `json` module does.
    Tokens,
}

/// How a dialect's JSON differs from RFC 8259. The default does not differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Options {
    /// What becomes of floats that are not finite.
    pub non_finite: NonFinite,
    /// Whether bytes stand raw behind the value, and in it as `{"$bytes":[offset,length]}`. Otherwise they are arrays
    /// of numbers.
    pub bytes_behind: bool,
}

impl Options {
    /// Plain RFC 8259.
    pub const STRICT: Self = Self {
        non_finite: NonFinite::Refuse,
        bytes_behind: false,
    };

    /// RFC 8259 with bytes raw behind the value: what the native wire speaks.
    pub const NATIVE: Self = Self {
        non_finite: NonFinite::Refuse,
        bytes_behind: true,
    };

    /// What Python's `json` module writes and reads.
    pub const PYTHON: Self = Self {
        non_finite: NonFinite::Tokens,
        bytes_behind: false,
    };
}
