//! W3C trace context: which trace a call belongs to, and how that is said in metadata.

use mynah_protocol::Metadata;
use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// The entry of metadata that says which trace and span a call comes from.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// The entry that says what tracing systems want to hear of each other.
pub(crate) const TRACESTATE: &str = "tracestate";

/// A longer `tracestate`, or one of more members, is not passed on.
const MAX_STATE_BYTES: usize = 512;
const MAX_STATE_MEMBERS: usize = 32;

/// The place of a call in a trace, in the terms of the W3C: it travels in the entries `traceparent` and `tracestate` of
/// the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
    sampled: bool,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// A new trace, with a span that has no parent.
    pub(crate) fn root() -> Self {
        let mut trace_id = [0; 16];
        let (front, back) = trace_id.split_at_mut(8);
        front.copy_from_slice(&random_id());
        back.copy_from_slice(&random_id());
        Self {
            trace_id,
            span_id: random_id(),
            parent_id: None,
            sampled: true,
            state: None,
        }
    }

    /// A span of its own under this one.
    pub(crate) fn child(&self) -> Self {
        Self {
            span_id: random_id(),
            parent_id: Some(self.span_id),
            ..self.clone()
        }
    }

    /// What metadata says of the caller's span. `None` when it says nothing, or nothing of the right shape.
    #[must_use]
    pub fn from_metadata(metadata: &Metadata) -> Option<Self> {
        let mut context = Self::parse(metadata.value(TRACEPARENT)?)?;
        context.state = metadata
            .value(TRACESTATE)
            .filter(|state| is_state(state))
            .map(Into::into);
        Some(context)
    }

    /// Reads a `traceparent`: `00-<trace id>-<span id>-<flags>`, in lower case. A later version may say more at the end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const LEN: usize = 55;
        let bytes = text.as_bytes();
        let known = bytes.first_chunk::<LEN>()?;
        let [version] = hex::<1>(known.get(..2)?)?;
        match version {
            0xff => return None,
            0 if bytes.len() != LEN => return None,
            _ if bytes.len() > LEN && bytes.get(LEN) != Some(&b'-') => return None,
            _ => {}
        }
        if [2, 35, 52].iter().any(|at| known.get(*at) != Some(&b'-')) {
            return None;
        }
        let trace_id = hex::<16>(known.get(3..35)?)?;
        let span_id = hex::<8>(known.get(36..52)?)?;
        let [flags] = hex::<1>(known.get(53..)?)?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            parent_id: None,
            sampled: flags & 1 == 1,
            state: None,
        })
    }

    /// Says in metadata that a call comes from this span, unless it says something already.
    pub(crate) fn write(&self, metadata: &mut Metadata) {
        if metadata.value(TRACEPARENT).is_some() {
            return;
        }
        metadata.insert(TRACEPARENT, self.traceparent());
        if let Some(state) = &self.state {
            metadata.insert(TRACESTATE, state.clone());
        }
    }

    /// As it stands in `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            Hex(&self.trace_id),
            Hex(&self.span_id),
            u8::from(self.sampled)
        )
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span: the one of this call when a subscriber records it, the one of the caller otherwise.
    #[must_use]
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The span above, when it is known.
    #[must_use]
    pub const fn parent_id(&self) -> Option<[u8; 8]> {
        self.parent_id
    }

    /// Whether the caller records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// As it came in `tracestate`.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Bytes as they stand in a `traceparent`.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `N` bytes in lower case.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let pairs = text.as_chunks::<2>().0;
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// Whether a `tracestate` is of the right shape: members `key=value`, apart by commas.
fn is_state(text: &str) -> bool {
    let member = |member: &str| {
        let member = member.trim_matches([' ', '\t']);
        member.is_empty()
            || member
                .split_once('=')
                .is_some_and(|(key, value)| is_state_key(key) && is_state_value(value))
    };
    !text.is_empty()
        && text.len() <= MAX_STATE_BYTES
        && text.split(',').count() <= MAX_STATE_MEMBERS
        && text.split(',').all(member)
}

fn is_state_key(key: &str) -> bool {
    key.len() <= 256
        && key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
        })
}

fn is_state_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= 256
        && !value.ends_with(' ')
        && value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'=')
}

/// Eight bytes that nobody else is likely to have drawn, and not all zero. Not for secrets.
fn random_id() -> [u8; 8] {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
    }
    STATE.with(|state| {
        loop {
            // Splitmix64: each number once in 2^64.
            let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            state.set(next);
            let mixed = (next ^ next >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = mixed ^ mixed >> 31;
            if mixed != 0 {
                return mixed.to_be_bytes();
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_it_came() {
        let context = TraceContext::parse(PARENT).unwrap();
        assert_eq!(context.traceparent(), PARENT);
        assert!(context.is_sampled());
        assert_eq!(
            context.span_id(),
            [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
        );
        let child = context.child();
        assert_eq!(child.trace_id(), context.trace_id());
        assert_eq!(child.parent_id(), Some(context.span_id()));
        assert_ne!(child.span_id(), context.span_id());
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let wrong = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
        ];
        for text in wrong {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
        let later = format!("cc{}-what comes later", PARENT.strip_prefix("00").unwrap());
        assert!(TraceContext::parse(&later).is_some());
    }

    #[test]
    fn a_tracestate_of_another_shape_or_too_long_is_not_passed_on() {
        let with = |state: &str| {
            let mut metadata = Metadata::new();
            metadata.insert(TRACEPARENT, PARENT);
            metadata.insert(TRACESTATE, state);
            let context = TraceContext::from_metadata(&metadata).unwrap();
            context.state().map(str::to_owned)
        };
        for right in [
            "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE",
            "a@b=1,,c=2",
            "k= v",
        ] {
            assert_eq!(with(right).as_deref(), Some(right));
        }
        let many = vec!["a=b"; 33].join(",");
        let long = format!("a={}", "x".repeat(511));
        for wrong in [
            "",
            "a",
            "A=b",
            "a=",
            "a=b\u{7f}",
            "a=ü",
            "a=b=c",
            &many,
            &long,
        ] {
            assert_eq!(with(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn new_traces_differ() {
        let (one, other) = (TraceContext::root(), TraceContext::root());
        assert_ne!(one.trace_id(), other.trace_id());
        assert_ne!(one.span_id(), other.span_id());
        assert_eq!(
            TraceContext::parse(&one.traceparent()).unwrap().span_id(),
            one.span_id()
        );
    }
}
