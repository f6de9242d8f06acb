//! Handlers made by hand are held to the contract that the router was given.

use crate::support::{Setup, Way, until};
use futures::StreamExt as _;
use mynah::contract::{Contract, Method, MethodKind, Param, Schema};
use mynah::prelude::*;
use mynah::{CallError, RegisterError, Router, ServerError, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn schema(text: &str) -> Schema {
    text.parse().unwrap()
}

/// `enter(name, room = 1)`, `evens(up_to)`, `left(name)`, `ping(params)`.
fn contract() -> Contract {
    let name = || Param::new("name").with_schema(schema(r#"{"type":"string","minLength":1}"#));
    let even = || schema(r#"{"type":"integer","multipleOf":2}"#);
    let room = schema(r#"{"type":"integer","minimum":1,"maximum":99}"#);
    let ping = schema(
        r#"{"type":"object","properties":{"text":{"type":"string","maxLength":3}},"required":["text"]}"#,
    );
    let methods = [
        Method::new("enter", MethodKind::Unary)
            .with_param(name())
            .with_param(Param::new("room").with_schema(room).with_default(1))
            .with_result(even()),
        Method::new("evens", MethodKind::ServerStream)
            .with_param(
                Param::new("up_to").with_schema(schema(r#"{"type":"integer","maximum":9}"#)),
            )
            .with_result(even()),
        Method::new("left", MethodKind::Notification).with_param(name()),
        Method::new("ping", MethodKind::Unary).with_object(Param::new("params").with_schema(ping)),
    ];
    let none = Ok(Contract::new("inn"));
    let all = methods.into_iter().fold(none, |contract, method| {
        contract.and_then(|all| all.with_method(method))
    });
    all.unwrap()
}

#[derive(Debug, Serialize, Deserialize)]
struct Ping {
    text: String,
}

#[derive(Default)]
struct Ran {
    enter: AtomicUsize,
    left: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    ContractFirst,
    ContractLast,
}

fn router(ran: &Arc<Ran>, order: Order) -> Router {
    let (entered, left) = (Arc::clone(ran), Arc::clone(ran));
    let mut router = Router::new();
    if let Order::ContractFirst = order {
        router = router.describe(contract());
    }
    router = router
        .method("inn.enter", move |(name, room): (String, i64)| {
            entered.enter.fetch_add(1, Ordering::SeqCst);
            async move {
                if name == "later" {
                    tokio::task::yield_now().await;
                }
                room
            }
        })
        .method("inn.evens", |(up_to,): (i64,)| {
            futures::stream::iter((0..=up_to).map(|number| if number < 4 { 2 } else { number }))
        })
        .notification("inn.left", move |(_name,): (String,)| {
            left.left.fetch_add(1, Ordering::SeqCst);
        })
        .method("inn.ping", |ping: Ping| ping.text)
        // Nobody has said anything of this one.
        .method("inn.free", |(any,): (Value,)| any);
    match order {
        Order::ContractFirst => router,
        Order::ContractLast => router.describe(contract()),
    }
}

fn remote<T: std::fmt::Debug>(result: Result<T, CallError<RpcError>>) -> RpcError {
    match result.unwrap_err() {
        CallError::Application(error) | CallError::Remote(error) => error,
        other => panic!("{other:?}"),
    }
}

/// `loc`, `type` and `msg` of each fault.
fn errors(error: &RpcError) -> Vec<(String, String, String)> {
    assert_eq!(error.code(), ErrorCode::INVALID_PARAMS, "{error}");
    let text = |value: &Value, name| value.get(name).unwrap().as_str().unwrap().to_owned();
    let errors = error.data().unwrap().get("errors").unwrap().as_array();
    let errors = errors.unwrap().iter();
    let fault = |error: &Value| {
        let at = error.get("loc").unwrap().to_string();
        (at, text(error, "type"), text(error, "msg"))
    };
    errors.map(fault).collect()
}

fn fault(at: &str, kind: &str, message: &str) -> (String, String, String) {
    (at.to_owned(), kind.to_owned(), message.to_owned())
}

#[tokio::test]
async fn params_are_held_to_the_contract_before_the_handler_and_results_after_it() {
    for (way, order) in Way::NATIVE.into_iter().chain([Way::InProcess]).zip(
        [Order::ContractFirst, Order::ContractLast]
            .into_iter()
            .cycle(),
    ) {
        let ran = Arc::new(Ran::default());
        let joined = Setup::of(router(&ran, order)).join(way).await;
        let enter = || joined.client.call("inn", "enter");
        let entered = || ran.enter.load(Ordering::SeqCst);

        assert_eq!(enter().args(("Ann", 4)).result::<i64>().await.unwrap(), 4);
        assert_eq!(enter().args(("later", 6)).result::<i64>().await.unwrap(), 6);
        assert_eq!(entered(), 2);
        // All of what is wrong, and where, by the names of the contract.
        let error = remote(enter().args(("", 100)).result::<i64>().await);
        assert_eq!(
            error.message(),
            "invalid params: name: at least 1 characters were expected, not 0",
            "{way:?} {order:?}"
        );
        assert_eq!(
            errors(&error),
            [
                fault(
                    r#"["name"]"#,
                    "too_short",
                    "at least 1 characters were expected, not 0"
                ),
                fault(
                    r#"["room"]"#,
                    "invalid_value",
                    "integer from 1 to 99 was expected, not 100"
                ),
            ]
        );
        // What is not of the types of the handler is told in the words for that, and first.
        let error = remote(enter().args((7, 100)).result::<i64>().await);
        let told = errors(&error);
        assert_eq!(
            (told.len(), &*told[0].0, &*told[0].1),
            (1, "[0]", "invalid_type")
        );
        assert!(
            told[0].2.starts_with("invalid type: integer `7`"),
            "{told:?}"
        );
        assert_eq!(entered(), 2, "{way:?}: the handler did not run");

        // The handler's mistake: its caller hears that, and no more. At once, and after a wait.
        for name in ["Ann", "later"] {
            let error = remote(enter().args((name, 5)).result::<i64>().await);
            assert_eq!(error.code(), ErrorCode::INTERNAL, "{way:?}");
            assert_eq!(error.message(), "Result validation failed");
            assert_eq!(error.data(), None);
        }
        // Cells go round: the next call is a call like any other.
        assert_eq!(enter().args(("later", 8)).result::<i64>().await.unwrap(), 8);

        let ping = |text: &str| Ping {
            text: text.to_owned(),
        };
        let pinged = joined.client.call("inn", "ping").params(ping("abc"));
        assert_eq!(pinged.result::<String>().await.unwrap(), "abc");
        let pinged = joined.client.call("inn", "ping").params(ping("abcd"));
        assert_eq!(
            errors(&remote(pinged.result::<String>().await)),
            [fault(
                r#"["text"]"#,
                "too_long",
                "at most 3 characters were expected, not 4"
            )]
        );
        let free = joined.client.call("inn", "free").args(("",));
        assert_eq!(free.result::<String>().await.unwrap(), "");
        joined.idle().await;
    }
}

#[tokio::test]
async fn streams_and_notifications_are_held_to_it_too() {
    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let ran = Arc::new(Ran::default());
        let joined = Setup::of(router(&ran, Order::ContractFirst))
            .join(way)
            .await;
        let evens = |up_to: i64| {
            joined
                .client
                .call("inn", "evens")
                .args((up_to,))
                .stream::<i64>()
        };
        let good: Vec<_> = evens(3).collect().await;
        assert_eq!(
            good.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            [2; 4]
        );
        // 0 to 4 are even as it is; 5 ends the stream, behind what was right.
        let mut some = evens(6);
        for even in [2, 2, 2, 2, 4] {
            assert_eq!(some.next().await.unwrap().unwrap(), even, "{way:?}");
        }
        let error = remote(some.next().await.unwrap());
        assert_eq!(
            (error.code(), error.message()),
            (ErrorCode::INTERNAL, "Result validation failed"),
            "{way:?}"
        );
        assert!(some.next().await.is_none());
        let refused = evens(10).next().await.unwrap();
        assert_eq!(errors(&remote(refused))[0].0, r#"["up_to"]"#);

        // Nobody is told, and the handler does not run.
        let left = |name: &str| {
            joined
                .client
                .call("inn", "left")
                .args((name.to_owned(),))
                .notify()
        };
        left("").await.unwrap();
        left("Ann").await.unwrap();
        until("the good one has run", || {
            ran.left.load(Ordering::SeqCst) == 1
        })
        .await;
        joined.idle().await;
        assert_eq!(ran.left.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_method_that_is_added_later_is_held_to_it() {
    let promised = Method::new("add", MethodKind::Unary)
        .with_param(Param::new("a").with_schema(schema(r#"{"type":"integer","minimum":0}"#)));
    let contract = Contract::new("later").with_method(promised).unwrap();
    // It has to be answered at the start; then it may be replaced.
    let server = Server::new()
        .describe(contract)
        .method("later.add", |(a,): (i64,)| a)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let methods = server.methods();
    assert!(methods.remove("later.add"));
    methods.method("later.add", |(a,): (i64,)| a + 1).unwrap();
    for peer in [
        mynah::connect(server.address()).await.unwrap(),
        server.local(),
    ] {
        let add = |a: i64| peer.call("later", "add").args((a,)).result::<i64>();
        assert_eq!(add(1).await.unwrap(), 2);
        let error = remote(add(-1).await);
        assert_eq!(errors(&error)[0].0, r#"["a"]"#);
    }
    assert!(methods.remove("later.add"));
    let stream = methods.method("later.add", |(_,): (i64,)| futures::stream::iter([1]));
    let error = stream.unwrap_err();
    assert!(matches!(error, RegisterError::Contract(..)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the contract of later.add cannot be kept: it says one result, and the handler gives a stream"
    );
}

#[tokio::test]
async fn a_handler_that_gives_something_else_does_not_start() {
    for order in [Order::ContractFirst, Order::ContractLast] {
        let promised = Method::new("all", MethodKind::ServerStream);
        let contract = Contract::new("list").with_method(promised).unwrap();
        let all = |router: Router| router.method("list.all", || 1);
        let router = match order {
            Order::ContractFirst => all(Router::new().describe(contract)),
            Order::ContractLast => all(Router::new()).describe(contract),
        };
        match Server::new().router(router).start().await {
            Err(ServerError::Register(RegisterError::Contract(name, _))) => {
                assert_eq!(name, "list.all");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A contract that says more than is looked at.
fn code_of_three_letters() -> Contract {
    let code = schema(
        r#"{"type":"object","properties":{"code":{"type":"string","pattern":"^[A-Z]{3}$"}}}"#,
    );
    let find =
        Method::new("find", MethodKind::Unary).with_object(Param::new("by").with_schema(code));
    Contract::new("airports").with_method(find).unwrap()
}

#[tokio::test]
async fn a_contract_that_says_what_is_not_checked_does_not_start() {
    let find = |router: Router| router.method("airports.find", |by: Value| by);
    for order in [Order::ContractFirst, Order::ContractLast] {
        let router = match order {
            Order::ContractFirst => find(Router::new().describe(code_of_three_letters())),
            Order::ContractLast => find(Router::new()).describe(code_of_three_letters()),
        };
        let error = router.check().unwrap_err();
        let RegisterError::Unchecked {
            method,
            keyword,
            place,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(
            (&**method, &**keyword, &**place),
            ("airports.find", "pattern", "params.by.code")
        );
        assert_eq!(
            error.to_string(),
            "the contract of airports.find says `pattern` of params.by.code, which is not checked: leave it out, or let \
             the handler check it (`describe_only`)"
        );
    }

    // Unless the handler is trusted to look itself: then it is told, and nothing of it is looked at.
    let server = Server::new()
        .describe_only(code_of_three_letters())
        .method("airports.find", |by: Value| by)
        .start()
        .await
        .unwrap();
    let peer = server.local();
    let find = |code: u8| {
        let by = std::collections::BTreeMap::from([("code", code)]);
        let call = peer.call("airports", "find").params(by);
        call.result::<Value>()
    };
    assert_eq!(
        find(7).await.unwrap(),
        Value::from([("code", 7_u64.into())])
    );
    let told = peer.describe_service("airports").await.unwrap();
    let told = told.contracts()[0].methods()[0].params()[0].schema();
    assert!(told.unwrap().to_string().contains("pattern"), "{told:?}");

    // It must have a handler of its kind all the same.
    let none = Router::new().describe_only(code_of_three_letters());
    assert!(matches!(none.check(), Err(RegisterError::Unanswered(_))));
    let stream = Router::new()
        .describe_only(code_of_three_letters())
        .method("airports.find", |_: Value| futures::stream::iter([1]));
    assert!(matches!(stream.check(), Err(RegisterError::Contract(..))));
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_added_later() {
    let contract = code_of_three_letters();
    let server = Server::new()
        .describe_only(contract)
        .method("airports.find", |by: Value| by)
        .start()
        .await
        .unwrap();
    // Here nothing is promised of values, so another handler may take its place.
    let methods = server.methods();
    assert!(methods.remove("airports.find"));
    methods.method("airports.find", |by: Value| by).unwrap();
}
