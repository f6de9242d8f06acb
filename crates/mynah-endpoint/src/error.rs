//! What is wrong with a URL.

/// A URL that names no endpoint.
///
/// What it says and holds may go to a log: the values of `arg` and `env`, of an option whose name speaks of a password, a
/// secret, a token, a key or a credential, and what stands before an `@` in `scheme://user:password@host`, are `…` in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no scheme, or an unknown one.
    #[error("\"{url}\" has no known scheme; known are {known}")]
    Scheme {
        /// The URL, without secrets.
        url: String,
        /// What would be known.
        known: String,
    },
    /// The scheme is known, but this program was built without it.
    #[error(
        "\"{url}\": {scheme} was left out of this program; build it with the feature `{feature}`"
    )]
    Feature {
        /// The URL, without secrets.
        url: String,
        /// The scheme.
        scheme: &'static str,
        /// The feature that has it.
        feature: &'static str,
    },
    /// What is behind the scheme is not enough, or wrong.
    #[error("\"{url}\": {what}")]
    Address {
        /// The URL, without secrets.
        url: String,
        /// What is missing, or wrong.
        what: String,
    },
    /// An option that is unknown, or has an unknown value.
    #[error("\"{url}\": {option}={value} is unknown; {known}")]
    Option {
        /// The URL, without secrets.
        url: String,
        /// The name of the option.
        option: String,
        /// Its value, or `…`.
        value: String,
        /// What would be known.
        known: String,
    },
    /// An option that is given twice.
    #[error("\"{url}\": {option} is given twice")]
    Twice {
        /// The URL, without secrets.
        url: String,
        /// The name of the option.
        option: String,
    },
}
