//! What tells the arguments of two calls apart.

use crate::coding::Coding;
use mynah_protocol::MethodName;
use sha2::{Digest as _, Sha256};

/// 128 bits of the SHA-256 of a method and its encoded params, as 32 hex digits; in front of them the format, unless it is
/// JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest(String);

impl Digest {
    /// Of a call. Params that say the same in another order or format have another digest: who calls again sends the
    /// same bytes.
    pub(crate) fn of(coding: Coding, name: &MethodName<'_>, params: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(name.method.as_bytes())
            // No method has a zero in its name.
            .chain_update([0])
            .chain_update(params)
            .finalize();
        let half = hash.iter().take(16);
        let digits: String = half.map(|byte| format!("{byte:02x}")).collect();
        Self(match coding {
            Coding::Json => digits,
            other => format!("{}:{digits}", other.name()),
        })
    }

    /// What is wrong when an operation had this one before.
    pub(crate) fn conflict(&self, before: &[u8]) -> &'static str {
        let format = |digest: &[u8]| {
            let end = digest.iter().position(|byte| *byte == b':')?;
            digest.get(..end).map(<[u8]>::to_vec)
        };
        match format(before) == format(self.0.as_bytes()) {
            true => "the operation was called with other arguments",
            // Whether they say the same nobody can tell who does not know their types.
            false => "the operation was called in another format",
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
