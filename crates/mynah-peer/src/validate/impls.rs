//! Types that are right whatever they say, and types that are right when what they hold is.

use super::{Faults, Validate};
use crate::callback::Callback;
use crate::stream::Incoming;
use mynah_codec::Bytes;
use mynah_protocol::value::BigInt;
use mynah_protocol::{Outcome, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Display;
use std::hash::BuildHasher;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

macro_rules! right {
    ($($type:ty)*) => { $(
        impl Validate for $type {
            #[inline]
            fn validate(&self, _: &mut Faults) {}
        }
    )* };
}

right! {
    () bool char str String Cow<'_, str>
    i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64
    NonZeroI8 NonZeroI16 NonZeroI32 NonZeroI64 NonZeroI128 NonZeroIsize
    NonZeroU8 NonZeroU16 NonZeroU32 NonZeroU64 NonZeroU128 NonZeroUsize
    Duration SystemTime Bytes Value BigInt
}

/// Its items are those of the other side, and are read one by one.
impl<T> Validate for Incoming<T> {
    fn validate(&self, _: &mut Faults) {}
}

impl<A, R> Validate for Callback<A, R> {
    fn validate(&self, _: &mut Faults) {}
}

macro_rules! holders {
    ($($type:ty)*) => { $(
        impl<T: Validate + ?Sized> Validate for $type {
            fn validate(&self, faults: &mut Faults) {
                (**self).validate(faults);
            }
        }
    )* };
}

holders!(&T Box<T> Rc<T> Arc<T>);

impl<T: Validate> Validate for Option<T> {
    fn validate(&self, faults: &mut Faults) {
        if let Some(value) = self {
            value.validate(faults);
        }
    }
}

/// Refused or not: what a refusal says is an enum of the program, and right as it is.
impl<T: Validate, R> Validate for Outcome<T, R> {
    fn validate(&self, faults: &mut Faults) {
        match self {
            Self::Ok(value) => faults.field("value", |faults| value.validate(faults)),
            Self::Refused(_) => {}
        }
    }
}

fn elements<'a, T: Validate + 'a>(values: impl IntoIterator<Item = &'a T>, faults: &mut Faults) {
    for (index, value) in values.into_iter().enumerate() {
        faults.element(index, |faults| value.validate(faults));
    }
}

impl<T: Validate> Validate for [T] {
    fn validate(&self, faults: &mut Faults) {
        elements(self, faults);
    }
}

impl<T: Validate, const N: usize> Validate for [T; N] {
    fn validate(&self, faults: &mut Faults) {
        elements(self, faults);
    }
}

macro_rules! collections {
    ($($type:ident $(, $hasher:ident)?;)*) => { $(
        impl<T: Validate $(, $hasher)?> Validate for $type<T $(, $hasher)?> {
            fn validate(&self, faults: &mut Faults) {
                elements(self, faults);
            }
        }
    )* };
}

collections! {
    Vec;
    VecDeque;
    BTreeSet;
    HashSet, S;
}

impl<K: Display, T: Validate, S: BuildHasher> Validate for HashMap<K, T, S> {
    fn validate(&self, faults: &mut Faults) {
        for (key, value) in self {
            entry(key, value, faults);
        }
    }
}

impl<K: Display, T: Validate> Validate for BTreeMap<K, T> {
    fn validate(&self, faults: &mut Faults) {
        for (key, value) in self {
            entry(key, value, faults);
        }
    }
}

/// The name of a key is made only where something is wrong.
fn entry<K: Display, T: Validate>(key: &K, value: &T, faults: &mut Faults) {
    let mut found = Faults::new();
    value.validate(&mut found);
    if !found.is_empty() {
        faults.field(key.to_string(), |faults| value.validate(faults));
    }
}

macro_rules! tuples {
    ($($type:ident $index:tt)+) => {
        impl<$($type: Validate),+> Validate for ($($type,)+) {
            #[inline]
            fn validate(&self, faults: &mut Faults) {
                $(faults.element($index, |faults| self.$index.validate(faults));)+
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0 B 1);
tuples!(A 0 B 1 C 2);
tuples!(A 0 B 1 C 2 D 3);
tuples!(A 0 B 1 C 2 D 3 E 4);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7 I 8 J 9 K 10 L 11 M 12 N 13 O 14 P 15);
