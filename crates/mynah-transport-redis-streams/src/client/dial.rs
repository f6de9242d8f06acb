//! Opening.

use super::core::Core;
use super::transport::RedisClient;
use crate::coding::Coding;
use crate::connect::Connector;
use crate::keys::{self, Keys};
use crate::options::RedisOptions;
use crate::random;
use crate::server::evidence;
use async_trait::async_trait;
use mynah_protocol::{Accepted, Dialer, Evidence, EvidenceKey, TransportError, TransportErrorKind};

/// Opens the calling side of a fleet: everybody who serves under a prefix, as one peer.
#[derive(Clone, Debug)]
pub struct RedisDialer {
    options: RedisOptions,
    connector: Connector,
}

impl RedisDialer {
    /// Checks what was chosen; nothing is opened.
    ///
    /// # Errors
    /// [`TransportErrorKind::Address`] when the URL, the name of the instance or the format cannot be used.
    pub fn new(options: RedisOptions) -> Result<Self, TransportError> {
        let connector = Connector::new(&options)?;
        check_options(&options)?;
        Ok(Self { options, connector })
    }
}

pub(crate) fn check_options(options: &RedisOptions) -> Result<(), TransportError> {
    if Coding::of(options.format).is_none() {
        return Err(TransportError::new(
            TransportErrorKind::Address,
            "a format of the program's own is not carried over Redis Streams",
        ));
    }
    match &options.instance {
        Some(name) if !keys::is_instance(name) => Err(TransportError::new(
            TransportErrorKind::Address,
            "the name of an instance has 1 to 128 bytes and no control characters",
        )),
        _ => Ok(()),
    }
}

#[async_trait]
impl Dialer for RedisDialer {
    type Connection = RedisClient;

    async fn dial(&self) -> Result<Accepted<RedisClient>, TransportError> {
        let failed = |error| self.connector.error("cannot connect", error);
        let commands = self.connector.open().await.map_err(failed)?;
        let reads = self.connector.open_blocking().await.map_err(failed)?;
        let instance = self.options.instance.clone();
        let instance = instance.unwrap_or_else(random::uuid);
        let keys = Keys::new(&self.options.prefix);
        let evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "redis")
            .with(EvidenceKey::REMOTE_ADDRESS, self.connector.address())
            .with(evidence::PREFIX, &*self.options.prefix)
            .with(evidence::OWN_INSTANCE, &*instance);
        let core = Core::new(
            self.options.clone(),
            self.connector.clone(),
            keys,
            &instance,
        );
        let connection = RedisClient::start(core, commands, reads, evidence.clone());
        Ok(Accepted {
            connection,
            evidence,
        })
    }
}
