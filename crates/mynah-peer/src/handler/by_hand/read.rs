//! How a handler made by hand reads its params.

use crate::handler::decode;
use crate::params::Reads;
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, RpcError};
use serde::de::DeserializeOwned;

/// All of the params as one value: an array for a tuple, a map or an array for a struct. A wire that knows positions
/// only has one object as an array of it, which is read as well.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsWhole;

impl<P: DeserializeOwned> Reads<P> for AsWhole {
    #[inline]
    fn read(
        &self,
        params: &[u8],
        format: Format,
        limits: &DecodeLimits,
    ) -> Result<P, Box<RpcError>> {
        decode(params, format, limits, &[])
            .or_else(|error| alone(params, format, limits).ok_or(error))
    }
}

/// The one element of an array.
#[cold]
fn alone<P: DeserializeOwned>(params: &[u8], format: Format, limits: &DecodeLimits) -> Option<P> {
    if format.is_array(params) != Some(true) {
        return None;
    }
    let (params,) = format.decode::<(P,)>(params, limits).ok()?;
    Some(params)
}
