//! Params as a program gives them by name.

use super::probe::is_none;
use super::{Params, Spelling};
use crate::blocking::IntoInput;
use crate::call::Attachments;
use crate::callback::{Callback, NoReply};
use crate::stream::{Attachment, Incoming};
use mynah_codec::EncodeError;
use mynah_protocol::{ParamsShape, RpcError};
use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// One param, as a program gives it: a value, or what goes with a call beside its params ([`Attached`]).
pub trait IntoArg {
    /// What is written of it.
    type Param: Serialize + Send + 'static;

    /// What is written; what goes with it is attached to the call.
    fn into_arg(self, attachments: &mut Attachments) -> Self::Param;
}

impl<T: Serialize + Send + 'static> IntoArg for T {
    type Param = T;

    #[inline]
    fn into_arg(self, _: &mut Attachments) -> T {
        self
    }
}

/// All params in order, as a program gives them: a tuple with one element for each.
pub trait IntoArgs {
    /// What is written of them.
    type Params: Params + 'static;

    /// What is written; what goes with it is attached to the call.
    fn into_args(self, attachments: &mut Attachments) -> Self::Params;
}

/// A param that is more than its value: a stream or a function of this side, for the callee to take from or to call.
///
/// It ends with its call. A typed client makes it of what it is passed; a call by name is given it.
pub struct Attached<T> {
    param: T,
    attachment: Attachment,
}

impl<T> fmt::Debug for Attached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attached").field(&self.attachment).finish()
    }
}

impl<T: Serialize + Send + 'static> Attached<Incoming<T>> {
    /// A stream of items that the callee takes: its parameter is an [`Incoming`]. One goes with a call.
    ///
    /// A stream, or anything that can be iterated, as with a typed client. Through a
    /// [`blocking::Peer`](crate::blocking::Peer) an iterator is asked on the thread that waits for the call.
    pub fn stream<Via>(items: impl IntoInput<T, Via>) -> Self {
        let (param, attachment) = Incoming::outgoing(items);
        Self { param, attachment }
    }
}

impl<A: DeserializeOwned + Send + 'static> Attached<Callback<A, NoReply>> {
    /// A function that the callee tells something: its parameter is a `Callback<A>`.
    pub fn callback(told: impl FnMut(A) + Send + 'static) -> Self {
        let (param, attachment) = Callback::telling(told);
        Self { param, attachment }
    }
}

impl<A, R> Attached<Callback<A, R>>
where
    A: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    /// A function that the callee asks for something: its parameter is a `Callback<A, R>`.
    pub fn asking<F, U>(asked: F) -> Self
    where
        F: Fn(A) -> U + Send + Sync + 'static,
        U: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        let (param, attachment) = Callback::asking(asked);
        Self { param, attachment }
    }
}

impl<T: Serialize + Send + 'static> IntoArg for Attached<T> {
    type Param = T;

    fn into_arg(self, attachments: &mut Attachments) -> T {
        self.attachment.add_to(attachments);
        self.param
    }
}

/// Params with their names, one behind the other. Begins as `()`.
pub trait NamedParams: Send + 'static {
    /// How many are written: those that are `None` are not.
    fn present(&self) -> usize;

    /// Writes them, in the order in which they were given.
    ///
    /// # Errors
    /// Those of the serializer.
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

impl NamedParams for () {
    fn present(&self) -> usize {
        0
    }

    fn entries<M: SerializeMap>(&self, _: &mut M) -> Result<(), M::Error> {
        Ok(())
    }
}

/// One more param with its name, behind others.
#[derive(Debug)]
pub struct And<L, V> {
    before: L,
    name: Cow<'static, str>,
    value: V,
}

impl<L, V> And<L, V> {
    pub(crate) const fn new(before: L, name: Cow<'static, str>, value: V) -> Self {
        Self {
            before,
            name,
            value,
        }
    }
}

impl<L: NamedParams, V: Serialize + Send + 'static> NamedParams for And<L, V> {
    #[inline]
    fn present(&self) -> usize {
        self.before.present() + usize::from(!is_none(&self.value))
    }

    #[inline]
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.before.entries(map)?;
        if is_none(&self.value) {
            return Ok(());
        }
        map.serialize_entry(&*self.name, &self.value)
    }
}

impl<L: NamedParams, V: Serialize + Send + 'static> Params for And<L, V> {
    type Owned = Self;

    fn into_owned(self) -> Result<Self, EncodeError> {
        Ok(self)
    }

    fn shape(&self, spelling: &Spelling) -> Result<ParamsShape, &'static str> {
        match spelling.wire {
            ParamsShape::Positional if spelling.only => Err("named params"),
            _ => Ok(ParamsShape::Named),
        }
    }

    fn write<S: Serializer>(
        &self,
        _: ParamsShape,
        _: &Spelling,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.present()))?;
        self.entries(&mut map)?;
        map.end()
    }
}
