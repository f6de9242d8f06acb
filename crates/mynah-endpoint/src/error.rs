//! What is wrong with a URL.

/// A URL that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no scheme, or an unknown one.
    #[error("\"{url}\" has no known scheme; known are {known}")]
    Scheme {
        /// The URL.
        url: String,
        /// What would be known.
        known: String,
    },
    /// The scheme is known, but this program was built without it.
    #[error(
        "\"{url}\": {scheme} was left out of this program; build it with the feature `{scheme}`"
    )]
    Feature {
        /// The URL.
        url: String,
        /// The scheme, which is the name of the feature too.
        scheme: &'static str,
    },
    /// What is behind the scheme is not enough, or wrong.
    #[error("\"{url}\": {what}")]
    Address {
        /// The URL.
        url: String,
        /// What is missing, or wrong.
        what: String,
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
        known: String,
    },
    /// An option that is given twice.
    #[error("\"{url}\": {option} is given twice")]
    Twice {
        /// The URL.
        url: String,
        /// The name of the option.
        option: String,
    },
}
