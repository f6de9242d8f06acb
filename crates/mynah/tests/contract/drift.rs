//! A client that was compiled with another contract than its server.

use crate::support::{
    MyPlain, MyShelf, PlainClient, PlainService, ShelfClient, ShelfService, WIRES, connect, start,
};
use mynah::CheckError;
use mynah::contract::Verdict;
use mynah::prelude::*;

/// What servers became, while clients stayed.
mod newer {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Total {
        pub sum: i64,
        pub carry: Option<bool>,
    }

    #[mynah::service(name = "counter", schema)]
    pub(crate) trait Counter {
        async fn total(&self, from: u8) -> Total;
        async fn reset(&self, hard: bool);
    }

    pub(crate) struct MyCounter;

    impl Counter for MyCounter {
        async fn total(&self, from: u8) -> Total {
            Total {
                sum: from.into(),
                carry: None,
            }
        }

        async fn reset(&self, _hard: bool) {}
    }
}

mod older {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Total {
        pub sum: i64,
        pub count: u64,
    }

    #[mynah::service(name = "counter", schema)]
    pub(crate) trait Counter {
        async fn total(&self, from: u8) -> Total;
    }
}

#[tokio::test]
async fn the_error_names_the_field_that_is_gone() {
    for wire in WIRES {
        for announce in [false, true] {
            let mut server = Server::new().register(newer::CounterService::new(newer::MyCounter));
            if announce {
                server = server.announce_contracts();
            }
            let server = start(server, wire).await.unwrap();
            let peer = connect(&server, wire).await;
            let error = peer.check::<older::CounterClient>().await.unwrap_err();
            let CheckError::Drift(comparison) = &error else {
                panic!("{error:?}");
            };
            assert_eq!(comparison.verdict_of("counter", "total"), Verdict::Breaking);
            assert_eq!(
                error.to_string(),
                "the other side has another contract: breaking: counter.total result.count: required field removed",
                "{wire}"
            );
            // Without asking, it is a decode that fails, and says less.
            let client: older::CounterClient = peer.client();
            assert!(matches!(client.total(1).await, Err(CallError::Decode(_))));
            // What the newer client was compiled with is there.
            assert!(
                peer.check::<newer::CounterClient>()
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
    }
}

#[tokio::test]
async fn what_does_no_harm_is_told_and_no_error() {
    let server = start(
        Server::new().register(PlainService::new(MyPlain)),
        "format=cbor",
    )
    .await
    .unwrap();
    let peer = connect(&server, "format=cbor").await;
    assert!(peer.check::<PlainClient>().await.unwrap().is_empty());
    assert!(
        server
            .local()
            .check::<PlainClient>()
            .await
            .unwrap()
            .is_empty()
    );
    let error = peer.check::<ShelfClient>().await.unwrap_err();
    assert!(
        matches!(&error, CheckError::Absent(name) if name == "shelf"),
        "{error:?}"
    );
}

/// With equal hashes in the hello nothing is asked: the filter, which hides everything, is not reached.
#[tokio::test]
async fn equal_hashes_in_the_hello_need_no_question() {
    for wire in ["format=cbor", "format=json", "format=messagepack"] {
        let hidden = || {
            Server::new()
                .register(ShelfService::new(MyShelf))
                .show(|_, _| false)
        };
        let silent = start(hidden(), wire).await.unwrap();
        let error = connect(&silent, wire)
            .await
            .check::<ShelfClient>()
            .await
            .unwrap_err();
        assert!(matches!(error, CheckError::Absent(_)), "{wire}: {error:?}");
        let announced = start(hidden().announce_contracts(), wire).await.unwrap();
        let peer = connect(&announced, wire).await;
        assert!(
            peer.check::<ShelfClient>().await.unwrap().is_empty(),
            "{wire}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_is_gone_cannot_be_asked() {
    let server = start(Server::new(), "format=cbor").await.unwrap();
    let peer = connect(&server, "format=cbor").await;
    peer.close();
    peer.closed().await;
    let error = peer.check::<PlainClient>().await.unwrap_err();
    assert!(
        matches!(error, CheckError::Call(CallError::Disconnected(_))),
        "{error:?}"
    );
}
