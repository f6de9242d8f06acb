//! Params as they arrive: in any shape.

use crate::handler::{decode, refused};
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, RpcError};
use serde::de::{DeserializeOwned, DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// How a handler reads its params.
pub trait Reads<P>: Send + Sync + 'static {
    /// Reads them; the error is the one that travels.
    ///
    /// # Errors
    /// `INVALID_PARAMS` when they are of another shape, `TOO_LARGE` when they exceed the limits.
    fn read(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Result<P, Box<RpcError>>;

    /// The names of the params, in order, where they are known.
    fn names(&self) -> &'static [&'static str] {
        &[]
    }
}

/// As their type reads itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<P: DeserializeOwned> Reads<P> for Plain {
    #[inline]
    fn read(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Result<P, Box<RpcError>> {
        decode(params, format, limits, &[])
    }
}

/// What is known of the params of a method. Made by the macro; a service that is written by hand may have one too.
pub trait Signature: Send + Sync + 'static {
    /// All of them as one tuple, in order.
    type Params: ReadList;
    /// Their names, in order.
    const NAMES: &'static [&'static str];
    /// What stands in the place of those that are absent: a tuple with one element for each. Those that are an
    /// `Option` are `None` without it.
    const DEFAULTS: <Self::Params as ReadList>::Defaults;
    /// Whether there is one param, and it is all of the params as one object.
    const OBJECT: bool = false;
}

/// Params in the shape in which they arrive: an array, or a map from their names.
///
/// An array may lack elements at its end, and a map entries, where the signature has something in their place. Elements
/// beyond the last param and names that no param has are refused, and so is a name that comes twice unless the wire
/// says otherwise: what a caller has misspelled would be lost without a word.
pub struct Args<M: Signature>(pub M::Params);

impl<M: Signature> fmt::Debug for Args<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Args").field(&M::NAMES).finish()
    }
}

/// Reads params by a signature.
pub struct Spelled<M>(PhantomData<fn() -> M>);

impl<M> Spelled<M> {
    /// By this signature.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M> Default for Spelled<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> fmt::Debug for Spelled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spelled")
    }
}

impl<M: Signature> Reads<M::Params> for Spelled<M> {
    fn names(&self) -> &'static [&'static str] {
        M::NAMES
    }

    #[inline]
    fn read(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Result<M::Params, Box<RpcError>> {
        if M::OBJECT && format.is_array(params) == Some(false) {
            let whole = format.decode::<Whole<M>>(params, limits);
            return whole.map(|whole| whole.0).map_err(|error| {
                // What is wrong with the object stands in it, and not in a param before it.
                refused::<Whole<M>>(&error, params, format, limits, &[])
            });
        }
        if let Format::Custom(_) = format {
            // It may not say of itself what it is.
            let list = format.decode::<InOrder<M>>(params, limits);
            return list
                .map(|list| list.0)
                .map_err(|error| refused::<InOrder<M>>(&error, params, format, limits, M::NAMES));
        }
        let args = format.decode::<Args<M>>(params, limits);
        args.map(|args| args.0)
            .map_err(|error| refused::<Args<M>>(&error, params, format, limits, M::NAMES))
    }
}

/// Tuples that are read from any shape.
pub trait ReadList: Sized {
    /// What stands in the place of each element that is absent.
    type Defaults;

    /// Reads the elements in order.
    ///
    /// # Errors
    /// Those of the format; an element that is absent and has no default.
    fn from_array<'de, A: SeqAccess<'de>>(
        names: &'static [&'static str],
        defaults: Self::Defaults,
        array: A,
    ) -> Result<Self, A::Error>;

    /// Reads the elements by name.
    ///
    /// # Errors
    /// The same; a name that no element has, or that came before.
    fn from_map<'de, A: MapAccess<'de>>(
        names: &'static [&'static str],
        defaults: Self::Defaults,
        map: A,
    ) -> Result<Self, A::Error>;

    /// Reads the one element that is the whole.
    ///
    /// # Errors
    /// Those of the format; there is not exactly one element.
    fn from_object<'de, D: Deserializer<'de>>(object: D) -> Result<Self, D::Error>;
}

impl<'de, M: Signature> Deserialize<'de> for Args<M> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Shapes::<M>(PhantomData);
        deserializer
            .deserialize_struct("Params", M::NAMES, list)
            .map(Self)
    }
}

/// The same where only the order is to be relied on.
struct InOrder<M: Signature>(M::Params);

impl<'de, M: Signature> Deserialize<'de> for InOrder<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Shapes::<M>(PhantomData);
        deserializer
            .deserialize_tuple(M::NAMES.len(), list)
            .map(Self)
    }
}

/// The one object that is all of the params.
struct Whole<M: Signature>(M::Params);

impl<'de, M: Signature> Deserialize<'de> for Whole<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        M::Params::from_object(deserializer).map(Self)
    }
}

struct Shapes<M>(PhantomData<fn() -> M>);

impl<'de, M: Signature> Visitor<'de> for Shapes<M> {
    type Value = M::Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of params, or a map from their names")
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Self::Value, A::Error> {
        M::Params::from_array(M::NAMES, M::DEFAULTS, array)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::Params::from_map(M::NAMES, M::DEFAULTS, map)
    }
}

/// A name that one of the params has: its number.
pub(super) struct Key(pub(super) &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a param")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let found = self.0.iter().position(|known| *known == name);
        found.ok_or_else(|| {
            // Text of the peer: it is shown, and bounded.
            let shown: String = name.escape_debug().take(MAX_SHOWN).collect();
            if self.0.is_empty() {
                return E::custom(format_args!("unknown param `{shown}`: there are none"));
            }
            let known = self.0.join("`, `");
            E::custom(format_args!("unknown param `{shown}`: there are `{known}`"))
        })
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<usize, E> {
        match std::str::from_utf8(name) {
            Ok(name) => self.visit_str(name),
            Err(_no_text) => Err(E::custom("the name of a param is no text")),
        }
    }
}

/// How much of an unknown name is shown, in characters.
const MAX_SHOWN: usize = 64;
