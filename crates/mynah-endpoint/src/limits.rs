//! Options that change limits.

use crate::error::EndpointError;
use crate::query::Query;
use mynah_protocol::Limits;
use std::time::Duration;

/// What a URL says about limits: it holds in place of what the program or the dialect says, and the rest is left alone.
///
/// An option has the name of its field of [`Limits`]. Bytes are written as a number, or as one of `KiB`, `MiB`, `GiB`:
/// `64KiB`. Times are a number and a unit, `ms`, `s`, `m` or `h`: `250ms`. `never` switches off what can be switched off.
#[derive(Clone, Debug, Default)]
pub struct LimitChanges(Vec<Change>);

#[derive(Clone, Copy, Debug)]
enum Change {
    Size(Size, usize),
    Count(Count, u32),
    Time(Time, Duration),
    Silence(Silence, Option<Duration>),
}

type Size = fn(&mut Limits) -> &mut usize;
type Count = fn(&mut Limits) -> &mut u32;
type Time = fn(&mut Limits) -> &mut Duration;
type Silence = fn(&mut Limits) -> &mut Option<Duration>;

/// A limit that a URL can change.
struct Row {
    option: &'static str,
    field: Field,
}

/// Where it stands in [`Limits`], and what a value of it is.
enum Field {
    /// Bytes, at least one.
    Bytes(Size),
    /// A number of at least so many.
    Number(Size, usize),
    /// The same in 32 bits.
    Count(Count, u32),
    /// Bytes in 32 bits, at least one.
    Bytes32(Count),
    /// A time.
    Time(Time),
    /// A time, or never.
    Silence(Silence),
}

macro_rules! rows {
    ($( $option:literal: $kind:ident($($field:ident).+ $(, $least:literal)?); )*) => {
        &[$( Row {
            option: $option,
            field: Field::$kind(|limits| &mut limits.$($field).+ $(, $least)?),
        } ),*]
    };
}

const ROWS: &[Row] = rows! {
    "max_message_bytes": Bytes(decode.max_message_bytes);
    "max_depth": Count(decode.max_depth, 1);
    "max_collection_len": Number(decode.max_collection_len, 1);
    "calls_in_flight": Count(calls_in_flight, 1);
    "outgoing_calls": Count(outgoing_calls, 1);
    "output_high_water_bytes": Bytes(output_high_water_bytes);
    "control_bytes": Bytes(control_bytes);
    "side_messages": Number(side_messages, 0);
    "stream_items": Count(stream_items, 1);
    "stream_bytes": Bytes32(stream_bytes);
    "callbacks": Number(callbacks, 0);
    "subscriptions": Number(subscriptions, 0);
    "max_name_bytes": Bytes(max_name_bytes);
    "max_id_bytes": Bytes(max_id_bytes);
    "max_metadata_entries": Number(max_metadata_entries, 0);
    "max_metadata_bytes": Number(max_metadata_bytes, 0);
    "connections": Number(connections, 1);
    "waiting_connections": Number(waiting_connections, 0);
    "admission_timeout": Time(admission_timeout);
    "handshake_timeout": Time(handshake_timeout);
    "idle_timeout": Silence(idle_timeout);
    "keep_alive": Silence(keep_alive);
    "write_timeout": Time(write_timeout);
    "violation_budget": Count(violation_budget, 0);
    "max_deadline": Silence(max_deadline);
};

impl LimitChanges {
    /// Takes every option that names a limit.
    pub(crate) fn read(query: &mut Query<'_>) -> Result<Self, EndpointError> {
        let mut changes = Vec::new();
        for row in ROWS {
            let known = format!("{} is {}", row.option, row.field.known());
            let change = query.take(row.option, &known, |value| row.field.read(value))?;
            changes.extend(change);
        }
        Ok(Self(changes))
    }

    /// The names of all limits that a URL can change.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.option)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These limits, changed.
    #[must_use]
    pub fn apply_to(&self, mut limits: Limits) -> Limits {
        for change in &self.0 {
            match *change {
                Change::Size(field, value) => *field(&mut limits) = value,
                Change::Count(field, value) => *field(&mut limits) = value,
                Change::Time(field, value) => *field(&mut limits) = value,
                Change::Silence(field, value) => *field(&mut limits) = value,
            }
        }
        limits
    }
}

impl Field {
    fn known(&self) -> String {
        match self {
            Self::Bytes(_) | Self::Bytes32(_) => BYTES.to_owned(),
            Self::Number(_, least) => format!("a number, {least} and more"),
            Self::Count(_, least) => format!("a number, {least} to {}", u32::MAX),
            Self::Time(_) => "a time above zero, such as 250ms, 10s, 5m or 1h".to_owned(),
            Self::Silence(_) => {
                "a time above zero, such as 250ms, 10s, 5m or 1h, or never".to_owned()
            }
        }
    }

    fn read(&self, value: &str) -> Option<Change> {
        match *self {
            Self::Bytes(field) => bytes(value).map(|bytes| Change::Size(field, bytes)),
            Self::Bytes32(field) => {
                let bytes = u32::try_from(bytes(value)?).ok()?;
                Some(Change::Count(field, bytes))
            }
            Self::Number(field, least) => {
                let number = digits(value)?;
                (number >= least).then_some(Change::Size(field, number))
            }
            Self::Count(field, least) => {
                let number = u32::try_from(digits(value)?).ok()?;
                (number >= least).then_some(Change::Count(field, number))
            }
            Self::Time(field) => time(value).map(|time| Change::Time(field, time)),
            Self::Silence(field) if value == "never" => Some(Change::Silence(field, None)),
            Self::Silence(field) => time(value).map(|time| Change::Silence(field, Some(time))),
        }
    }
}

/// What [`bytes`] reads.
pub(crate) const BYTES: &str = "a number of bytes, 1 and more, such as 65536, 64KiB or 16MiB";

/// A number without a sign.
fn digits(text: &str) -> Option<usize> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(())?;
    text.parse().ok()
}

pub(crate) fn bytes(text: &str) -> Option<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units
        .iter()
        .find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let bytes = digits(number)?.checked_mul(unit)?;
    (bytes > 0).then_some(bytes)
}

/// Times are cut to a year, so that adding one to a moment never overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A time with its unit, above zero.
pub(crate) fn time(text: &str) -> Option<Duration> {
    // "ms" before "s" and "m".
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, millis)| Some((text.strip_suffix(name)?, *millis)))?;
    let millis = u64::try_from(digits(number)?).ok()?.checked_mul(unit)?;
    (millis > 0).then(|| Duration::from_millis(millis).min(LONGEST))
}
