//! What is wrong with params that cannot be decoded, and where.
//!
//! Decoding that succeeds keeps no account of where it stands. Params that fail are decoded once more with that account;
//! the call is refused either way. The second time goes through an erased deserializer, so that it costs each type of
//! params one more copy of its code and not one for every format.

use crate::validate::{Fault, Faults, Step};
use mynah_codec::format::erased_serde;
use mynah_codec::{DecodeError, DecodeErrorKind, Format};
use mynah_protocol::{DecodeLimits, ErrorCode, RpcError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment, Track};
use std::cell::RefCell;
use std::marker::PhantomData;

/// The error that answers a call whose params cannot be decoded: -32602 with one entry of `data.errors`, or that they
/// exceed a limit.
#[cold]
#[inline(never)]
pub(crate) fn refused<P: DeserializeOwned>(
    error: &DecodeError,
    params: &[u8],
    format: Format,
    limits: &DecodeLimits,
    names: &'static [&'static str],
) -> Box<RpcError> {
    let kind = match error.kind() {
        DecodeErrorKind::TooDeep | DecodeErrorKind::TooLong | DecodeErrorKind::TooLarge => {
            let text = format!("invalid params: {error}");
            return Box::new(RpcError::new(ErrorCode::TOO_LARGE, text));
        }
        DecodeErrorKind::Shape | DecodeErrorKind::DuplicateKey => kind_of(error.detail()),
        DecodeErrorKind::InvalidUtf8 => "invalid_utf8",
        _ => "malformed",
    };
    let mut at = match error.kind() {
        DecodeErrorKind::Shape | DecodeErrorKind::DuplicateKey => {
            place::<P>(params, format, limits)
        }
        _ => Vec::new(),
    };
    // What is missing is missed where it would stand.
    if kind == MISSING
        && let Some(name) = error.detail().split('`').nth(1)
        && !at
            .last()
            .is_some_and(|last| matches!(last, Step::Name(known) if known == name))
    {
        at.push(Step::Name(name.to_owned().into()));
    }
    let mut faults = Faults::from(Fault::new(at, kind, error.to_string()));
    faults.name_params(names);
    faults.refuse_params()
}

/// The word for a field or param that is not there.
const MISSING: &str = "missing_field";

/// The word for what serde says of a shape.
fn kind_of(detail: &str) -> &'static str {
    const KINDS: &[(&str, &str)] = &[
        ("invalid type", "invalid_type"),
        ("invalid value", "invalid_value"),
        ("invalid length", "invalid_length"),
        ("missing field", MISSING),
        ("unknown field", "unknown_field"),
        ("unknown variant", "unknown_variant"),
        ("duplicate field", "duplicate_field"),
        ("the field", "duplicate_field"),
        ("param `", MISSING),
    ];
    let known = KINDS.iter().find(|(start, _)| detail.starts_with(start));
    known.map_or("invalid_value", |(_, kind)| kind)
}

thread_local! {
    /// Where the decoding that runs on this thread failed.
    static PLACE: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
}

/// Where decoding fails; empty when that cannot be said.
fn place<P: DeserializeOwned>(params: &[u8], format: Format, limits: &DecodeLimits) -> Vec<Step> {
    PLACE.take();
    match format.decode::<Tracked<P>>(params, limits) {
        Ok(_) | Err(_) => PLACE.take(),
    }
}

/// Decodes a value, throws it away, and keeps where it failed.
struct Tracked<P>(PhantomData<P>);

impl<'de, P: Deserialize<'de>> Deserialize<'de> for Tracked<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(deserializer);
        tracked::<P>(&mut erased).map_err(D::Error::custom)
    }
}

fn tracked<'de, P: Deserialize<'de>>(
    deserializer: &mut dyn erased_serde::Deserializer<'de>,
) -> Result<Tracked<P>, erased_serde::Error> {
    let mut track = Track::new();
    let decoded = P::deserialize(serde_path_to_error::Deserializer::new(
        deserializer,
        &mut track,
    ));
    match decoded {
        Ok(_) => Ok(Tracked(PhantomData)),
        Err(error) => {
            PLACE.set(steps(&track.path()));
            Err(error)
        }
    }
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Name(key.clone().into())),
        Segment::Enum { variant } => Some(Step::Name(variant.clone().into())),
        Segment::Unknown => None,
    };
    // A way that is not known to its end says more than none.
    path.iter().map_while(step).collect()
}
