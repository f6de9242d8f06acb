//! What is checked beside types, in which order, and what the caller hears.

use crate::support::{Setup, Way};
use mynah::prelude::*;
use mynah::{CallError, Faults, Router, Validate, Value, validated};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Guest {
    name: String,
    age: u8,
    friends: Vec<Guest>,
}

impl Validate for Guest {
    fn validate(&self, faults: &mut Faults) {
        faults.field("name", |faults| {
            faults.require(!self.name.is_empty(), "too_short", "must not be empty");
        });
        faults.field("age", |faults| {
            faults.require(self.age < 150, "too_large", "must be less than 150");
        });
        faults.field("friends", |faults| self.friends.validate(faults));
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Even(u32);

impl Validate for Even {
    fn validate(&self, faults: &mut Faults) {
        faults.require(self.0.is_multiple_of(2), "odd", "must be even");
    }
}

fn guest(name: &str, age: u8) -> Guest {
    Guest {
        name: name.to_owned(),
        age,
        friends: Vec::new(),
    }
}

/// Sends anything, to see what the server says.
#[mynah::service]
trait Inn {
    async fn enter(&self, guest: Guest, room: u32) -> Result<Even, RpcError>;
}

#[mynah::service(name = "inn")]
trait Loose {
    async fn enter(&self, guest: Value, room: Value) -> Result<Value, RpcError>;
}

fn by_hand(ran: &Arc<AtomicUsize>) -> Router {
    let ran = Arc::clone(ran);
    Router::new().method(
        "inn.enter",
        validated(move |_: Context, (_guest, room): (Guest, u32)| {
            ran.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, RpcError>(Even(room)) }
        }),
    )
}

fn remote<T: std::fmt::Debug>(result: Result<T, CallError<RpcError>>) -> RpcError {
    match result.unwrap_err() {
        CallError::Application(error) | CallError::Remote(error) => error,
        other => panic!("{other:?}"),
    }
}

/// `loc`, `type` and `msg` of each fault.
fn errors(error: &RpcError) -> Vec<(String, String, String)> {
    let data = error.data().unwrap();
    let Some(Value::Array(errors)) = data.get("errors") else {
        panic!("{data:?}");
    };
    let text = |value: &Value, name| value.get(name).unwrap().as_str().unwrap().to_owned();
    errors
        .iter()
        .map(|error| {
            (
                error.get("loc").unwrap().to_string(),
                text(error, "type"),
                text(error, "msg"),
            )
        })
        .collect()
}

#[tokio::test]
async fn params_are_checked_before_the_handler_and_results_after_it() {
    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let ran = Arc::new(AtomicUsize::new(0));
        let setup = Setup::of(by_hand(&ran));
        let joined = setup.join(way).await;
        let inn: InnClient = joined.client.client();
        assert_eq!(
            inn.enter(guest("Ann", 20), 4).await.unwrap(),
            Even(4),
            "{way:?}"
        );
        assert_eq!(ran.load(Ordering::SeqCst), 1);

        // Everything that is wrong, and where.
        let mut wrong = guest("", 200);
        wrong.friends = vec![guest("Bob", 3), guest("", 4)];
        let error = remote(inn.enter(wrong, 4).await);
        assert_eq!(error.code(), ErrorCode::INVALID_PARAMS, "{way:?}");
        let errors = errors(&error);
        let places: Vec<_> = errors
            .iter()
            .map(|(at, kind, _)| (&**at, &**kind))
            .collect();
        assert_eq!(
            places,
            [
                (r#"[0, "name"]"#, "too_short"),
                (r#"[0, "age"]"#, "too_large"),
                (r#"[0, "friends", 1, "name"]"#, "too_short"),
            ],
            "{way:?}"
        );
        assert_eq!(errors[1].2, "must be less than 150");
        assert_eq!(
            ran.load(Ordering::SeqCst),
            1,
            "{way:?}: the handler did not run"
        );

        // The handler's mistake: its caller hears that, and no more.
        let error = remote(inn.enter(guest("Ann", 20), 5).await);
        assert_eq!(error.code(), ErrorCode::INTERNAL, "{way:?}");
        assert_eq!(error.message(), "Result validation failed");
        assert_eq!(error.data(), None);
        assert_eq!(ran.load(Ordering::SeqCst), 2, "{way:?}");
        joined.idle().await;
    }
}

/// Not validated, not typed by its caller: the server says where the params are of another shape.
#[tokio::test]
async fn params_of_another_shape_are_refused_with_their_place() {
    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let ran = Arc::new(AtomicUsize::new(0));
        let setup = Setup::of(by_hand(&ran));
        let joined = setup.join(way).await;
        let loose: LooseClient = joined.client.client();
        let map = |entries: &[(&str, Value)]| {
            Value::Map(
                entries
                    .iter()
                    .map(|(name, value)| (Value::from(*name), value.clone()))
                    .collect(),
            )
        };
        let none = Value::Array(Vec::new());
        let cases = [
            (
                map(&[
                    ("name", 3.into()),
                    ("age", 1.into()),
                    ("friends", none.clone()),
                ]),
                Value::from(4),
                r#"[0, "name"]"#,
                "invalid_type",
            ),
            (
                map(&[("name", "Ann".into()), ("friends", none.clone())]),
                4.into(),
                r#"[0, "age"]"#,
                "missing_field",
            ),
            (
                map(&[
                    ("name", "Ann".into()),
                    ("age", 1.into()),
                    (
                        "friends",
                        Value::Array(vec![map(&[
                            ("name", "Bob".into()),
                            ("age", 300.into()),
                            ("friends", none.clone()),
                        ])]),
                    ),
                ]),
                4.into(),
                r#"[0, "friends", 0, "age"]"#,
                "invalid_value",
            ),
            (
                map(&[
                    ("name", "Ann".into()),
                    ("age", 1.into()),
                    ("friends", none.clone()),
                ]),
                "four".into(),
                "[1]",
                "invalid_type",
            ),
        ];
        for (guest, room, at, kind) in cases {
            let error = remote(loose.enter(guest, room).await);
            assert_eq!(error.code(), ErrorCode::INVALID_PARAMS, "{way:?}: {error}");
            let errors = errors(&error);
            assert_eq!(
                (&*errors[0].0, &*errors[0].1),
                (at, kind),
                "{way:?}: {errors:?}"
            );
            assert_eq!(errors.len(), 1);
        }
        assert_eq!(ran.load(Ordering::SeqCst), 0, "{way:?}");
        joined.idle().await;
    }
}

#[test]
fn what_is_gathered_is_bounded() {
    let many = vec![Even(1); 1000];
    let mut faults = Faults::new();
    faults.field("x".repeat(10_000), |faults| many.validate(faults));
    assert_eq!(faults.iter().count() + faults.dropped(), 1000);
    assert!(faults.iter().count() <= 32);
    let bytes: usize = faults.iter().map(|fault| fault.to_string().len()).sum();
    assert!(bytes < 32 * 200, "{bytes}");
}

#[mynah::service(name = "inn", validate)]
trait Checked {
    async fn enter(&self, guest: Guest, room: u32) -> Result<Even, RpcError>;
    #[spawn]
    async fn spawned(&self, guest: Guest) -> Even;
    #[blocking]
    fn blocking(&self, guest: Guest) -> Even;
    fn evens(&self, guest: Guest, up_to: u32) -> impl Stream<Item = Even> + Send;
    #[notification]
    async fn left(&self, guest: Guest);
}

struct MyInn {
    ran: AtomicUsize,
}

impl Checked for MyInn {
    async fn enter(&self, _guest: Guest, room: u32) -> Result<Even, RpcError> {
        self.ran.fetch_add(1, Ordering::SeqCst);
        Ok(Even(room))
    }

    async fn spawned(&self, guest: Guest) -> Even {
        self.ran.fetch_add(1, Ordering::SeqCst);
        Even(guest.age.into())
    }

    fn blocking(&self, guest: Guest) -> Even {
        self.ran.fetch_add(1, Ordering::SeqCst);
        Even(guest.age.into())
    }

    fn evens(&self, _guest: Guest, up_to: u32) -> impl Stream<Item = Even> + Send {
        futures::stream::iter((0..=up_to).map(|number| Even(if number < 2 { 2 } else { number })))
    }

    async fn left(&self, _guest: Guest) {
        self.ran.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_service_is_validated_where_its_macro_says_so() {
    use futures::StreamExt as _;

    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let inn = Arc::new(MyInn {
            ran: AtomicUsize::new(0),
        });
        let ran = || inn.ran.load(Ordering::SeqCst);
        let service = CheckedService::new(Arc::clone(&inn));
        let joined = Setup::new(service).join(way).await;
        let client: CheckedClient = joined.client.client();
        let (good, wrong) = (guest("Ann", 20), guest("", 20));

        assert_eq!(client.enter(good.clone(), 4).await.unwrap(), Even(4));
        let error = remote(client.enter(wrong.clone(), 4).await);
        assert_eq!(error.code(), ErrorCode::INVALID_PARAMS, "{way:?}");
        let places = errors(&error);
        assert_eq!(
            places[0].0, r#"["guest", "name"]"#,
            "{way:?}: by the name of the param"
        );
        let error = remote(client.enter(good.clone(), 5).await);
        assert_eq!(error.message(), "Result validation failed", "{way:?}");
        assert_eq!(ran(), 2, "{way:?}");

        let failed = (ErrorCode::INTERNAL, "Result validation failed".to_owned());
        assert_eq!(client.spawned(good.clone()).await.unwrap(), Even(20));
        assert_eq!(
            refused(client.spawned(wrong.clone()).await),
            ErrorCode::INVALID_PARAMS
        );
        assert_eq!(
            said_plain(client.spawned(guest("Ann", 21)).await),
            failed,
            "{way:?}"
        );
        assert_eq!(client.blocking(good.clone()).await.unwrap(), Even(20));
        assert_eq!(
            refused(client.blocking(wrong.clone()).await),
            ErrorCode::INVALID_PARAMS
        );
        assert_eq!(
            said_plain(client.blocking(guest("Ann", 21)).await),
            failed,
            "{way:?}"
        );
        assert_eq!(ran(), 6, "{way:?}");

        let mut evens = client.evens(good.clone(), 3).start();
        for _ in 0..3 {
            assert_eq!(evens.next().await.unwrap().unwrap(), Even(2), "{way:?}");
        }
        assert_eq!(said_plain(evens.next().await.unwrap()), failed, "{way:?}");
        let refusal = client.evens(wrong.clone(), 3).start().next().await.unwrap();
        assert_eq!(refused(refusal), ErrorCode::INVALID_PARAMS, "{way:?}");

        // Nobody is told of a notification that is wrong, and its handler does not run.
        client.left(wrong).await.unwrap();
        client.left(good.clone()).await.unwrap();
        client.enter(good, 4).await.unwrap();
        crate::support::until("the good one has run", || ran() == 8).await;
        joined.idle().await;
    }
}

fn said_plain<T: std::fmt::Debug>(result: Result<T, CallError>) -> (ErrorCode, String) {
    match result.unwrap_err() {
        CallError::Remote(error) => (error.code(), error.message().to_owned()),
        other => panic!("{other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> ErrorCode {
    said_plain(result).0
}
