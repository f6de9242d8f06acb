//! The suite for dialects.
//!
//! ```
//! use mynah::dialect::Native;
//!
//! mynah_testkit::dialect_suite! { native_json => Native::json() }
//! # fn main() {}
//! ```
//!
//! What a dialect's [`Profile`](mynah_protocol::Profile) says that it carries must arrive as it was; what the profile
//! does not name must be refused with nothing written. However the bytes are cut, the envelopes are the same; whatever
//! is done to the bytes, nothing panics. Below these cases stand whole calls between two peers.

mod bytes;
mod limits;
pub(crate) mod samples;
mod talk;
mod words;

use crate::calls::{self, Joint};
use crate::failure::{Because as _, Failure, Shown, Verdict};
use crate::transport::ByteEnd;
use mynah_codec::Dialect;
use mynah_protocol::{Evidence, EvidenceKey};

/// A case and its name.
struct Case {
    name: &'static str,
    run: fn(&dyn Dialect) -> Verdict,
}

const CASES: &[Case] = &[
    Case {
        name: "handshake",
        run: words::handshake,
    },
    Case {
        name: "round_trip",
        run: words::round_trip,
    },
    Case {
        name: "refusals",
        run: words::refusals,
    },
    Case {
        name: "frame_ends",
        run: words::frame_ends,
    },
    Case {
        name: "splits",
        run: bytes::splits,
    },
    Case {
        name: "need",
        run: bytes::need,
    },
    Case {
        name: "mutations",
        run: bytes::mutations,
    },
    Case {
        name: "sizes",
        run: limits::sizes,
    },
    Case {
        name: "depth",
        run: limits::depth,
    },
    Case {
        name: "large_messages",
        run: limits::large_messages,
    },
];

/// The names of the cases that look at envelopes and bytes.
pub fn cases() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.name)
}

/// The names of the cases that look at calls.
pub fn cases_of_calls() -> impl Iterator<Item = &'static str> {
    calls::names().chain(calls::names_over_bytes())
}

/// Runs a case by its name.
///
/// # Errors
/// [`Failure`] with what was seen, or when there is no such case.
pub fn check(case: &str, dialect: &dyn Dialect) -> Result<Shown, Failure> {
    let case = CASES.iter().find(|known| known.name == case);
    (case.because("there is no case of this name")?.run)(dialect)
}

/// Runs a case that looks at calls by its name, over a stream of bytes in memory.
///
/// # Errors
/// [`Failure`] with what was seen, or when there is no such case.
pub async fn check_calls(case: &str, dialect: &dyn Dialect) -> Result<Shown, Failure> {
    let evidence = Evidence::new().with(EvidenceKey::TRANSPORT, "duplex");
    let joint = Joint::over_bytes(
        || {
            let (near, far) = tokio::io::duplex(16 << 10);
            let ends = [
                ByteEnd::new(near, evidence.clone()),
                ByteEnd::new(far, evidence.clone()),
            ];
            Box::pin(async move {
                let [near, far] = ends;
                Ok((near, far))
            })
        },
        dialect,
    );
    calls::check(case, &joint).await
}
