//! One value that is all of the params.

use super::{Params, Spelling};
use mynah_codec::EncodeError;
use mynah_protocol::{ParamsShape, Value};
use serde::ser::SerializeTuple as _;
use serde::{Serialize, Serializer};

/// One value that is all of the params of a call: a struct or a map from their names, as a rule.
///
/// It may be borrowed. A call that leaves the place where it is made (a stream, or one in the same process) takes a
/// copy along.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<T: Serialize + Send> Params for Object<T> {
    type Owned = Object<Value>;

    fn into_owned(self) -> Result<Self::Owned, EncodeError> {
        Value::from_serialize(&self.0)
            .map(Object)
            .map_err(|error| EncodeError::Value(error.to_string()))
    }

    #[inline]
    fn shape(&self, spelling: &Spelling) -> Result<ParamsShape, &'static str> {
        Ok(spelling.of_object())
    }

    #[inline]
    fn write<S: Serializer>(
        &self,
        shape: ParamsShape,
        _: &Spelling,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if shape != ParamsShape::Positional {
            return self.0.serialize(serializer);
        }
        let mut array = serializer.serialize_tuple(1)?;
        array.serialize_element(&self.0)?;
        array.end()
    }
}
