//! Spans of calls, the trace that they belong to, and warnings of what is slow, as a subscriber sees them.

use crate::flow::*;
use crate::support::*;
use futures::StreamExt as _;
use mynah::prelude::*;
use mynah::{Router, SlowThresholds};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

type Fields = BTreeMap<String, String>;

/// Keeps spans and events.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    spans: Vec<Fields>,
    events: Vec<Fields>,
    /// Which spans are entered.
    entered: Vec<u64>,
    /// The highest level that is wanted.
    most: Option<Level>,
}

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let most = self.0.lock().unwrap().most.unwrap_or(Level::INFO);
        metadata.target().starts_with("mynah::") && *metadata.level() <= most
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut recorded = self.0.lock().unwrap();
        let mut fields = Fields::new();
        span.record(&mut Visitor(&mut fields));
        recorded.spans.push(fields);
        Id::from_u64(recorded.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut recorded = self.0.lock().unwrap();
        let index = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Visitor(&mut recorded.spans[index]));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Visitor(&mut fields));
        self.0.lock().unwrap().events.push(fields);
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let left = self.0.lock().unwrap().entered.pop();
        assert_eq!(left, Some(span.into_u64()), "left in order");
    }
}

impl Recorder {
    /// What was said, in order.
    pub(crate) fn messages(&self) -> Vec<String> {
        let recorded = self.0.lock().unwrap();
        let messages = recorded.events.iter().map(|event| event["message"].clone());
        messages.collect()
    }

    fn spans(&self, kind: &str, method: &str) -> Vec<Fields> {
        let recorded = self.0.lock().unwrap();
        assert!(recorded.entered.is_empty(), "no span is left entered");
        let found = |span: &&Fields| span["otel.kind"] == kind && span["rpc.method"] == method;
        recorded.spans.iter().filter(found).cloned().collect()
    }

    async fn ended(&self, kind: &str, method: &str) -> Fields {
        let found = || {
            let mut spans = self.spans(kind, method);
            spans.retain(|span| span.contains_key("outcome"));
            spans.pop()
        };
        until("the span has ended", || found().is_some()).await;
        found().unwrap()
    }

    fn clear(&self) {
        let mut recorded = self.0.lock().unwrap();
        // Ids of spans that are alive must stay right.
        recorded.events.clear();
        for span in &mut recorded.spans {
            span.insert("rpc.method".to_owned(), String::new());
        }
    }
}

#[mynah::service]
trait Chain {
    async fn outer(&self, cx: &Context) -> Result<u64, RpcError>;
    async fn fails(&self) -> Result<(), RpcError>;
    #[spawn]
    async fn spawned(&self) -> u64;
    async fn waits(&self) -> u64;
}

#[mynah::service]
trait Inner {
    async fn inner(&self, cx: &Context) -> (String, String);
}

struct MyChain;

impl Chain for MyChain {
    async fn outer(&self, cx: &Context) -> Result<u64, RpcError> {
        let inner: InnerClient = cx.peer().client();
        let (trace, _span) = inner
            .inner()
            .await
            .map_err(|error| RpcError::new(ErrorCode::INTERNAL, error.to_string()))?;
        assert_eq!(trace, hex(&cx.trace().unwrap().trace_id()));
        Ok(1)
    }

    async fn fails(&self) -> Result<(), RpcError> {
        Err(RpcError::new(ErrorCode::application(9), "no"))
    }

    async fn spawned(&self) -> u64 {
        tracing::info!(target: "mynah::test", "inside");
        1
    }

    async fn waits(&self) -> u64 {
        tokio::task::yield_now().await;
        1
    }
}

struct MyInner;

impl Inner for MyInner {
    async fn inner(&self, cx: &Context) -> (String, String) {
        let trace = cx.trace().unwrap();
        (hex(&trace.trace_id()), hex(&trace.span_id()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn setup() -> Setup {
    Setup {
        server: Router::new().register(ChainService::new(MyChain)),
        client: Router::new().register(InnerService::new(MyInner)),
        capacity: 64,
        ..Setup::default()
    }
}

#[tokio::test]
async fn spans_of_both_sides_and_of_nested_calls_are_of_one_trace() {
    for way in [
        Way::TcpCbor,
        Way::TcpJson,
        Way::Duplex,
        Way::Memory,
        Way::InProcess,
    ] {
        let recorder = Recorder::default();
        let _guard = tracing::subscriber::set_default(recorder.clone());
        let joined = setup().join(way).await;
        let client: ChainClient = joined.client.client();
        assert_eq!(client.outer().await.unwrap(), 1, "{way:?}");
        let outer_client = recorder.ended("client", "outer").await;
        let outer_server = recorder.ended("server", "outer").await;
        let inner_client = recorder.ended("client", "inner").await;
        let inner_server = recorder.ended("server", "inner").await;
        let all = [&outer_client, &outer_server, &inner_client, &inner_server];
        for (above, below) in all.iter().zip(all.iter().skip(1)) {
            assert_eq!(below["trace_id"], above["trace_id"], "{way:?}");
            assert_eq!(below["parent_id"], above["span_id"], "{way:?}");
        }
        assert!(!outer_client.contains_key("parent_id"));
        for span in all {
            assert_eq!(span["rpc.system"], "mynah");
            assert_eq!(span["outcome"], "ok");
            assert_eq!(span["otel.status_code"], "OK");
            assert!(!span.contains_key("code"));
            assert!(!span["peer"].is_empty());
        }
        assert_eq!(outer_server["rpc.service"], "chain");
        assert_eq!(outer_server["otel.name"], "chain.outer");

        client.fails().await.unwrap_err();
        let failed = recorder.ended("server", "fails").await;
        assert_eq!(failed["outcome"], "error");
        assert_eq!(failed["otel.status_code"], "ERROR");
        assert_ne!(
            failed["trace_id"], outer_client["trace_id"],
            "a trace of its own"
        );
        if way != Way::InProcess {
            assert_eq!(failed["code"], "9");
            assert_eq!(recorder.ended("client", "fails").await["code"], "9");
        }
        assert_eq!(client.spawned().await.unwrap(), 1);
        assert_eq!(client.waits().start().await.unwrap(), 1);
        recorder.ended("server", "spawned").await;
        recorder.ended("server", "waits").await;
        recorder.clear();
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_wire_without_metadata_carries_no_trace_and_fails_nothing() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let joined = setup().join(Way::CborRpc).await;
    let client: ChainClient = joined.client.client();
    assert_eq!(client.waits().await.unwrap(), 1);
    let near = recorder.ended("client", "waits").await;
    let far = recorder.ended("server", "waits").await;
    assert_ne!(near["trace_id"], far["trace_id"]);
}

/// Before there is a connection nobody knows what its wire carries.
#[tokio::test]
async fn a_client_that_reconnects_sends_no_trace_where_none_is_carried() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    for query in ["?dialect=cbor-rpc", ""] {
        let server = Server::new()
            .register(ChainService::new(MyChain))
            .listen(&format!("tcp://127.0.0.1:0{query}"))
            .start()
            .await
            .unwrap();
        let reconnecting = mynah::connector(&format!("{}{query}", server.address()))
            .unwrap()
            .reconnect(mynah::Backoff::default())
            .unwrap()
            .start()
            .unwrap();
        let client: ChainClient<mynah::Reconnecting> = reconnecting.client();
        for _ in 0..2 {
            assert_eq!(
                within("waits", client.waits().into_future()).await.unwrap(),
                1
            );
        }
        let near = recorder.ended("client", "waits").await;
        let far = recorder.ended("server", "waits").await;
        assert_eq!(near["trace_id"] == far["trace_id"], query.is_empty());
        reconnecting.close();
    }
}

#[tokio::test]
async fn a_call_within_another_goes_on_with_its_trace() {
    #[mynah::service]
    trait Relay {
        async fn relay(&self, cx: &Context) -> Result<String, RpcError>;
    }
    struct MyRelay(InnerClient);
    impl Relay for MyRelay {
        async fn relay(&self, cx: &Context) -> Result<String, RpcError> {
            let asked = self.0.inner().within(cx).await;
            let (trace, _) =
                asked.map_err(|error| RpcError::new(ErrorCode::INTERNAL, error.to_string()))?;
            Ok(trace)
        }
    }
    for traced in [false, true] {
        let recorder = Recorder::default();
        let _guard = traced.then(|| tracing::subscriber::set_default(recorder.clone()));
        let behind = Setup::new(InnerService::new(MyInner))
            .join(Way::Duplex)
            .await;
        let relay = RelayService::new(MyRelay(behind.client.client()));
        let front = Setup::new(relay).join(Way::Duplex).await;
        let client: RelayClient = front.client.client();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = client
            .relay()
            .metadata("traceparent", parent)
            .await
            .unwrap();
        assert_eq!(trace, "4bf92f3577b34da6a3ce929d0e0e4736", "{traced}");
    }
}

#[tokio::test]
async fn spans_of_streams_count_their_items() {
    for way in STREAMS {
        let recorder = Recorder::default();
        let _guard = tracing::subscriber::set_default(recorder.clone());
        let flow = MyFlow::new();
        let joined = Setup::new(flow.service()).join(way).await;
        let client: FlowClient = joined.client.client();
        assert_eq!(client.count(7).start().count().await, 7);
        for kind in ["client", "server"] {
            let span = recorder.ended(kind, "count").await;
            assert_eq!(span["items"], "7", "{way:?}");
            assert_eq!(span["rpc.kind"], "stream");
        }
        let mut hangs = client.hang(1).start();
        hangs.next().await.unwrap().unwrap();
        drop(hangs);
        assert_eq!(
            recorder.ended("client", "hang").await["outcome"],
            "cancelled"
        );
        assert_eq!(
            recorder.ended("server", "hang").await["outcome"],
            "cancelled"
        );
        joined.idle().await;
    }
}

#[tokio::test]
async fn what_is_slow_is_named() {
    for way in Way::ALL {
        let recorder = Recorder::default();
        recorder.0.lock().unwrap().most = Some(Level::WARN);
        let _guard = tracing::subscriber::set_default(recorder.clone());
        let zero = Some(Duration::ZERO);
        let cases = [
            (SlowThresholds::default().poll(zero), "held up"),
            (SlowThresholds::default().handler(zero), "took long"),
            (SlowThresholds::off(), ""),
        ];
        for (thresholds, text) in cases {
            let mut setup = setup();
            setup.server = setup.server.warn_slow(thresholds);
            let joined = setup.join(way).await;
            let client: ChainClient = joined.client.client();
            assert_eq!(client.waits().await.unwrap(), 1);
            let named = || {
                let recorded = events(&recorder);
                recorded.iter().any(|event| {
                    event["message"].contains(text) && event["method"].contains("waits")
                })
            };
            if text.is_empty() {
                settle().await;
                assert!(events(&recorder).is_empty(), "{way:?}");
            } else {
                until("it is named", named).await;
            }
            assert!(
                recorder.0.lock().unwrap().spans.is_empty(),
                "no span at this level"
            );
            recorder.clear();
        }
    }
}

fn events(recorder: &Recorder) -> Vec<Fields> {
    recorder.0.lock().unwrap().events.clone()
}
