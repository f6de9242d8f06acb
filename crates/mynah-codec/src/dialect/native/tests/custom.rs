//! Bodies in a format of the program's own.

use super::*;
use crate::DecodeError;
use crate::format::Visit;
use mynah_protocol::DecodeLimits;
use serde::de::Error as _;

/// JSON from behind: no scanner of another format finds where such a value ends.
#[derive(Debug)]
pub(super) struct Backwards(u16);

pub(super) static BACKWARDS: Backwards = Backwards(7);
static SIDEWAYS: Backwards = Backwards(8);

impl CustomFormat for Backwards {
    fn id(&self) -> u16 {
        self.0
    }

    fn encode(
        &self,
        value: &dyn erased_serde::Serialize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut text = Vec::new();
        Format::Json.encode(value, &mut text)?;
        out.extend(text.iter().rev());
        Ok(())
    }

    fn decode<'de>(
        &self,
        bytes: &'de [u8],
        limits: &DecodeLimits,
        visit: Visit<'_, 'de>,
    ) -> Result<(), DecodeError> {
        let text: Vec<u8> = bytes.iter().rev().copied().collect();
        Format::Json.scan(&text, limits)?;
        let mut value = serde_json::Deserializer::from_reader(std::io::Cursor::new(text));
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut value))
            .map_err(DecodeError::custom)
    }
}

const FORMAT: FormatId = FormatId::Other(7);

fn dial(format: &'static Backwards) -> NativeWire {
    NativeWire::dial(FormatId::Other(format.0), &Limits::default()).with_custom(format)
}

fn accept() -> NativeWire {
    NativeWire::accept(&Limits::default()).with_custom(&BACKWARDS)
}

#[test]
fn every_kind_survives_in_a_format_of_ones_own() {
    let mut out = Output::new();
    let mut wire = dial(&BACKWARDS);
    wire.own_output(&mut out);
    for envelope in samples(FORMAT) {
        wire.encode(&envelope, Lane::Data, &mut out).unwrap();
    }
    let bytes = taken(&mut out);
    assert_eq!(bytes[..8], *b"MYNAH\x01X\n");
    let mut other = accept();
    let mut seen = Vec::new();
    assert_eq!(read(&mut other, &bytes, &mut seen), 0);
    assert_eq!(seen[1..], samples(FORMAT)[..]);
    assert_eq!(other.profile().format, FORMAT);

    // What was encoded is decoded where the type is known.
    let Envelope::Request(request) = &seen[1] else {
        panic!("{seen:?}")
    };
    assert_eq!(request.params.as_slice(), b"]3,2[");
    let params = request.params.as_slice();
    let params = other.format().decode(params, &DecodeLimits::DEFAULT);
    assert_eq!(params, Ok((2, 3)));
    assert_eq!(
        other.format().scan(b"]3,2[", &DecodeLimits::DEFAULT),
        Ok(())
    );
    assert!(
        other
            .format()
            .scan(b"[2,3]", &DecodeLimits::DEFAULT)
            .is_err()
    );
}

#[test]
fn both_ends_must_have_the_same_format() {
    let said = |wire: &mut NativeWire| {
        let mut out = Output::new();
        wire.own_output(&mut out);
        taken(&mut out)
    };
    let error = |wire: &mut NativeWire, bytes: &[u8]| match wire.decode(bytes) {
        Ok(Step::Skip(len)) => wire.decode(&bytes[len..]).unwrap_err(),
        other => other.unwrap_err(),
    };
    // The number is another one.
    let bytes = said(&mut dial(&SIDEWAYS));
    let refused = error(&mut accept(), &bytes);
    assert_eq!(refused.code(), ErrorCode::VERSION_MISMATCH);
    let text = refused.to_string();
    assert!(
        text.contains("in format 8, this side's in format 7"),
        "{text}"
    );
    // The other side has none.
    let refused = error(&mut NativeWire::accept(&Limits::default()), &bytes);
    assert!(refused.to_string().contains("unknown here"), "{refused}");
    // A hello that does not say.
    let hello = framed(&encode(FormatId::Cbor, &(0, 1)));
    let refused = error(&mut accept(), &[b"MYNAH\x01X\n", &hello[..]].concat());
    assert!(refused.to_string().contains("in no format"), "{refused}");
    // One that accepts speaks the built-in formats as well.
    let mut wire = accept();
    let mut seen = Vec::new();
    read(&mut wire, &conversation(FormatId::Json), &mut seen);
    assert_eq!(seen[1..], samples(FormatId::Json)[..]);
    // It answers in the format that was asked for, and says so.
    let mut wire = accept();
    read(&mut wire, &said(&mut dial(&BACKWARDS)), &mut Vec::new());
    let answer = said(&mut wire);
    let mut seen = Vec::new();
    assert_eq!(read(&mut dial(&BACKWARDS), &answer, &mut seen), 0);
    assert!(matches!(&seen[..], [Envelope::Hello(_)]), "{seen:?}");
}
