//! Bare names of methods that come and go: a name is ambiguous for as long as several services have it, and no longer.

use mynah::dialect::{CborRpc, Native};
use mynah::prelude::*;
use mynah::{RegisterError, ServerError};

async fn by_bare_name(peer: &Peer) -> Result<i64, String> {
    match peer.call("", "add").result::<i64>().await {
        Ok(number) => Ok(number),
        Err(CallError::Application(error)) => {
            assert_eq!(error.code(), ErrorCode::METHOD_NOT_FOUND);
            Err(error.message().to_owned())
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_name_is_ambiguous_as_long_as_several_have_it() {
    let server = Server::new()
        .method("one.add", || 1_i64)
        .method("two.add", || 2_i64)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let methods = server.methods();
    let far = mynah::connect(server.address()).await.unwrap();
    let near = server.local();
    let of = |services: &str| Err(format!("method not found: add is that of {services}"));
    let check = async |expected: Result<i64, String>| {
        for peer in [&far, &near] {
            assert_eq!(by_bare_name(peer).await, expected);
        }
    };

    check(of("`one` and `two`")).await;
    // One of two that were registered before the start goes: the other is meant.
    assert!(methods.remove("two.add"));
    check(Ok(1)).await;
    // One that comes later makes it ambiguous again, and says whose it is.
    methods.method("three.add", || 3_i64).unwrap();
    check(of("`one` and `three`")).await;
    methods.method("also.add", || 4_i64).unwrap();
    check(of("`one` and `also` and `three`")).await;
    assert!(methods.remove("also.add"));
    assert!(methods.remove("one.add"));
    check(Ok(3)).await;
    // Two that both came later.
    methods.method("five.add", || 5_i64).unwrap();
    check(of("`five` and `three`")).await;
    // The method of a service without a name is meant before those of others, as long as it is there.
    methods.method("add", || 6_i64).unwrap();
    check(Ok(6)).await;
    assert!(methods.remove("add"));
    check(of("`five` and `three`")).await;
    assert!(methods.remove("three.add") && methods.remove("five.add"));
    check(Err("method not found: add".to_owned())).await;
    // Whole names were never in doubt.
    methods.method("one.add", || 7_i64).unwrap();
    for peer in [&far, &near] {
        let whole = peer.call("one", "add").result::<i64>();
        assert_eq!(whole.await.unwrap(), 7);
        let dotted = peer.call("", "one.add").result::<i64>();
        assert_eq!(dotted.await.unwrap(), 7);
    }
}

/// What would not start is not added later either.
#[tokio::test]
async fn a_server_on_a_wire_of_bare_names_takes_no_second_one() {
    let server = Server::new()
        .method("one.add", || 1_i64)
        .method("one.sub", || 10_i64)
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .start()
        .await
        .unwrap();
    let methods = server.methods();
    let peer = mynah::connect(server.url()).await.unwrap();
    let refused = |services: &str| {
        Err(RegisterError::Ambiguous {
            dialect: "cbor-rpc",
            method: "add".to_owned(),
            services: services.to_owned(),
        })
    };

    assert_eq!(
        methods.method("two.add", || 2_i64),
        refused("`one` and `two`")
    );
    assert_eq!(methods.list().len(), 2);
    assert_eq!(peer.call("", "add").result::<i64>().await.unwrap(), 1);
    // Another name is free, and so is this one when the first is gone.
    methods.method("two.mul", || 3_i64).unwrap();
    assert!(methods.remove("one.add"));
    methods.method("two.add", || 2_i64).unwrap();
    assert_eq!(peer.call("", "add").result::<i64>().await.unwrap(), 2);
    assert_eq!(
        methods.method("six.add", || 6_i64),
        refused("`two` and `six`")
    );
    // A duplicate is called one.
    assert_eq!(
        methods.method("two.add", || 2_i64),
        Err(RegisterError::Duplicate("two.add".to_owned()))
    );
    // Beside the method of a service without a name nothing is in doubt.
    methods.method("add", || 7_i64).unwrap();
    methods.method("six.add", || 6_i64).unwrap();
    assert_eq!(peer.call("", "add").result::<i64>().await.unwrap(), 7);
    assert_eq!(peer.call("six", "sub").result::<i64>().await.unwrap(), 10);
}

/// Where services are said as well, two may have it.
#[tokio::test]
async fn a_server_on_a_wire_that_says_services_takes_a_second_one() {
    for options in ["", "?dialect=cbor-rpc&names=qualified"] {
        let server = Server::new()
            .method("one.add", || 1_i64)
            .listen(&format!("tcp://127.0.0.1:0{options}"))
            .start()
            .await
            .unwrap();
        server.methods().method("two.add", || 2_i64).unwrap();
        assert_eq!(server.url(), format!("{}{options}", server.address()));
        let peer = mynah::connect(server.url()).await.unwrap();
        assert_eq!(peer.call("two", "add").result::<i64>().await.unwrap(), 2);
    }
    let refused = Server::new()
        .method("one.add", || 1_i64)
        .method("two.add", || 2_i64)
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .start()
        .await;
    assert!(matches!(
        refused,
        Err(ServerError::Register(RegisterError::Ambiguous { .. }))
    ));
}

/// What is attached is a wire like those that are listened on.
#[tokio::test]
async fn a_connection_on_a_wire_of_bare_names_is_not_attached_where_they_are_ambiguous() {
    let attach = |server: &mynah::ServerHandle| {
        let (near, far) = tokio::io::duplex(4096);
        let attached = server.attach(far, &CborRpc::cbor(), mynah::Evidence::new());
        (near, attached)
    };
    let server = Server::new()
        .method("one.add", || 1_i64)
        .start()
        .await
        .unwrap();
    let methods = server.methods();
    methods.method("two.add", || 2_i64).unwrap();
    let (_near, refused) = attach(&server);
    let Err(mynah::AttachError::Names(why)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        *why,
        RegisterError::Ambiguous {
            dialect: "cbor-rpc",
            method: "add".to_owned(),
            services: "`one` and `two`".to_owned(),
        }
    );
    // Whoever says services is welcome, and nothing else has changed.
    let (_near, attached) = {
        let (near, far) = tokio::io::duplex(4096);
        (
            near,
            server.attach(far, &Native::new(), mynah::Evidence::new()),
        )
    };
    attached.unwrap();
    methods.method("six.add", || 6_i64).unwrap();

    assert!(methods.remove("two.add") && methods.remove("six.add"));
    let (near, attached) = attach(&server);
    let _far = attached.unwrap();
    let peer = Peer::over(near, &CborRpc::cbor()).start().unwrap();
    assert_eq!(peer.call("", "add").result::<i64>().await.unwrap(), 1);
    // From now on it must stay so.
    let later = methods.method("two.add", || 2_i64);
    assert!(matches!(later, Err(RegisterError::Ambiguous { .. })));

    let (_near, far) = tokio::io::duplex(4096);
    let refused = Server::new()
        .method("one.add", || 1_i64)
        .method("two.add", || 2_i64)
        .attach(far, CborRpc::cbor(), mynah::Evidence::new())
        .start()
        .await;
    assert!(matches!(
        refused,
        Err(ServerError::Register(RegisterError::Ambiguous { .. }))
    ));
}
