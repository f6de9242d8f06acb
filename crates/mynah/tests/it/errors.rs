//! Errors of handlers, of params, of results.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::prelude::*;
use mynah::{DomainError as _, Limits, Value};
use serde::{Deserialize, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
pub(crate) enum ZooError {
    #[error(code = 1, message = "the cage is empty")]
    Empty,
    #[error(code = 2, message = "{value} is not in {range}")]
    OutOfRange { value: i64, range: String },
    #[error(code = -3)]
    Pair(u8, Vec<String>),
}

impl ZooError {
    fn all() -> [Self; 3] {
        [
            Self::Empty,
            Self::OutOfRange {
                value: i64::MIN,
                range: "ä \" \\ \u{1f426}".to_owned(),
            },
            Self::Pair(255, vec![String::new(), "b".to_owned()]),
        ]
    }
}

/// Cannot be encoded.
#[derive(Debug, Deserialize)]
pub(crate) struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("stubborn"))
    }
}

fn rich() -> RpcError {
    let data = Value::Map(vec![
        (
            Value::from("list"),
            Value::Array(vec![Value::from(1_u64), Value::Null, Value::from(true)]),
        ),
        (
            Value::from("deep"),
            Value::Map(vec![
                (Value::from("float"), Value::from(0.5)),
                (Value::from("n"), Value::from(-7_i64)),
            ]),
        ),
        (Value::from("text"), Value::from("ä\n\u{0}\"")),
    ]);
    RpcError::new(
        ErrorCode::application(i64::MAX),
        "all of it: \u{1b}[0m \"quoted\"",
    )
    .with_data(data)
}

#[mynah::service]
trait Zoo {
    async fn fail(&self, which: usize) -> Result<u64, ZooError>;
    async fn rich(&self) -> Result<u64, RpcError>;
    async fn code(&self, code: i64) -> Result<u64, RpcError>;
    async fn stubborn(&self) -> Stubborn;
    async fn add(&self, a: i64, b: i64) -> i64;
    #[notification]
    async fn hear(&self, number: u64);
}

struct MyZoo;

impl Zoo for MyZoo {
    async fn fail(&self, which: usize) -> Result<u64, ZooError> {
        Err(ZooError::all()[which].clone())
    }

    async fn rich(&self) -> Result<u64, RpcError> {
        Err(rich())
    }

    async fn code(&self, code: i64) -> Result<u64, RpcError> {
        Err(RpcError::new(ErrorCode::from_wire(code), "code"))
    }

    async fn stubborn(&self) -> Stubborn {
        Stubborn
    }

    async fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    async fn hear(&self, _number: u64) {}
}

/// The same service as others see it.
mod other {
    use super::Stubborn;

    #[mynah::service(name = "zoo")]
    pub(super) trait Missing {
        async fn missing(&self, a: i64) -> i64;
        #[notification]
        async fn nobody(&self, a: i64);
    }

    #[mynah::service(name = "zoo")]
    pub(super) trait Texts {
        async fn add(&self, a: String, b: String) -> i64;
    }

    #[mynah::service(name = "zoo")]
    pub(super) trait Three {
        async fn add(&self, a: i64, b: i64, c: i64) -> i64;
    }

    #[mynah::service(name = "zoo")]
    pub(super) trait OtherResult {
        async fn add(&self, a: i64, b: i64) -> String;
    }

    #[mynah::service(name = "zoo")]
    pub(super) trait Unencodable {
        async fn add(&self, a: Stubborn) -> i64;
    }
}

#[tokio::test]
async fn errors_of_the_domain_arrive_typed() {
    for way in Way::ALL {
        let joined = Setup::new(ZooService::new(MyZoo)).join(way).await;
        let client: ZooClient = joined.client.client();
        for (which, expected) in ZooError::all().into_iter().enumerate() {
            let error = client.fail(which).await.unwrap_err();
            match (way, error) {
                // A wire that carries only a text.
                (Way::CborRpc, CallError::Remote(error)) => {
                    assert!(error.message().contains(&expected.to_string()), "{error:?}");
                }
                (_, CallError::Application(error)) => assert_eq!(error, expected, "{way:?}"),
                (_, error) => panic!("{way:?}: {error:?}"),
            }
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn errors_with_code_and_data_arrive_unchanged() {
    for way in Way::ALL {
        if way == Way::CborRpc {
            continue;
        }
        let joined = Setup::new(ZooService::new(MyZoo)).join(way).await;
        let client: ZooClient = joined.client.client();
        let error = client.rich().await.unwrap_err();
        let CallError::Application(error) = error else {
            panic!("{way:?}: {error:?}")
        };
        assert_eq!(error, rich(), "{way:?}");
        for code in [0, 1, -1, i64::MAX, i64::MIN, -32_769, -31_999, -32_600] {
            let error = client.code(code).await.unwrap_err();
            let CallError::Application(error) = error else {
                panic!("{way:?}: {error:?}")
            };
            assert_eq!(error.code().value(), code, "{way:?}");
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn unknown_methods_and_wrong_params() {
    for way in Way::ALL {
        let joined = Setup::new(ZooService::new(MyZoo)).join(way).await;
        let strange: other::MissingClient = joined.client.client();
        let code = |error: CallError| match error {
            CallError::Remote(error) => error.code(),
            error => panic!("{way:?}: {error:?}"),
        };
        let unknown = code(strange.missing(1).await.unwrap_err());
        let texts = code(
            joined
                .client
                .client::<other::TextsClient>()
                .add("a".into(), "b".into())
                .await
                .unwrap_err(),
        );
        let three = code(
            joined
                .client
                .client::<other::ThreeClient>()
                .add(1, 2, 3)
                .await
                .unwrap_err(),
        );
        if way != Way::CborRpc {
            assert_eq!(unknown, ErrorCode::METHOD_NOT_FOUND, "{way:?}");
            assert_eq!(texts, ErrorCode::INVALID_PARAMS, "{way:?}");
            assert_eq!(three, ErrorCode::INVALID_PARAMS, "{way:?}");
        }
        let result = joined
            .client
            .client::<other::OtherResultClient>()
            .add(1, 2)
            .await
            .unwrap_err();
        assert!(
            matches!(result, CallError::Decode(_)),
            "{way:?}: {result:?}"
        );
        let params = joined
            .client
            .client::<other::UnencodableClient>()
            .add(Stubborn)
            .await
            .unwrap_err();
        assert!(
            matches!(params, CallError::Encode(_)),
            "{way:?}: {params:?}"
        );
        strange.nobody(1).await.unwrap();
        let client: ZooClient = joined.client.client();
        assert_eq!(client.add(2, 3).await.unwrap(), 5, "{way:?}: it lives");
        joined.idle().await;
    }
}

#[tokio::test]
async fn results_that_cannot_be_encoded() {
    for way in Way::LINKED {
        let joined = Setup::new(ZooService::new(MyZoo)).join(way).await;
        let client: ZooClient = joined.client.client();
        let error = client.stubborn().await.unwrap_err();
        let CallError::Remote(error) = error else {
            panic!("{way:?}: {error:?}")
        };
        if way != Way::CborRpc {
            assert_eq!(error.code(), ErrorCode::UNENCODABLE, "{way:?}");
        }
        assert_eq!(client.add(2, 3).await.unwrap(), 5, "{way:?}: it lives");
        joined.idle().await;
    }
}

/// The caller takes less than the server would give: it says so in its hello, and the call fails, not the connection.
#[tokio::test]
async fn results_that_are_too_large_for_the_caller() {
    for way in [Way::TcpCbor, Way::TcpJson, Way::TcpPack, Way::Duplex] {
        let mut setup = Setup::new(MyProbe::new().service());
        setup.client_limits = Limits::new().with_max_message_bytes(1000);
        let joined = setup.join(way).await;
        let client: ProbeClient = joined.client.client();
        let error = client.letters(1001).await.unwrap_err();
        let CallError::Remote(error) = error else {
            panic!("{way:?}: {error:?}")
        };
        assert_eq!(error.code(), ErrorCode::TOO_LARGE, "{way:?}");
        assert_eq!(
            client.letters(900).await.unwrap().len(),
            900,
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

/// The server takes less than the caller would send.
#[tokio::test]
async fn params_that_are_too_large_for_the_server() {
    for way in [Way::TcpCbor, Way::TcpJson, Way::TcpPack, Way::Duplex] {
        let limits = Limits::new().with_max_message_bytes(1000);
        let joined = Setup::new(MyProbe::new().service())
            .server_limits(limits)
            .join(way)
            .await;
        let client: ProbeClient = joined.client.client();
        client.echo("hello has arrived".into()).await.unwrap();
        let error = client.echo("x".repeat(1001)).await.unwrap_err();
        assert!(matches!(error, CallError::Encode(_)), "{way:?}: {error:?}");
        assert_eq!(
            client.echo("a".into()).await.unwrap(),
            "a",
            "{way:?}: it lives"
        );
        joined.idle().await;
    }
}

#[test]
fn what_travels_is_what_was_derived() {
    for error in ZooError::all() {
        let rpc = error.clone().into_rpc();
        assert_eq!(rpc.message(), error.to_string());
        assert_eq!(ZooError::from_rpc(rpc), Ok(error));
    }
}

/// What a handler passes on of its own calls with a `?`.
#[test]
fn errors_of_nested_calls_say_no_more_than_they_should() {
    let passed = |error: CallError<RpcError>| RpcError::from(error);
    let own = RpcError::new(ErrorCode::application(3), "no");
    assert_eq!(passed(CallError::Application(own.clone())), own);
    let late = passed(CallError::Deadline);
    assert_eq!(late.code(), ErrorCode::DEADLINE_EXCEEDED);
    let stopped = passed(CallError::Cancelled(mynah::By::Callee));
    assert_eq!(stopped.code(), ErrorCode::CANCELLED);
    let secret = "10.0.0.7 does not answer";
    for error in [
        CallError::Remote(RpcError::new(ErrorCode::INTERNAL, secret)),
        CallError::Disconnected(mynah::CloseReason::TimedOut(secret)),
        // Busy would say that this handler has not run.
        CallError::Busy { retry_after: None },
    ] {
        let error = passed(error);
        assert_eq!(error.code(), ErrorCode::INTERNAL);
        assert!(
            error.message().starts_with("internal error, incident"),
            "{error}"
        );
        assert!(!error.to_string().contains("10.0"), "{error}");
    }
}
