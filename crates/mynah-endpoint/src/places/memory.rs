//! `memory:NAME`.

use crate::endpoint::Url;
use crate::error::EndpointError;
use crate::place::{Dialing, Listening, Place};
use mynah_protocol::TransportError;
use std::fmt;

pub(super) fn read(url: &mut Url<'_>) -> Result<Box<dyn Place>, EndpointError> {
    if url.address.is_empty() {
        return Err(url.wrong("memory needs a name, memory:NAME"));
    }
    Ok(Box::new(Memory(url.address.to_owned())))
}

/// A server of this process.
#[derive(Debug)]
struct Memory(String);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory:{}", self.0)
    }
}

impl Place for Memory {
    fn dial(&self) -> Result<Dialing, TransportError> {
        Ok(Dialing::InProcess(self.0.clone()))
    }

    fn listen(&self) -> Result<Listening, TransportError> {
        Ok(Listening::InProcess(self.0.clone()))
    }
}
