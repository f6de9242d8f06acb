//! Arrays and objects that are being written.

use super::key::Key;
use super::{Encoder, Refusal, Result};
use serde::ser::{self, Serialize};

/// An array or an object that is open.
pub(in crate::format::json) struct Compound<'a, 'out> {
    encoder: &'a mut Encoder<'out>,
    empty: bool,
    closing: &'static [u8],
}

impl<'a, 'out> Compound<'a, 'out> {
    #[inline]
    pub(super) fn open(
        encoder: &'a mut Encoder<'out>,
        bracket: u8,
        closing: &'static [u8],
    ) -> Self {
        encoder.out.push(bracket);
        Self {
            encoder,
            empty: true,
            closing,
        }
    }

    #[inline]
    fn separate(&mut self) {
        if !self.empty {
            self.encoder.comma();
        }
        self.empty = false;
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.separate();
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.encoder.check_key(key)?;
        self.separate();
        self.encoder.text(key);
        self.encoder.colon();
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn close(self) {
        self.encoder.raw(self.closing);
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident;)*) => { $(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        }
    )* };
}

macro_rules! fields {
    ($($trait:ident)*) => { $(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Refusal;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                self.field(key, value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.close();
                Ok(())
            }
        }
    )* };
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Refusal;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.separate();
        key.serialize(Key(&mut *self.encoder))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.encoder.colon();
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.close();
        Ok(())
    }
}
