//! What a peer is told of what is offered: the system namespace.

use crate::support::{
    Doc, MyPlain, MyShelf, PlainService, ShelfClient, ShelfService, WIRES, connect, start,
};
use mynah::contract::{Contract, Manifest, Method, MethodKind, Param};
use mynah::prelude::*;
use mynah::{ErrorCode, EvidenceKey, RegisterError, ServerError, Shown, Value};

fn both() -> Server {
    Server::new()
        .register(ShelfService::new(MyShelf))
        .register(PlainService::new(MyPlain))
}

fn names(manifest: &Manifest) -> Vec<&str> {
    manifest.contracts().iter().map(Contract::name).collect()
}

fn code(error: &CallError<RpcError>) -> ErrorCode {
    match error {
        CallError::Application(error) | CallError::Remote(error) => error.code(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_wire_and_a_server_in_process_describe_themselves() {
    let whole = Manifest::new([mynah::contract_of::<ShelfClient>()])
        .unwrap()
        .to_json()
        .unwrap();
    for wire in WIRES {
        let server = start(both(), wire).await.unwrap();
        let peer = connect(&server, wire).await;
        for peer in [peer, server.local()] {
            let described = peer.describe().await.unwrap();
            assert_eq!(names(&described), ["plain", "shelf"], "{wire}");
            let shelf = peer.describe_service("shelf").await.unwrap();
            assert_eq!(shelf.to_json().unwrap(), whole, "{wire}");
            assert_eq!(
                names(&peer.describe_service("nobody").await.unwrap()),
                [""; 0]
            );
            peer.ping().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_namespace_has_two_spellings_and_refuses_what_it_has_not() {
    for wire in ["format=cbor", "format=json"] {
        let server = start(both(), wire).await.unwrap();
        let peer = connect(&server, wire).await;
        for service in ["$sys", "#sys"] {
            let pong: String = peer.call(service, "ping").result().await.unwrap();
            assert_eq!(pong, "pong");
            let described: Value = peer
                .call(service, "describe")
                .arg("service", "plain")
                .result()
                .await
                .unwrap();
            assert_eq!(names(&Manifest::from_value(&described).unwrap()), ["plain"]);
            let error = peer
                .call(service, "reboot")
                .result::<Value>()
                .await
                .unwrap_err();
            assert_eq!(code(&error), ErrorCode::METHOD_NOT_FOUND, "{error:?}");
            let error = peer
                .call(service, "describe")
                .args((1, 2))
                .result::<Value>()
                .await
                .unwrap_err();
            assert_eq!(code(&error), ErrorCode::INVALID_PARAMS, "{error:?}");
            let error = peer
                .call(service, "describe")
                .args((7,))
                .result::<Value>()
                .await
                .unwrap_err();
            assert_eq!(code(&error), ErrorCode::INVALID_PARAMS, "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_is_told_of_what_it_may_see() {
    // Whoever is not the clerk does not see what has a role, nor what is published.
    let show = |clerk: bool| {
        move |caller: &mynah::Evidence, shown: Shown<'_>| {
            assert!(
                caller.text(EvidenceKey::REMOTE_ADDRESS).is_some(),
                "the evidence is the caller's"
            );
            clerk
                || match shown {
                    Shown::Method { service, method } => {
                        service == "shelf" && method.roles().is_empty()
                    }
                    _ => false,
                }
        }
    };
    for clerk in [true, false] {
        let server = start(both().show(show(clerk)), "format=cbor")
            .await
            .unwrap();
        let peer = connect(&server, "format=cbor").await;
        let described = peer.describe().await.unwrap();
        let expected: &[&str] = if clerk {
            &["plain", "shelf"]
        } else {
            &["shelf"]
        };
        assert_eq!(names(&described), expected);
        let shelf = described.contract("shelf").unwrap();
        assert_eq!(shelf.method("put").is_some(), clerk);
        assert_eq!(shelf.events().is_empty(), !clerk);
        assert!(shelf.method("all").is_some());
        // What is not shown can be called all the same: showing is no permission.
        let client: ShelfClient = peer.client();
        let doc = Doc {
            title: "T".into(),
            pages: 1,
            part_of: None,
        };
        assert_eq!(client.put(doc, 3, None).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn contracts_by_hand_are_described_beside_those_of_the_macro() {
    let extra = Contract::new("plain")
        .with_method(
            Method::new("add", MethodKind::Unary)
                .with_docs("By hand.")
                .with_param(Param::new("a"))
                .with_param(Param::new("b")),
        )
        .unwrap();
    let server = start(both().describe(extra), "format=cbor").await.unwrap();
    let peer = connect(&server, "format=cbor").await;
    let described = peer.describe_service("plain").await.unwrap();
    let add = described.contract("plain").unwrap().method("add").unwrap();
    assert_eq!(add.docs(), Some("By hand."));
}

#[tokio::test]
async fn a_contract_that_nobody_answers_starts_no_server() {
    let promise = Contract::new("plain")
        .with_method(Method::new("subtract", MethodKind::Unary))
        .unwrap();
    let error = start(both().describe(promise), "format=cbor")
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ServerError::Register(RegisterError::Unanswered(name)) if name == "plain.subtract"),
        "{error:?}"
    );
}

#[tokio::test]
async fn nothing_begins_with_the_signs_of_the_namespace() {
    #[mynah::service(name = "#sys")]
    trait Taken {
        async fn ping(&self) -> u8;
    }
    struct MyTaken;
    impl Taken for MyTaken {
        async fn ping(&self) -> u8 {
            1
        }
    }
    let error = start(
        Server::new().register(TakenService::new(MyTaken)),
        "format=cbor",
    )
    .await
    .unwrap_err();
    assert!(
        matches!(error, ServerError::Register(RegisterError::Name(..))),
        "{error:?}"
    );
}

#[tokio::test]
async fn methods_made_by_hand_are_listed_with_what_is_known_of_them() {
    let entry = Contract::new("math")
        .with_method(
            Method::new("half", MethodKind::Unary)
                .with_docs("A half.")
                .with_param(Param::new("number")),
        )
        .unwrap();
    let router = mynah::Router::new()
        .method("math.half", |number: u64| async move { number / 2 })
        .method("math.third", |number: u64| async move { number / 3 })
        .describe(entry);
    let server = start(Server::new().router(router), "format=cbor")
        .await
        .unwrap();
    let peer = connect(&server, "format=cbor").await;
    let described = peer.describe().await.unwrap();
    let math = described.contract("math").unwrap();
    assert_eq!(math.method("half").unwrap().docs(), Some("A half."));
    assert_eq!(
        math.method("third").unwrap().form(),
        mynah::contract::ParamsForm::Unknown
    );
    let half: u64 = peer.call("math", "half").args((9,)).result().await.unwrap();
    assert_eq!(half, 4);
}
