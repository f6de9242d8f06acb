//! Why a contract, a schema or a manifest cannot be taken.

/// Why a contract, a schema or a manifest cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// The text is no JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// Something is missing, or is of another kind than it has to be.
    #[error("{at}: {expected} was expected")]
    Shape {
        /// Where, as names with dots between them.
        at: String,
        /// What has to be there.
        expected: &'static str,
    },
    /// A name is there twice.
    #[error("{what} \"{}\" is there twice", .name.escape_debug())]
    Duplicate {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name cannot be one.
    #[error("\"{}\" cannot be the name of a {what}: {why}", .name.escape_debug())]
    Name {
        /// What it would name.
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The text is longer than what is read.
    #[error("{bytes} bytes exceed the limit of {limit}")]
    TooLarge {
        /// How long it is, in bytes.
        bytes: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// It is nested more deeply than what is read.
    #[error("nested more than {limit} levels deep")]
    TooDeep {
        /// How deep it may be.
        limit: usize,
    },
    /// It would take too much work to look at.
    #[error(
        "too much to look at: the schemas have more than {limit} parts, counted as often as they are used"
    )]
    TooComplex {
        /// How many parts are looked at.
        limit: usize,
    },
    /// A schema refers to a definition that is not there.
    #[error("{at}: there is no definition for \"{}\"", .reference.escape_debug())]
    Reference {
        /// Where, as names with dots between them.
        at: String,
        /// What it refers to.
        reference: String,
    },
    /// The manifest is of a version that is not known here.
    #[error("manifest of version {0}, and this program knows version 1")]
    Version(u64),
    /// A hash does not belong to what it stands beside.
    #[error(
        "the hash of {0} is not that of its entry: the manifest was changed by hand, or in transit"
    )]
    Hash(String),
}

impl ContractError {
    pub(crate) fn shape(at: impl Into<String>, expected: &'static str) -> Self {
        Self::Shape {
            at: at.into(),
            expected,
        }
    }
}
