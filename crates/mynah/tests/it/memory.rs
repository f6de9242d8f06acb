//! M: the memory transport has the limits of the rest.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::prelude::*;
use mynah::{Limits, Value};

#[mynah::service]
trait Deep {
    async fn take(&self, value: Value) -> u32;
    async fn give(&self, depth: u32) -> Value;
}

struct MyDeep;

fn nested(depth: u32) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

impl Deep for MyDeep {
    async fn take(&self, _value: Value) -> u32 {
        1
    }

    async fn give(&self, depth: u32) -> Value {
        nested(depth)
    }
}

const WAYS: [Way; 6] = Way::NATIVE;

#[tokio::test]
async fn m1_messages_have_a_size() {
    for way in WAYS {
        let limits = Limits::new().with_max_message_bytes(1000);
        let joined = Setup::new(MyProbe::new().service())
            .limits(&limits)
            .join(way)
            .await;
        let client: ProbeClient = joined.client.client();
        assert_eq!(
            client.echo("x".repeat(900)).await.unwrap().len(),
            900,
            "{way:?}"
        );
        let large = client.echo("x".repeat(1100)).await.unwrap_err();
        assert!(matches!(large, CallError::Encode(_)), "{way:?}: {large:?}");
        let large = client.letters(1100).await.unwrap_err();
        assert_eq!(
            large.code(),
            Some(ErrorCode::TOO_LARGE),
            "{way:?}: {large:?}"
        );
        assert_eq!(
            client.echo("a".into()).await.unwrap(),
            "a",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

/// The other side takes less than this one: the first call of all fails by itself, too.
#[tokio::test]
async fn m1_the_first_message_may_be_too_large_for_the_other_side() {
    for way in WAYS {
        let limits = Limits::new().with_max_message_bytes(16 << 10);
        let joined = Setup::new(MyProbe::new().service())
            .server_limits(limits)
            .join(way)
            .await;
        let client: ProbeClient = joined.client.client();
        let large = client.echo("x".repeat(20 << 10)).start();
        // What is small does not wait for what the other side says of itself.
        let small = client.echo("a".into()).start();
        let large = within("large", large).await.unwrap_err();
        assert!(
            matches!(large, CallError::Encode(_)) || large.code() == Some(ErrorCode::TOO_LARGE),
            "{way:?}: {large:?}"
        );
        assert_eq!(within("small", small).await.unwrap(), "a", "{way:?}");
        let fits = client.echo("x".repeat(15 << 10)).into_future();
        assert_eq!(within("fits", fits).await.unwrap().len(), 15 << 10);
        joined.idle().await;
    }
}

#[tokio::test]
async fn m1_values_have_a_depth() {
    for way in WAYS {
        let joined = Setup::new(DeepService::new(MyDeep)).join(way).await;
        let client: DeepClient = joined.client.client();
        assert_eq!(client.take(nested(127)).await.unwrap(), 1, "{way:?}");
        let deep = client.take(nested(128)).await.unwrap_err();
        assert!(
            matches!(deep, CallError::Encode(_)) || deep.code() == Some(ErrorCode::TOO_LARGE),
            "{way:?}: {deep:?}"
        );
        assert_eq!(client.give(128).await.unwrap(), nested(128), "{way:?}");
        let deep = client.give(129).await.unwrap_err();
        assert!(
            matches!(deep, CallError::Decode(_)) || deep.code() == Some(ErrorCode::UNENCODABLE),
            "{way:?}: {deep:?}"
        );
        assert_eq!(
            client.take(nested(1)).await.unwrap(),
            1,
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn m1_permits_bound_what_runs() {
    for way in Way::ALL {
        let probe = MyProbe::new();
        let limits = Limits::new().with_calls_in_flight(2);
        let joined = Setup::new(probe.service())
            .server_limits(limits)
            .join(way)
            .await;
        let client: ProbeClient = joined.client.client();
        let calls = [client.pass(0).start(), client.pass(1).start()];
        until("both run", || probe.0.calls.alive() == 2).await;
        let third = within("third", client.pass(2).into_future())
            .await
            .unwrap_err();
        match way {
            Way::CborRpc => assert!(matches!(third, CallError::Remote(_)), "{third:?}"),
            _ => assert!(
                matches!(third, CallError::Busy { .. }),
                "{way:?}: {third:?}"
            ),
        }
        assert_eq!(probe.0.calls.started(), 2, "{way:?}");
        probe.0.gate.add_permits(3);
        let ends = within("ends", futures::future::join_all(calls)).await;
        assert!(ends.iter().all(Result::is_ok), "{way:?}");
        assert_eq!(client.pass(3).await.unwrap(), 3, "{way:?}");
        joined.idle().await;
    }
}

/// Names and metadata are bounded on every wire.
#[tokio::test]
async fn m1_metadata_has_a_size() {
    for way in WAYS {
        let joined = Setup::new(MyProbe::new().service()).join(way).await;
        let client: ProbeClient = joined.client.client();
        let call = client
            .echo("a".into())
            .metadata("key", "x".repeat(20 << 10));
        let error = within("refusal", call.into_future()).await.unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Encode(_) | CallError::Indeterminate(_) | CallError::Disconnected(_)
            ) || error.code() == Some(ErrorCode::TOO_LARGE),
            "{way:?}: {error:?}"
        );
    }
}
