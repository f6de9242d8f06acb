//! One value that is the whole of the input.

use super::{KeyRule, Kind, Scan, Scanner, is_blank};
use crate::DecodeError;
use crate::format::json::area;
use crate::format::json::check_size;
use crate::format::json::options::{NonFinite, Options};
use mynah_protocol::DecodeLimits;

/// Checks that `bytes` are exactly one value within `limits`, apart from white space around it, with
/// the verdict that decoding gives.
///
/// # Errors
/// [`DecodeError`] when they are not.
pub fn scan(bytes: &[u8], limits: &DecodeLimits) -> Result<(), DecodeError> {
    scan_with(bytes, limits, Options::STRICT)
}

/// Checks that `bytes` are exactly one value, in the JSON of a foreign dialect.
///
/// # Errors
/// As [`scan`].
pub fn scan_with(bytes: &[u8], limits: &DecodeLimits, options: Options) -> Result<(), DecodeError> {
    check_size(bytes, limits)?;
    let mut scanner = Scanner::with_options(&unsized_limits(limits), options);
    let end = value_end(bytes, &mut scanner)?;
    check_rest(bytes, end, options)
}

/// Where the one value ends that the bytes begin with, white space before it included.
pub(in crate::format::json) fn value_len(
    bytes: &[u8],
    limits: &DecodeLimits,
    options: Options,
) -> Result<usize, DecodeError> {
    let tokens = options.non_finite == NonFinite::Tokens;
    let mut scanner = Scanner::with_rule(&unsized_limits(limits), tokens, KeyRule::Ignore);
    value_end(bytes, &mut scanner)
}

/// Where the keys start, ascending, that have the same key behind them in the same object.
pub(in crate::format::json) fn overridden_keys(
    bytes: &[u8],
    limits: &DecodeLimits,
    options: Options,
) -> Result<Vec<usize>, DecodeError> {
    let tokens = options.non_finite == NonFinite::Tokens;
    let mut scanner = Scanner::with_rule(&unsized_limits(limits), tokens, KeyRule::Record);
    let end = value_end(bytes, &mut scanner)?;
    check_rest(bytes, end, options)?;
    let blank = bytes.iter().take_while(|byte| is_blank(**byte)).count();
    let mut overridden = scanner.overridden;
    for key in &mut overridden {
        *key += blank;
    }
    overridden.sort_unstable();
    Ok(overridden)
}

/// The limits for a value whose size has been checked. The scanner would count white space at the
/// end of a value that is cut off, as it must while the value may go on.
const fn unsized_limits(limits: &DecodeLimits) -> DecodeLimits {
    DecodeLimits {
        max_message_bytes: usize::MAX,
        ..*limits
    }
}

fn value_end(bytes: &[u8], scanner: &mut Scanner) -> Result<usize, DecodeError> {
    let blank = bytes.iter().take_while(|byte| is_blank(**byte)).count();
    let value = bytes.get(blank..).unwrap_or_default();
    let len = match scanner.advance(value) {
        Ok(Scan::Done(len)) => Ok(len),
        Ok(_) => scanner.finish(),
        Err(error) => Err(error),
    };
    match len {
        Ok(len) => Ok(blank + len),
        Err(error) => {
            let offset = blank + error.offset();
            Err(error.at(offset))
        }
    }
}

/// Checks what stands behind the value.
fn check_rest(bytes: &[u8], end: usize, options: Options) -> Result<(), DecodeError> {
    let (text, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    if options.bytes_behind {
        return area::check(text, rest);
    }
    if let Some(trailing) = rest.iter().position(|byte| !is_blank(*byte)) {
        let detail = "something is left over behind the value";
        return Err(DecodeError::new(Kind::Trailing, detail, end + trailing));
    }
    Ok(())
}
