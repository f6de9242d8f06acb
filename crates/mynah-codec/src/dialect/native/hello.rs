//! What a side says of itself at the start: a version, and a map that both sides may add to.

use super::head::Head;
use super::read::ReadLimits;
use super::{NAME, VERSION};
use crate::{EncodeError, Format, WireError};
use mynah_protocol::{Envelope, FormatId, Hello, MoreHello, Opaque, Value};
use std::collections::BTreeMap;

/// Names in the map.
mod name {
    pub(super) const MAX_MESSAGE_BYTES: &str = "max_message_bytes";
    pub(super) const CALLS_IN_FLIGHT: &str = "calls_in_flight";
    pub(super) const PARTIAL_MESSAGES: &str = "partial_messages";
    pub(super) const FORMAT: &str = "format";
    pub(super) const AGENT: &str = "agent";
    pub(super) const VERSIONS: &str = "versions";
    pub(super) const FEATURES: &str = "features";
    pub(super) const SESSION: &str = "session";
    pub(super) const ACK: &str = "ack";
    pub(super) const CONTRACTS: &str = "contracts";
}

/// The most bytes of the map.
const MAX_BYTES: usize = 64 << 10;
/// The most entries of the map, features, and contracts.
const MAX_ENTRIES: usize = 1024;
/// The most bytes of one text or one opaque thing.
const MAX_TEXT: usize = 256;

/// Reads what follows the kind.
pub(super) fn read<'b, H: Head<'b>>(
    mut head: H,
    format: Format,
    limits: &ReadLimits,
) -> Result<Envelope<'b>, WireError> {
    let version = head.uint()?;
    // First of all: another version may mean something else by what follows.
    if version != u64::from(VERSION) {
        return Err(other_version(version));
    }
    let mut hello = Hello::version(version);
    let abilities = if head.more()? && !head.null()? {
        let raw = head.raw(&limits.decode)?;
        if raw.len() > MAX_BYTES {
            return Err(broken(&format!(
                "hello of {} bytes exceeds limit of {MAX_BYTES}",
                raw.len()
            )));
        }
        let mut decode = limits.decode;
        decode.max_collection_len = MAX_ENTRIES;
        match format.decode(raw, &decode)? {
            Value::Map(entries) => entries,
            _ => return Err(broken("hello holds something else than a map")),
        }
    } else {
        Vec::new()
    };
    head.body(&limits.decode)?;
    for (key, value) in abilities {
        // What is null was not said.
        if let (Value::Text(key), false) = (key, value == Value::Null) {
            entry(&mut hello, &key, value)?;
        }
    }
    Ok(Envelope::Hello(hello))
}

fn entry(hello: &mut Hello<'_>, key: &str, value: Value) -> Result<(), WireError> {
    let wrong = |wanted: &str| broken(&format!("{key} of a hello is not {wanted}"));
    match key {
        name::MAX_MESSAGE_BYTES => {
            hello.max_message_bytes = Some(value.as_u64().ok_or_else(|| wrong("a size"))?);
        }
        name::CALLS_IN_FLIGHT => {
            hello.calls_in_flight = Some(value.as_u64().ok_or_else(|| wrong("a number"))?);
        }
        name::PARTIAL_MESSAGES => {
            hello.more_mut().partial_messages =
                Some(value.as_u64().ok_or_else(|| wrong("a number"))?);
        }
        name::FORMAT => {
            hello.more_mut().format = Some(value.as_u64().ok_or_else(|| wrong("a number"))?);
        }
        name::AGENT => hello.agent = text(value).ok_or_else(|| wrong("a short text"))?.into(),
        name::VERSIONS => {
            let range = match value.as_array() {
                Some([oldest, newest]) => oldest.as_u64().zip(newest.as_u64()),
                _ => None,
            };
            let spoken = hello.version;
            let range = range.filter(|(oldest, newest)| (*oldest..=*newest).contains(&spoken));
            hello.more_mut().versions =
                Some(range.ok_or_else(|| wrong("a range around the version"))?);
        }
        name::FEATURES => {
            let Value::Array(features) = value else {
                return Err(wrong("a list of short texts"));
            };
            hello.more_mut().features = features
                .into_iter()
                .map(|feature| text(feature).map(String::into_boxed_str))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("a list of short texts"))?;
        }
        name::SESSION => {
            hello.more_mut().session =
                Some(opaque(value).ok_or_else(|| wrong("a short text or few bytes"))?);
        }
        name::ACK => {
            hello.more_mut().ack = Some(value.as_u64().ok_or_else(|| wrong("a number"))?);
        }
        name::CONTRACTS => {
            let Value::Map(contracts) = value else {
                return Err(wrong("a map of short texts or few bytes"));
            };
            hello.more_mut().contracts = contracts
                .into_iter()
                .map(|(service, hash)| Some((text(service)?.into_boxed_str(), opaque(hash)?)))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong("a map of short texts or few bytes"))?;
        }
        _ => {}
    }
    Ok(())
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) if text.len() <= MAX_TEXT => Some(text),
        _ => None,
    }
}

fn opaque(value: Value) -> Option<Opaque> {
    match value {
        Value::Bytes(bytes) if bytes.len() <= MAX_TEXT => Some(Opaque::Bytes(bytes.into())),
        other => text(other).map(|text| Opaque::Text(text.into())),
    }
}

#[cold]
pub(super) fn other_version(version: u64) -> WireError {
    WireError::Handshake {
        dialect: NAME,
        detail: format!("peer speaks version {version}, this side version {VERSION}"),
    }
}

fn broken(detail: &str) -> WireError {
    WireError::Violation {
        dialect: NAME,
        detail: detail.to_owned(),
    }
}

/// The map as it is written: what is not set is not said.
pub(super) fn abilities(hello: &Hello<'_>, id: FormatId) -> Result<Value, EncodeError> {
    let mut entries = Vec::new();
    let mut say = |name: &str, value: Value| entries.push((Value::from(name), value));
    if let Some(limit) = hello.max_message_bytes {
        say(name::MAX_MESSAGE_BYTES, limit.into());
    }
    if let Some(limit) = hello.calls_in_flight {
        say(name::CALLS_IN_FLIGHT, limit.into());
    }
    if !hello.agent.is_empty() {
        say(name::AGENT, (&*hello.agent).into());
    }
    if let Some(more) = &hello.more {
        let MoreHello {
            versions,
            partial_messages,
            format,
            features,
            session,
            ack,
            contracts,
            ..
        } = &**more;
        if let Some(messages) = partial_messages {
            say(name::PARTIAL_MESSAGES, (*messages).into());
        }
        if let Some(number) = format {
            say(name::FORMAT, (*number).into());
        }
        if let Some((oldest, newest)) = versions {
            say(
                name::VERSIONS,
                [Value::from(*oldest), Value::from(*newest)].into(),
            );
        }
        if !features.is_empty() {
            let features = features.iter().map(|feature| Value::from(&**feature));
            say(name::FEATURES, features.collect());
        }
        if let Some(session) = session {
            say(name::SESSION, written(session, id)?);
        }
        if let Some(ack) = ack {
            say(name::ACK, (*ack).into());
        }
        if !contracts.is_empty() {
            let mut said = Vec::with_capacity(contracts.len());
            for (service, hash) in contracts {
                said.push((Value::from(&**service), written(hash, id)?));
            }
            say(name::CONTRACTS, Value::Map(said));
        }
    }
    Ok(Value::Map(entries))
}

/// The most contracts of which a hello says something: with the longest names it stays below what is read.
const MAX_CONTRACTS: usize = 256;

/// The hashes of contracts as a hello in a format says them: as hexadecimal digits where there are no bytes.
pub(super) fn as_said(
    contracts: BTreeMap<Box<str>, Opaque>,
    id: FormatId,
) -> BTreeMap<Box<str>, Opaque> {
    let short = |service: &str, hash: &Opaque| {
        service.len() <= MAX_TEXT / 2 && hash.as_slice().len() <= MAX_TEXT / 2
    };
    contracts
        .into_iter()
        .filter(|(service, hash)| short(service, hash))
        .take(MAX_CONTRACTS)
        .map(|(service, hash)| match hash {
            Opaque::Bytes(bytes) if id == FormatId::Json => {
                let mut text = String::with_capacity(bytes.len() * 2);
                for byte in bytes.iter() {
                    text.extend(
                        [byte >> 4, byte & 15]
                            .map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()),
                    );
                }
                (service, Opaque::Text(text.into()))
            }
            other => (service, other),
        })
        .collect()
}

fn written(opaque: &Opaque, id: FormatId) -> Result<Value, EncodeError> {
    match opaque {
        Opaque::Text(text) => Ok((&**text).into()),
        Opaque::Bytes(_) if id == FormatId::Json => Err(EncodeError::Value(
            "a hello in JSON has no bytes: a session and the hashes of contracts are texts there"
                .to_owned(),
        )),
        Opaque::Bytes(bytes) => Ok((&**bytes).into()),
    }
}
