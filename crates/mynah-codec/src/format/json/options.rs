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

/// How a text looks, where JSON leaves the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Style {
    /// No white space, characters beyond ASCII as they are, numbers as `serde_json` spells them.
    #[default]
    Compact,
    /// As Python's `json.dumps` does by default: a space behind commas and colons, nothing beyond ASCII, floats as
    /// Python's `repr` spells them.
    Python,
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
    /// How a text looks that is written.
    pub style: Style,
}

impl Options {
    /// Plain RFC 8259.
    pub const STRICT: Self = Self {
        non_finite: NonFinite::Refuse,
        bytes_behind: false,
        style: Style::Compact,
    };

    /// RFC 8259 with bytes raw behind the value: what the native wire speaks.
    pub const NATIVE: Self = Self {
        non_finite: NonFinite::Refuse,
        bytes_behind: true,
        style: Style::Compact,
    };

    /// What Python's `json` module reads, written without white space.
    pub const PYTHON: Self = Self {
        non_finite: NonFinite::Tokens,
        bytes_behind: false,
        style: Style::Compact,
    };

    /// What Python's `json.dumps` writes by default, and `json.loads` reads.
    pub const PYTHON_TEXT: Self = Self {
        style: Style::Python,
        ..Self::PYTHON
    };
}
