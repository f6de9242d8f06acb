//! An expected refusal, as a value.

use core::fmt;
use core::marker::PhantomData;
use serde::de::value::UnitDeserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a method gives back that may refuse: a value, or the reason why there is none.
///
/// A refusal is no failure: the method did what it is for, and its caller is meant to look at the reason, an enum of the
/// program, and to match it to the last variant. What goes wrong beside that is still an error, and so a method that may
/// do both returns `Result<Outcome<T, R>, RpcError>`.
///
/// It is written as a map and read from one, its entries in any order:
///
/// ```json
/// {"ok": true, "value": 3}
/// {"ok": false, "reason": "out_of_stock"}
/// ```
///
/// Entries of other names are passed over, and so is a null in the place of the one that does not belong. `value` or
/// `reason` may be absent where its type can stand for nothing (`()`, `Option`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<T, R> {
    /// It was done.
    Ok(T),
    /// It was not, and this is why.
    Refused(R),
}

impl<T, R> Outcome<T, R> {
    /// Whether it was done.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }

    /// The same as a result, for `?`.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub fn into_result(self) -> Result<T, R> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Refused(reason) => Err(reason),
        }
    }

    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        self.into_result().ok()
    }

    /// The reason, if it was refused.
    pub fn reason(self) -> Option<R> {
        self.into_result().err()
    }

    /// The same by reference.
    pub const fn as_ref(&self) -> Outcome<&T, &R> {
        match self {
            Self::Ok(value) => Outcome::Ok(value),
            Self::Refused(reason) => Outcome::Refused(reason),
        }
    }

    /// The same with another value.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U, R> {
        match self {
            Self::Ok(value) => Outcome::Ok(map(value)),
            Self::Refused(reason) => Outcome::Refused(reason),
        }
    }
}

impl<T, R> From<Result<T, R>> for Outcome<T, R> {
    fn from(result: Result<T, R>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(reason) => Self::Refused(reason),
        }
    }
}

impl<T, R> From<Outcome<T, R>> for Result<T, R> {
    fn from(outcome: Outcome<T, R>) -> Self {
        outcome.into_result()
    }
}

impl<T: Serialize, R: Serialize> Serialize for Outcome<T, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Outcome", 2)?;
        match self {
            Self::Ok(value) => {
                map.serialize_field("ok", &true)?;
                map.serialize_field("value", value)?;
            }
            Self::Refused(reason) => {
                map.serialize_field("ok", &false)?;
                map.serialize_field("reason", reason)?;
            }
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>, R: Deserialize<'de>> Deserialize<'de> for Outcome<T, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OutcomeVisitor(PhantomData))
    }
}

struct OutcomeVisitor<T, R>(PhantomData<(T, R)>);

/// Which entry a key names.
enum Key {
    Ok,
    Value,
    Reason,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Key, E> {
                Ok(match name {
                    "ok" => Key::Ok,
                    "value" => Key::Value,
                    "reason" => Key::Reason,
                    _ => Key::Other,
                })
            }
        }

        deserializer.deserialize_identifier(KeyVisitor)
    }
}

impl<'de, T: Deserialize<'de>, R: Deserialize<'de>> Visitor<'de> for OutcomeVisitor<T, R> {
    type Value = Outcome<T, R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `ok`, and `value` or `reason`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Null in one of them is as if it were not there: some peers write both.
        let (mut ok, mut value, mut reason) = (None::<bool>, None::<Option<T>>, None::<Option<R>>);
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Ok if ok.is_none() => ok = Some(map.next_value()?),
                Key::Value if value.is_none() => value = Some(map.next_value()?),
                Key::Reason if reason.is_none() => reason = Some(map.next_value()?),
                Key::Ok => return Err(A::Error::duplicate_field("ok")),
                Key::Value => return Err(A::Error::duplicate_field("value")),
                Key::Reason => return Err(A::Error::duplicate_field("reason")),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (ok, value.flatten(), reason.flatten()) {
            (Some(true), Some(value), None) => Ok(Outcome::Ok(value)),
            (Some(true), None, None) => absent("value").map(Outcome::Ok),
            (Some(false), None, Some(reason)) => Ok(Outcome::Refused(reason)),
            (Some(false), None, None) => absent("reason").map(Outcome::Refused),
            (Some(true), _, Some(_)) => {
                Err(A::Error::custom("`ok` is true, and there is a `reason`"))
            }
            (Some(false), Some(_), _) => {
                Err(A::Error::custom("`ok` is false, and there is a `value`"))
            }
            (None, _, _) => Err(A::Error::missing_field("ok")),
        }
    }
}

/// What stands for nothing, if the type has something that does.
fn absent<'de, T: Deserialize<'de>, E: serde::de::Error>(name: &'static str) -> Result<T, E> {
    T::deserialize(UnitDeserializer::<E>::new()).map_err(|_nothing: E| E::missing_field(name))
}
