//! What tells the arguments of two calls apart.

use mynah_protocol::MethodName;
use sha2::{Digest as _, Sha256};

/// 128 bits of the SHA-256 of a method and its encoded params, as 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest(String);

impl Digest {
    /// Of a call. Params that say the same in another order or format have another digest: who calls again sends the
    /// same bytes.
    pub(crate) fn of(name: &MethodName<'_>, params: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(name.method.as_bytes())
            // No method has a zero in its name.
            .chain_update([0])
            .chain_update(params)
            .finalize();
        let half = hash.iter().take(16);
        Self(half.map(|byte| format!("{byte:02x}")).collect())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
