//! Calls without a connection: one request, or the bytes of some.

use crate::support::until;
use mynah::codec::dialect::cbor_rpc::Padding;
use mynah::codec::{Dialect, Format, Output, Step, Wire};
use mynah::dialect::{CborRpc, Native, Side};
use mynah::prelude::*;
use mynah::protocol::{
    Envelope, Lane, Notification, Payload, Request, Response, Streams, Window, WireId,
};
use mynah::{
    Before, DecodeLimits, DirectError, Evidence, EvidenceKey, FormatId, InterceptedCall,
    Interceptor, Limits, Metadata, MethodName, Router, ServerState,
};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Seen {
    ran: AtomicUsize,
    dropped: AtomicUsize,
}

struct CountDrop(Arc<Seen>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[mynah::service]
trait Arith {
    async fn add(&self, a: i64, b: i64) -> i64;
}

struct MyArith;

impl Arith for MyArith {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

struct Guard;

impl Interceptor for Guard {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        match call
            .evidence()
            .and_then(|evidence| evidence.text(EvidenceKey::TRANSPORT))
        {
            Some("stranger") => {
                Before::Refuse(RpcError::new(ErrorCode::application(3), "who are you?"))
            }
            _ => Before::Proceed,
        }
    }
}

fn router() -> Router {
    Router::new()
        .register(ArithService::new(MyArith))
        .state(Seen::default())
        .method("tools.later", |(text,): (String,)| async move {
            tokio::task::yield_now().await;
            text
        })
        .method("tools.hang", |seen: ServerState<Seen>| async move {
            seen.0.ran.fetch_add(1, Ordering::SeqCst);
            let _count = CountDrop(Arc::clone(&seen.0));
            std::future::pending::<()>().await;
        })
        .method("tools.back", |peer: Peer| async move {
            let said = peer.call("any", "thing").result::<()>().await;
            matches!(said, Err(CallError::Disconnected(_)))
        })
        .method("tools.large", |(len,): (usize,)| "x".repeat(len))
        .method("tools.items", |(count,): (u64,)| {
            futures::stream::iter(0..count)
        })
        .notification(
            "tools.touch",
            |seen: ServerState<Seen>, (_key,): (String,)| {
                seen.0.ran.fetch_add(1, Ordering::SeqCst);
            },
        )
        .intercept(Guard)
}

fn name(service: &str, method: &str) -> MethodName<'static> {
    MethodName::new(service, method).into_owned()
}

fn payload(format: Format, params: &impl Serialize) -> Payload<'static> {
    let mut bytes = Vec::new();
    format.encode(params, &mut bytes).unwrap();
    Payload::owned(format.id(), bytes.into())
}

fn request(
    method: MethodName<'static>,
    format: Format,
    params: &impl Serialize,
) -> Request<'static> {
    Request {
        id: WireId::Text("r1".into()),
        name: method,
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: payload(format, params),
    }
}

fn notification(method: MethodName<'static>, params: &impl Serialize) -> Notification<'static> {
    Notification {
        name: method,
        id: None,
        metadata: Metadata::new(),
        params: payload(Format::Cbor, params),
    }
}

fn result<T: serde::de::DeserializeOwned>(
    response: Option<Response<'static>>,
) -> Result<T, RpcError> {
    let response = response.expect("a request is answered");
    assert_eq!(response.id, WireId::Text("r1".into()));
    match response.result {
        Ok(payload) => {
            let format = Format::built_in(payload.format()).unwrap();
            Ok(format
                .decode(payload.as_slice(), &DecodeLimits::DEFAULT)
                .unwrap())
        }
        Err(error) => Err(*error),
    }
}

fn code(response: Option<Response<'static>>) -> ErrorCode {
    result::<mynah::Value>(response).unwrap_err().code()
}

fn caller(transport: &str) -> Evidence {
    Evidence::new().with(EvidenceKey::TRANSPORT, transport)
}

#[tokio::test]
async fn one_call_is_answered() {
    let router = router().share().unwrap();
    for format in [Format::Cbor, Format::Json, Format::MessagePack] {
        let run = |method, params: &mynah::Value| {
            let request = request(method, format, params);
            let router = Arc::clone(&router);
            async move { router.dispatch(request, caller("http")).await }
        };
        let list = |values: &[mynah::Value]| mynah::Value::Array(values.to_vec());
        let five = run(name("arith", "add"), &list(&[2.into(), 3.into()])).await;
        assert_eq!(result(five), Ok(5_i64), "{format:?}");
        // By name, as a typed service is called on any wire.
        let named = mynah::Value::Map(vec![("b".into(), 3.into()), ("a".into(), 1.into())]);
        assert_eq!(
            result(run(name("arith", "add"), &named).await),
            Ok(4_i64),
            "{format:?}"
        );
        let later = run(name("tools", "later"), &list(&["a".into()])).await;
        assert_eq!(result(later), Ok("a".to_owned()), "{format:?}");

        let absent = run(name("tools", "absent"), &list(&[])).await;
        assert_eq!(code(absent), ErrorCode::METHOD_NOT_FOUND, "{format:?}");
        let wrong = run(name("arith", "add"), &list(&["two".into(), 3.into()])).await;
        let error = result::<i64>(wrong).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_PARAMS, "{format:?}");
        let errors = error.data().and_then(|data| data.get("errors")).unwrap();
        assert!(errors.to_string().contains(r#""loc": ["a"]"#), "{errors}");
    }
}

#[tokio::test]
async fn a_notification_has_no_response() {
    let router = router().share().unwrap();
    let seen = async |router: &Arc<Router>, params: &mynah::Value| {
        let touch = notification(name("tools", "touch"), params);
        assert_eq!(router.dispatch(touch, caller("http")).await, None);
    };
    seen(&router, &mynah::Value::Array(vec!["a".into()])).await;
    // One that is wrong is dropped.
    seen(&router, &mynah::Value::Array(vec![1.into()])).await;
    let absent = notification(name("tools", "absent"), &());
    assert_eq!(router.dispatch(absent, caller("http")).await, None);
    assert_eq!(
        router.dispatch(Envelope::Ping(1), caller("http")).await,
        None
    );
}

#[tokio::test]
async fn a_call_without_a_connection_passes_its_interceptors() {
    let router = router().share().unwrap();
    let add = || request(name("arith", "add"), Format::Cbor, &(1, 2));
    assert_eq!(
        result(router.dispatch(add(), caller("http")).await),
        Ok(3_i64)
    );
    let refused = router.dispatch(add(), caller("stranger")).await;
    assert_eq!(code(refused), ErrorCode::application(3));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_connection_has_its_deadline() {
    let router = router().share().unwrap();
    let mut hang = request(name("tools", "hang"), Format::Cbor, &[(); 0]);
    hang.timeout = Some(Duration::from_secs(3));
    let started = tokio::time::Instant::now();
    let late = router.dispatch(hang, caller("http")).await;
    assert_eq!(code(late), ErrorCode::DEADLINE_EXCEEDED);
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn dropping_it_cancels_the_call() {
    let seen = Arc::new(Seen::default());
    let router = router().shared_state(Arc::clone(&seen)).share().unwrap();
    let hang = request(name("tools", "hang"), Format::Cbor, &[(); 0]);
    let call = tokio::spawn({
        let router = Arc::clone(&router);
        async move { router.dispatch(hang, caller("http")).await }
    });
    until("it runs", || seen.ran.load(Ordering::SeqCst) == 1).await;
    assert_eq!(seen.dropped.load(Ordering::SeqCst), 0);
    call.abort();
    until("it is dropped", || seen.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn calls_without_a_connection_share_their_permits() {
    let limits = Limits::default().with_calls_in_flight(1);
    let seen = Arc::new(Seen::default());
    let router = router()
        .shared_state(Arc::clone(&seen))
        .limits(limits)
        .share()
        .unwrap();
    let hang = request(name("tools", "hang"), Format::Cbor, &[(); 0]);
    let call = tokio::spawn({
        let router = Arc::clone(&router);
        async move { router.dispatch(hang, caller("http")).await }
    });
    until("it runs", || seen.ran.load(Ordering::SeqCst) == 1).await;
    let add = || request(name("arith", "add"), Format::Cbor, &(1, 2));
    assert_eq!(
        code(router.dispatch(add(), caller("http")).await),
        ErrorCode::BUSY
    );
    call.abort();
    until("it is dropped", || seen.dropped.load(Ordering::SeqCst) == 1).await;
    assert!(call.await.is_err());
    assert_eq!(
        result(router.dispatch(add(), caller("http")).await),
        Ok(3_i64)
    );
}

#[tokio::test]
async fn what_needs_a_connection_is_refused() {
    let router = router().share().unwrap();
    let back = request(name("tools", "back"), Format::Cbor, &[(); 0]);
    assert_eq!(
        result(router.dispatch(back, caller("http")).await),
        Ok(true)
    );
    let mut items = request(name("tools", "items"), Format::Cbor, &(3,));
    items.streams = Streams {
        window: Some(Window {
            items: 10,
            bytes: 1000,
        }),
        input: false,
        callbacks: false,
    };
    let refused = router.dispatch(items, caller("http")).await;
    assert_eq!(code(refused), ErrorCode::UNSUPPORTED);
}

#[tokio::test]
async fn limits_hold_for_it() {
    let mut limits = Limits::default();
    limits.decode.max_message_bytes = 1000;
    let router = router().limits(limits).share().unwrap();
    let large = request(name("tools", "later"), Format::Cbor, &("x".repeat(2000),));
    assert_eq!(
        code(router.dispatch(large, caller("http")).await),
        ErrorCode::TOO_LARGE
    );
    let answer = request(name("tools", "large"), Format::Cbor, &(2000,));
    assert_eq!(
        code(router.dispatch(answer, caller("http")).await),
        ErrorCode::TOO_LARGE
    );
    let long = request(name("tools", &"n".repeat(5000)), Format::Cbor, &[(); 0]);
    assert_eq!(
        code(router.dispatch(long, caller("http")).await),
        ErrorCode::INVALID_REQUEST
    );
}

/// The other end of a delivery, by its wire.
struct End {
    wire: Box<dyn Wire>,
    out: Output,
}

impl End {
    fn new(dialect: &dyn Dialect) -> Self {
        let mut end = Self {
            wire: dialect.wire(Side::Dial, &Limits::default()),
            out: Output::new(),
        };
        end.wire.own_output(&mut end.out);
        end
    }

    fn say(&mut self, envelope: impl Into<Envelope<'static>>) {
        self.wire
            .encode(&envelope.into(), Lane::Data, &mut self.out)
            .unwrap();
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for lane in [Lane::Control, Lane::Data] {
            let mut chunk = mynah::codec::OutputChunk::default();
            self.out.take(lane, &mut chunk);
            bytes.append(&mut chunk.bytes);
        }
        bytes
    }

    /// The responses in what came.
    fn hear(&mut self, mut bytes: &[u8]) -> Vec<Response<'static>> {
        let mut heard = Vec::new();
        while !bytes.is_empty() {
            match self.wire.decode(bytes).unwrap() {
                Step::Need(_) => panic!("{} bytes are left over", bytes.len()),
                Step::Skip(len) | Step::Ignore(len) => bytes = &bytes[len..],
                Step::Envelope(len, envelope) => {
                    if let Envelope::Response(response) = envelope.into_owned() {
                        heard.push(response);
                    }
                    bytes = &bytes[len..];
                }
            }
        }
        heard
    }
}

fn numbered(
    id: u64,
    method: MethodName<'static>,
    format: Format,
    params: &impl Serialize,
) -> Request<'static> {
    Request {
        id: WireId::Uint(id),
        ..request(method, format, params)
    }
}

fn dialects() -> Vec<(Box<dyn Dialect>, Format)> {
    vec![
        (Box::new(Native::new()), Format::Cbor),
        (Box::new(Native::json()), Format::Json),
        (Box::new(Native::messagepack()), Format::MessagePack),
        (Box::new(CborRpc::cbor()), Format::Cbor),
        (Box::new(CborRpc::json(Padding::Newline)), Format::Json),
    ]
}

#[tokio::test]
async fn bytes_of_any_dialect_are_answered_in_it() {
    let router = router().share().unwrap();
    for (dialect, format) in dialects() {
        let mut end = End::new(&dialect);
        for id in 0..300 {
            let method = if dialect.name() == "native" {
                name("arith", "add")
            } else {
                name("", "add")
            };
            end.say(numbered(id, method, format, &(id, 1)));
        }
        let method = if dialect.name() == "native" {
            name("tools", "later")
        } else {
            name("", "later")
        };
        end.say(numbered(300, method, format, &("late",)));
        let said = router
            .handle_wire(&dialect, end.bytes(), caller("http"))
            .await
            .unwrap()
            .unwrap();
        let mut answers = end.hear(&said);
        answers.sort_by_key(|answer| answer.id.to_string().len());
        assert_eq!(answers.len(), 301, "{dialect:?}");
        for answer in &answers {
            let value = answer.result.as_ref().unwrap();
            let value: mynah::Value = format
                .decode(value.as_slice(), &DecodeLimits::DEFAULT)
                .unwrap();
            if answer.id == WireId::Uint(300) {
                assert_eq!(value.as_str(), Some("late"));
            } else {
                assert!(value.as_u64().is_some_and(|sum| sum >= 1), "{value:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_delivery_of_notifications_has_no_answer() {
    let seen = Arc::new(Seen::default());
    let router = router().shared_state(Arc::clone(&seen)).share().unwrap();
    let dialect = CborRpc::cbor();
    let mut end = End::new(&dialect);
    end.say(notification(name("", "touch"), &("a",)));
    end.say(notification(name("", "touch"), &("b",)));
    let said = router
        .handle_wire(&dialect, end.bytes(), caller("http"))
        .await
        .unwrap();
    assert_eq!(said, None);
    assert_eq!(seen.ran.load(Ordering::SeqCst), 2);
    assert_eq!(
        router
            .handle_wire(&dialect, Vec::new(), caller("http"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn bytes_that_are_no_messages_are_an_error() {
    let router = router().share().unwrap();
    for (dialect, format) in dialects() {
        let native = dialect.name() == "native";
        let mut end = End::new(&dialect);
        let add = if native {
            name("arith", "add")
        } else {
            name("", "add")
        };
        end.say(numbered(1, add.clone(), format, &(2, 3)));
        end.say(numbered(2, add, format, &(2, 3)));
        let bytes = end.bytes();
        let cut = bytes.get(..bytes.len() - 3).unwrap().to_vec();
        match router.handle_wire(&dialect, cut, caller("http")).await {
            Err(DirectError::Incomplete { unread, said }) => {
                assert!(unread > 0 && unread < bytes.len(), "{dialect:?}");
                // The first one was whole.
                assert_eq!(end.hear(&said).len(), 1, "{dialect:?}");
            }
            other => panic!("{dialect:?}: {other:?}"),
        }
        let garbage = vec![0x1c, 0x00, 0xff, 0xfe, 0x1c];
        match router.handle_wire(&dialect, garbage, caller("http")).await {
            Err(DirectError::Ended { .. }) => {}
            other => panic!("{dialect:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_answered_is_bounded() {
    let mut limits = Limits::default().with_output_high_water_bytes(10_000);
    limits.decode.max_message_bytes = 5_000;
    let router = router().limits(limits).share().unwrap();
    let dialect = CborRpc::cbor();
    let mut end = End::new(&dialect);
    for id in 0..100 {
        end.say(numbered(id, name("", "large"), Format::Cbor, &(4_000,)));
    }
    match router
        .handle_wire(&dialect, end.bytes(), caller("http"))
        .await
    {
        Err(DirectError::TooLarge { limit }) => assert_eq!(limit, 15_000),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_running_server_answers_directly_too() {
    let server = Server::new()
        .router(router())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let add = request(name("arith", "add"), Format::Json, &(1, 2));
    assert_eq!(
        result(server.router().dispatch(add, caller("http")).await),
        Ok(3_i64)
    );
    // What is added to the server is there for it as well.
    server.methods().method("new.one", || 1_i64).unwrap();
    let one = request(name("new", "one"), Format::Json, &[(); 0]);
    assert_eq!(
        result(server.router().dispatch(one, caller("http")).await),
        Ok(1_i64)
    );
    assert_eq!(FormatId::Json, Format::Json.id());
}

/// Lines of text, as other programs write them.
#[tokio::test]
async fn lines_of_other_programs_are_answered() {
    let router = router().share().unwrap();
    let kollabor = r#"{"action":"rpc_request","request_id":"r1","method":"arith.add","params":{"a":2,"b":3},"timeout":5}"#;
    let said = router
        .handle_wire(
            &mynah::dialect::Kollabor::new(),
            format!("{kollabor}\n"),
            caller("http"),
        )
        .await
        .unwrap()
        .unwrap();
    let reply: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(reply["request_id"], "r1");
    assert_eq!(reply["result"], 5);

    let jsonrpc = mynah::dialect::JsonRpc::standard();
    let lines = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"arith.add","params":[2,3]}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"tools.touch","params":["a"]}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":2,"method":"no.such"}"#,
        "\n",
    );
    let said = router
        .handle_wire(&jsonrpc, lines, caller("http"))
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8(said.to_vec()).unwrap();
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{said}");
    // They come as they are done, and not in the order in which they were asked for.
    let of = |id: u64| lines.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!(of(1)["result"], 5, "{said}");
    assert_eq!(of(2)["error"]["code"], -32601, "{said}");
}

/// A carrier that has messages has no line feeds.
#[tokio::test]
async fn one_message_needs_no_line_feed() {
    let router = router().share().unwrap();
    let jsonrpc = mynah::dialect::JsonRpc::standard();
    let say = async |bytes: &str| {
        let said = router.handle_wire(&jsonrpc, bytes.to_owned(), caller("http"));
        let said = said.await.unwrap().unwrap_or_default();
        let said = String::from_utf8(said.to_vec()).unwrap();
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let add = r#"{"jsonrpc":"2.0","id":1,"method":"arith.add","params":[2,3]}"#;
    let touch = r#"{"jsonrpc":"2.0","method":"tools.touch","params":["a"]}"#;
    for end in ["", "\n", "\r\n", "\n\n"] {
        let answers = say(&format!("{add}{end}")).await;
        assert_eq!(answers.len(), 1, "{end:?}");
        assert_eq!(answers[0]["result"], 5, "{end:?}");
        assert!(say(&format!("{touch}{end}")).await.is_empty(), "{end:?}");
        assert_eq!(say(&format!("{touch}\n{add}{end}")).await.len(), 1);
    }
    assert!(say("").await.is_empty());
    // A part of a message is a wrong one, and a batch is not read.
    let cut = say(add.get(..40).unwrap()).await;
    assert_eq!(cut[0]["error"]["code"], -32700, "{cut:?}");
    let batch = say(&format!("[{add},{add}]")).await;
    assert_eq!(batch[0]["error"]["code"], -32600, "{batch:?}");

    let kollabor = r#"{"action":"rpc_request","request_id":"r1","method":"arith.add","params":{"a":2,"b":3},"timeout":5}"#;
    let dialect = mynah::dialect::Kollabor::new();
    let said = router.handle_wire(&dialect, kollabor, caller("http")).await;
    let reply: serde_json::Value = serde_json::from_slice(&said.unwrap().unwrap()).unwrap();
    assert_eq!(reply["result"], 5);
}
