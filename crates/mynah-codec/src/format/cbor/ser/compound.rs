//! What has parts: arrays, maps, and tuple structs, which may be tags in disguise.

use super::super::head;
use super::{Encoder, Failure, Result, close_open_head, length, write_text};
use serde::Serialize;
use serde::ser;

/// The elements of an array or the entries of a map that is being written.
#[derive(Debug)]
pub(in super::super) struct Elements<'a> {
    out: &'a mut Vec<u8>,
    major: u8,
    /// Where the head is; one byte is kept for it when the length is not known yet.
    at: usize,
    announced: Option<usize>,
    written: usize,
}

impl<'a> Elements<'a> {
    #[inline]
    pub(super) fn open(out: &'a mut Vec<u8>, major: u8, announced: Option<usize>) -> Self {
        let at = out.len();
        match announced {
            Some(len) => head::write(out, major, length(len)),
            None => out.push(major),
        }
        Self {
            out,
            major,
            at,
            announced,
            written: 0,
        }
    }

    #[inline]
    pub(super) fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.written += 1;
        value.serialize(Encoder(self.out))
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.written += 1;
        write_text(self.out, key);
        value.serialize(Encoder(self.out))
    }

    #[inline]
    fn close(self) -> Result {
        // A wrong length would shift everything behind it, on the wire of every other call too.
        match self.announced {
            Some(announced) if announced == self.written => Ok(()),
            Some(announced) => Err(wrong_count(announced, self.written)),
            None => {
                close_open_head(self.out, self.at, self.major, self.written);
                Ok(())
            }
        }
    }
}

#[cold]
fn wrong_count(announced: usize, written: usize) -> Failure {
    Failure::value(format!(
        "{announced} elements were announced and {written} were written"
    ))
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeTupleVariant for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeMap for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.element(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(Encoder(self.out))
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeStruct for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.field(key, value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

impl ser::SerializeStructVariant for Elements<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.field(key, value)
    }

    #[inline]
    fn end(self) -> Result {
        self.close()
    }
}

/// A tuple struct, or a tag in the guise of one (see [`TAG_NAME`]).
#[derive(Debug)]
pub(in super::super) enum TupleStruct<'a> {
    Plain(Elements<'a>),
    /// The number of the tag is next.
    TagNumber(&'a mut Vec<u8>),
    /// The tagged value is next.
    TagContent(&'a mut Vec<u8>),
    /// The number of the simple value is next.
    SimpleNumber(&'a mut Vec<u8>),
    /// The guise is complete.
    Done,
}

impl TupleStruct<'_> {
    #[cold]
    fn guise_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        match std::mem::replace(self, Self::Done) {
            Self::TagNumber(out) => {
                let at = out.len();
                value.serialize(Encoder(out))?;
                // The number is an unsigned integer so far; a tag differs in its major type alone.
                match out.get_mut(at) {
                    Some(first) if *first <= head::INFO => *first |= head::TAG,
                    _ => {
                        return Err(Failure::value(
                            "the number of a tag is not an unsigned integer",
                        ));
                    }
                }
                *self = Self::TagContent(out);
                Ok(())
            }
            Self::TagContent(out) => value.serialize(Encoder(out)),
            Self::SimpleNumber(out) => {
                let at = out.len();
                value.serialize(Encoder(out))?;
                let (first, second) = match out.get(at..) {
                    Some(&[short @ 0..=23]) => (head::SIMPLE | short, None),
                    Some(&[24, long @ 32..=255]) => (head::SIMPLE_BYTE, Some(long)),
                    _ => return Err(Failure::value("there is no simple value of this number")),
                };
                out.truncate(at);
                out.push(first);
                out.extend(second);
                Ok(())
            }
            Self::Plain(_) | Self::Done => Err(Failure::value("a tag holds one value")),
        }
    }
}

impl ser::SerializeTupleStruct for TupleStruct<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        match self {
            Self::Plain(elements) => elements.element(value),
            _ => self.guise_field(value),
        }
    }

    #[inline]
    fn end(self) -> Result {
        match self {
            Self::Plain(elements) => elements.close(),
            Self::Done => Ok(()),
            _ => Err(Failure::value("a tag holds one value")),
        }
    }
}
