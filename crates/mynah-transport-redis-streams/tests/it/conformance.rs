//! The suite of the testkit over a real redis-server, in each format, and with every call a session.

use mynah::redis_streams::{RedisDialer, RedisListener, RedisOptions};
use mynah_protocol::{FormatId, TransportError, TransportErrorKind};
use mynah_testkit::redis::RedisServer;
use mynah_testkit::transport::{Group, GroupTransport};

/// A Redis of its own, and how it is used.
struct Fleet {
    options: RedisOptions,
    _redis: RedisServer,
}

impl Group for Fleet {
    type Listener = RedisListener;
    type Dialer = RedisDialer;

    fn listener(
        &self,
    ) -> impl Future<Output = Result<RedisListener, TransportError>> + Send + 'static {
        RedisListener::bind(self.options.clone().with_publish_events(true))
    }

    fn dialer(&self) -> Result<RedisDialer, TransportError> {
        RedisDialer::new(self.options.clone())
    }
}

fn fleet(name: &'static str, format: FormatId, sessions: bool) -> GroupTransport {
    GroupTransport::new(name, move || async move {
        let redis = RedisServer::start().await.map_err(|error| {
            TransportError::new(TransportErrorKind::Refused, "redis-server does not start")
                .with_source(error)
        })?;
        Ok(Fleet {
            options: RedisOptions::new(redis.url())
                .with_format(format)
                .with_sessions(sessions),
            _redis: redis,
        })
    })
}

mynah_testkit::transport_suite! { group json => fleet("redis", FormatId::Json, false) }
mynah_testkit::transport_suite! { group cbor => fleet("redis", FormatId::Cbor, false) }
mynah_testkit::transport_suite! { group messagepack => fleet("redis", FormatId::MessagePack, false) }
mynah_testkit::transport_suite! { group sessions_json => fleet("redis-sessions", FormatId::Json, true) }
mynah_testkit::transport_suite! { group sessions_cbor => fleet("redis-sessions", FormatId::Cbor, true) }
