//! The params of a call: how they are written on a wire, and read from any.

mod absent;
mod given;
mod lists;
mod object;
mod probe;
mod read;

pub use given::{And, Attached, IntoArg, IntoArgs, NamedParams};
pub use object::Object;
pub use read::{Args, Plain, ReadList, Reads, Signature, Spelled};

use crate::call::WireFormat;
use crate::encoded::EncodedBuffer;
use crate::error::CallError;
use crate::method::Target;
use mynah_codec::{EncodeError, Format};
use mynah_protocol::ParamsShape;
use serde::{Serialize, Serializer};

/// The params of a call, as whoever makes it gives them: a tuple with one element for each, in order; an [`Object`] that
/// is all of them; or names with values, as [`arg`](crate::CallBuilder::arg) gathers them.
///
/// A wire has a spelling of its own ([`Profile::params`](mynah_protocol::Profile)), and the call is written in it:
///
/// | given as | wire with positions | wire with names | wire with one object |
/// |---|---|---|---|
/// | a tuple, of a method whose names are known | array | map | map |
/// | a tuple, of a name known at run time | array | refused | refused |
/// | the one object of a method, or an [`Object`] | array of it, or it | it | it |
/// | names | map, or refused | map | map |
///
/// What is refused is [`CallError::Unsupported`], and nothing is written; a wire that takes any spelling (native does)
/// refuses nothing, and has an object as it is. A param that is `None` is not written, where the method says that it
/// may be absent, and by name always: not its name, nor its place at the end of an array; before another it is null.
/// Who wants a null written by name gives `()`. An object is written as it writes itself.
pub trait Params: Send {
    /// The same as a value that lives as long as it has to: for calls that outlive the place where they are made.
    type Owned: Params + 'static;

    /// Makes it one.
    ///
    /// # Errors
    /// [`EncodeError`] when a part of it refuses to be written.
    fn into_owned(self) -> Result<Self::Owned, EncodeError>;

    /// In which shape they are written. `spelling` says what the wire and the method allow.
    ///
    /// # Errors
    /// What the wire would have to be able to say, in a word or two.
    fn shape(&self, spelling: &Spelling) -> Result<ParamsShape, &'static str>;

    /// Writes them in this shape.
    ///
    /// # Errors
    /// Those of the serializer.
    fn write<S: Serializer>(
        &self,
        shape: ParamsShape,
        spelling: &Spelling,
        serializer: S,
    ) -> Result<S::Ok, S::Error>;
}

/// What is known of a call when its params are written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spelling {
    /// How the wire spells params.
    pub wire: ParamsShape,
    /// Whether it has no other way.
    pub only: bool,
    /// The names of the method's params, where they are known.
    pub names: Option<&'static [&'static str]>,
    /// Whether the method takes one object that is all of its params.
    pub object: bool,
    /// Which params may be absent: the first is the lowest bit.
    pub optional: u16,
}

impl Spelling {
    #[inline]
    fn of(target: &Target, wire: &WireFormat) -> Self {
        let (names, object, optional) = match target {
            Target::Method(info) => (Some(info.params()), info.takes_object(), info.optional()),
            // What every peer has takes what it is given: a callback may be told `None`.
            Target::Named { .. } if target.is_built_in() => (None, false, 0),
            // Nobody knows which may be absent: whoever says `None` says it.
            Target::Named { .. } => (None, false, u16::MAX),
        };
        if let Format::Custom(_) = wire.format {
            // It may not say what is an array and what is a map, nor how many elements there are.
            return Self {
                wire: ParamsShape::Positional,
                only: true,
                names,
                object,
                optional: 0,
            };
        }
        Self {
            wire: wire.params,
            // What every peer has is spelled in one way everywhere.
            only: wire.only_params && !target.is_built_in(),
            names,
            object,
            optional,
        }
    }

    /// The shape of an object that is all of the params.
    const fn of_object(&self) -> ParamsShape {
        match self.wire {
            ParamsShape::Positional if self.only => ParamsShape::Positional,
            _ => ParamsShape::Object,
        }
    }

    /// Whether the param of this number is not written when it is `None`.
    #[inline]
    const fn may_lack(&self, index: usize) -> bool {
        self.optional != 0 && self.optional >> index & 1 == 1
    }
}

/// Params in the shape of a wire.
struct Written<'a, P> {
    params: &'a P,
    shape: ParamsShape,
    spelling: Spelling,
}

impl<P: Params> Serialize for Written<'_, P> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.params.write(self.shape, &self.spelling, serializer)
    }
}

/// Encodes the params of a call for a wire.
#[inline]
pub(crate) fn encode<P: Params>(
    params: &P,
    target: &Target,
    wire: &WireFormat,
    buffer: &mut EncodedBuffer,
) -> Result<(), CallError> {
    let spelling = Spelling::of(target, wire);
    let shape = params
        .shape(&spelling)
        .map_err(|feature| CallError::Unsupported {
            dialect: wire.dialect,
            feature,
        })?;
    let written = Written {
        params,
        shape,
        spelling,
    };
    buffer
        .push(wire.format, &written)
        .map_err(CallError::Encode)
}

#[cfg(test)]
mod tests;
