//! Tuples as params.

use super::absent::absent;
use super::probe::is_none;
use super::read::Key;
use super::{IntoArg, IntoArgs, Params, ReadList, Spelling};
use crate::call::Attachments;
use mynah_codec::EncodeError;
use mynah_protocol::ParamsShape;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess};
use serde::ser::{self, Serialize, SerializeStruct as _, SerializeTuple as _, Serializer};

const TWICE: &str = "a param comes twice";

#[inline]
fn name_of(names: &'static [&'static str], index: usize) -> &'static str {
    names.get(index).copied().unwrap_or_default()
}

/// The shape of params whose order is known.
#[inline]
fn shape_of_list(spelling: &Spelling, len: usize) -> Result<ParamsShape, &'static str> {
    if spelling.object {
        return Ok(spelling.of_object());
    }
    match spelling.wire {
        ParamsShape::Positional => Ok(ParamsShape::Positional),
        _ if spelling.names.is_some() || len == 0 => Ok(ParamsShape::Named),
        _ if spelling.only => Err("positional params"),
        _ => Ok(ParamsShape::Positional),
    }
}

macro_rules! list {
    ($count:literal $($type:ident $value:ident $index:tt)*) => {
        impl<$($type: Serialize + Send + 'static),*> Params for ($($type,)*) {
            type Owned = Self;

            #[inline]
            fn into_owned(self) -> Result<Self, EncodeError> {
                Ok(self)
            }

            #[inline]
            fn shape(&self, spelling: &Spelling) -> Result<ParamsShape, &'static str> {
                shape_of_list(spelling, $count)
            }

            #[inline]
            fn write<S: Serializer>(
                &self,
                shape: ParamsShape,
                spelling: &Spelling,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let ($($value,)*) = self;
                if shape == ParamsShape::Positional && spelling.optional == 0 {
                    let array = serializer.serialize_tuple($count)?;
                    return list!(@elements array $($value)*);
                }
                list!(@object shape serializer $($value)*);
                let present: [bool; $count] =
                    [$(!(spelling.may_lack($index) && is_none($value))),*];
                if shape == ParamsShape::Positional {
                    let len = present.iter().rposition(|present| *present).map_or(0, |last| last + 1);
                    let array = serializer.serialize_tuple(len)?;
                    return list!(@first len array $($value $index)*);
                }
                let len = present.iter().filter(|present| **present).count();
                let map = serializer.serialize_struct("Params", len)?;
                list!(@entries present spelling map $($value $index)*)
            }
        }

        impl<$($type: IntoArg),*> IntoArgs for ($($type,)*) {
            type Params = ($($type::Param,)*);

            #[inline]
            fn into_args(self, attachments: &mut Attachments) -> Self::Params {
                let ($($value,)*) = self;
                list!(@args attachments $($value)*)
            }
        }

        impl<$($type: DeserializeOwned),*> ReadList for ($($type,)*) {
            type Defaults = ($(Option<fn() -> $type>,)*);

            list!(@read $($type $value $index)*);

            fn from_object<'de, De: Deserializer<'de>>(object: De) -> Result<Self, De::Error> {
                list!(@whole object $($type)*)
            }
        }
    };

    (@args $attachments:ident) => {{
        let _none = $attachments;
    }};
    (@args $attachments:ident $($value:ident)*) => {
        ($($value.into_arg($attachments),)*)
    };

    (@elements $array:ident) => { $array.end() };
    (@elements $array:ident $($value:ident)*) => {{
        let mut array = $array;
        $(array.serialize_element($value)?;)*
        array.end()
    }};
    (@first $len:ident $array:ident) => {{
        let _none = $len;
        $array.end()
    }};
    (@first $len:ident $array:ident $($value:ident $index:tt)*) => {{
        let mut array = $array;
        $(if $index < $len {
            array.serialize_element($value)?;
        })*
        array.end()
    }};
    (@entries $present:ident $spelling:ident $map:ident) => {{
        let _none = ($present, $spelling);
        $map.end()
    }};
    (@entries $present:ident $spelling:ident $map:ident $($value:ident $index:tt)*) => {{
        let mut map = $map;
        let names = $spelling.names.unwrap_or_default();
        $(if $present[$index] {
            let name = names.get($index).ok_or_else(|| ser::Error::custom("a param has no name"))?;
            map.serialize_field(name, $value)?;
        })*
        map.end()
    }};

    // The one object that is all of the params.
    (@object $shape:ident $serializer:ident $value:ident) => {
        if $shape == ParamsShape::Object {
            return $value.serialize($serializer);
        }
    };
    (@object $shape:ident $serializer:ident $($value:ident)*) => {};
    (@whole $object:ident $type:ident) => {
        $type::deserialize($object).map(|value| (value,))
    };
    (@whole $object:ident $($type:ident)*) => {{
        let _none = $object;
        Err(de::Error::custom("one object is not all of these params"))
    }};

    (@read) => {
        fn from_array<'de, Seq: SeqAccess<'de>>(
            _: &'static [&'static str],
            (): Self::Defaults,
            _: Seq,
        ) -> Result<Self, Seq::Error> {
            Ok(())
        }

        fn from_map<'de, Map: MapAccess<'de>>(
            names: &'static [&'static str],
            (): Self::Defaults,
            mut map: Map,
        ) -> Result<Self, Map::Error> {
            match map.next_key_seed(Key(names))? {
                Some(_) => Err(de::Error::custom(TWICE)),
                None => Ok(()),
            }
        }
    };
    (@read $($type:ident $value:ident $index:tt)*) => {
        #[inline]
        fn from_array<'de, Seq: SeqAccess<'de>>(
            names: &'static [&'static str],
            defaults: Self::Defaults,
            mut array: Seq,
        ) -> Result<Self, Seq::Error> {
            $(let $value = match array.next_element()? {
                Some(value) => value,
                None => absent(name_of(names, $index), defaults.$index)?,
            };)*
            Ok(($($value,)*))
        }

        fn from_map<'de, Map: MapAccess<'de>>(
            names: &'static [&'static str],
            defaults: Self::Defaults,
            mut map: Map,
        ) -> Result<Self, Map::Error> {
            $(let mut $value = None;)*
            while let Some(index) = map.next_key_seed(Key(names))? {
                match index {
                    $($index if $value.is_none() => $value = Some(map.next_value()?),)*
                    _ => return Err(de::Error::custom(TWICE)),
                }
            }
            $(let $value = match $value {
                Some(value) => value,
                None => absent(name_of(names, $index), defaults.$index)?,
            };)*
            Ok(($($value,)*))
        }
    };
}

list!(0);
list!(1 T0 a 0);
list!(2 T0 a 0 T1 b 1);
list!(3 T0 a 0 T1 b 1 T2 c 2);
list!(4 T0 a 0 T1 b 1 T2 c 2 T3 d 3);
list!(5 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4);
list!(6 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5);
list!(7 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6);
list!(8 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7);
list!(9 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8);
list!(10 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9);
list!(11 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9 T10 k 10);
list!(12 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9 T10 k 10 T11 l 11);
list!(13 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9 T10 k 10 T11 l 11 T12 m 12);
list!(14 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9 T10 k 10 T11 l 11 T12 m 12 T13 n 13);
list!(15 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9 T10 k 10 T11 l 11 T12 m 12 T13 n 13 T14 o 14);
list!(16 T0 a 0 T1 b 1 T2 c 2 T3 d 3 T4 e 4 T5 f 5 T6 g 6 T7 h 7 T8 i 8 T9 j 9 T10 k 10 T11 l 11 T12 m 12 T13 n 13 T14 o 14 T15 p 15);
