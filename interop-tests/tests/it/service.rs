//! The service of `python/common.py`, as a typed service of this side.

use mynah::{Context, ErrorCode, Peer, Router, RpcError, Value};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What the methods remember.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// What `note` and `fail_note` got.
    pub(crate) notes: Vec<Value>,
    /// Events that arrived, topic and message.
    pub(crate) events: Vec<(String, Value)>,
    /// How many `slow` began.
    pub(crate) started: u64,
    /// How many of them were stopped.
    pub(crate) cancelled: u64,
    /// Lines of log that belong to no call, level and content. The other side remembers none.
    #[serde(default)]
    pub(crate) logs: Vec<(i64, Value)>,
}

/// A value that no format can write.
#[derive(Debug, Deserialize)]
pub(crate) struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("this value cannot be written"))
    }
}

/// One contract for both sides and both languages.
#[mynah::service(name = "interop")]
pub(crate) trait Interop {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn echo(&self, value: Value) -> Value;
    async fn ping(&self) -> String;
    async fn kind(&self, value: Value) -> String;
    async fn blob(&self, size: u64) -> ByteBuf;
    async fn length(&self, data: ByteBuf) -> u64;

    async fn fail(&self, text: String) -> Result<(), RpcError>;
    async fn fail_plain(&self) -> Result<(), RpcError>;
    async fn fail_pair(&self) -> Result<(), RpcError>;
    async fn fail_rich(&self) -> Result<(), RpcError>;
    async fn unencodable(&self) -> Unencodable;

    async fn print(&self, text: String);
    async fn exit(&self, status: i32);

    #[notification]
    async fn note(&self, cx: &Context, value: Value);
    #[notification]
    async fn fail_note(&self, value: Value);
    async fn emit(&self, cx: &Context, topic: String, message: Value) -> Result<(), RpcError>;
    async fn wait_event(
        &self,
        cx: &Context,
        topic: String,
        timeout_ms: u64,
    ) -> Result<Value, RpcError>;
    async fn state(&self) -> State;

    async fn long_task(&self, cx: &Context, steps: u64) -> Value;
    async fn tagged_task(&self, cx: &Context, tag: String, count: u64) -> String;
    async fn late_side(&self, cx: &Context) -> String;
    async fn system_log(&self, cx: &Context, text: String) -> Result<(), RpcError>;

    async fn slow(&self, milliseconds: u64) -> String;
    async fn sleep(&self, milliseconds: u64) -> u64;

    async fn call_back(&self, cx: &Context, method: String) -> Result<Value, RpcError>;
    async fn call_back_with(
        &self,
        cx: &Context,
        method: String,
        args: Vec<Value>,
    ) -> Result<Value, RpcError>;
    async fn recurse(&self, cx: &Context, depth: u64) -> Result<u64, RpcError>;
    async fn close(&self, cx: &Context);
}

/// The implementation; clones share what they remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct Here {
    state: Arc<Mutex<State>>,
}

impl Here {
    /// The service, with handlers of events and logs that remember what they hear.
    pub(crate) fn router(&self) -> Router {
        let (events, logs) = (self.clone(), self.clone());
        Router::new()
            .register(InteropService::new(self.clone()))
            .on_any_event(move |_cx, topic: String, message: Value| {
                let mut state = events.remembered();
                if topic == "note" {
                    state.notes.push(message.clone());
                }
                state.events.push((topic, message));
                std::future::ready(())
            })
            .on_log(move |_cx, line| {
                logs.remembered().logs.push((line.level, line.content));
                std::future::ready(())
            })
    }

    /// What the methods remember now.
    pub(crate) fn remembered(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic inside")
    }
}

/// Counts a `slow` that did not come to its end.
struct Stopped<'a> {
    here: &'a Here,
    finished: bool,
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.here.remembered().cancelled += 1;
        }
    }
}

fn failure(text: impl Into<String>) -> RpcError {
    RpcError::new(ErrorCode::application(1), text)
}

/// The text of whatever a call ended with.
pub(crate) fn text_of(error: &mynah::CallError<RpcError>) -> String {
    match error {
        mynah::CallError::Application(error) | mynah::CallError::Remote(error) => {
            error.message().to_owned()
        }
        other => format!("{other:?}"),
    }
}

fn client(cx: &Context) -> InteropClient<Peer> {
    cx.peer().client()
}

fn map(key: &str, value: u64) -> Value {
    Value::Map(vec![(Value::from(key), Value::from(value))])
}

impl Interop for Here {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn echo(&self, value: Value) -> Value {
        value
    }

    async fn ping(&self) -> String {
        "pong".to_owned()
    }

    async fn kind(&self, value: Value) -> String {
        value.to_string()
    }

    async fn blob(&self, size: u64) -> ByteBuf {
        (0..size)
            .map(|index| u8::try_from(index % 251).expect("below 251"))
            .collect::<Vec<_>>()
            .into()
    }

    async fn length(&self, data: ByteBuf) -> u64 {
        data.len().try_into().expect("a size")
    }

    async fn fail(&self, text: String) -> Result<(), RpcError> {
        Err(failure(text))
    }

    async fn fail_plain(&self) -> Result<(), RpcError> {
        Err(failure(""))
    }

    async fn fail_pair(&self) -> Result<(), RpcError> {
        Err(failure("('bad', 42)"))
    }

    async fn fail_rich(&self) -> Result<(), RpcError> {
        let data = Value::Array(vec![Value::from(1_u64), Value::from("two")]);
        Err(RpcError::new(ErrorCode::application(7), "seven").with_data(data))
    }

    async fn unencodable(&self) -> Unencodable {
        Unencodable
    }

    #[allow(clippy::print_stdout, reason = "stdout is what is looked at")]
    async fn print(&self, text: String) {
        println!("{text}");
    }

    #[allow(clippy::exit, reason = "the process is what is looked at")]
    async fn exit(&self, status: i32) {
        std::process::exit(status);
    }

    async fn note(&self, cx: &Context, value: Value) {
        self.remembered().notes.push(value.clone());
        cx.peer()
            .emit("noted", &value)
            .expect("this wire has events");
    }

    async fn fail_note(&self, value: Value) {
        self.remembered().notes.push(value);
    }

    async fn emit(&self, cx: &Context, topic: String, message: Value) -> Result<(), RpcError> {
        cx.peer()
            .emit(&topic, &message)
            .map_err(|error| failure(error.to_string()))
    }

    async fn wait_event(
        &self,
        cx: &Context,
        topic: String,
        timeout_ms: u64,
    ) -> Result<Value, RpcError> {
        let waiter = cx
            .peer()
            .wait_for(&topic)
            .map_err(|error| failure(error.to_string()))?
            .deadline(Duration::from_millis(timeout_ms));
        waiter.await.map_err(|error| match error {
            mynah::CallError::Deadline => failure(format!("Timeout Waiting for Event on: {topic}")),
            other => failure(other.to_string()),
        })
    }

    async fn state(&self) -> State {
        self.remembered().clone()
    }

    async fn long_task(&self, cx: &Context, steps: u64) -> Value {
        for (level, text) in (1..).zip(["crit", "warn", "info", "verbose", "debug"]) {
            cx.log(level, text);
        }
        for step in 1..=steps {
            cx.progress_with(&(100 * step / steps), &map("step", step));
        }
        map("steps", steps)
    }

    async fn tagged_task(&self, cx: &Context, tag: String, count: u64) -> String {
        for step in 0..count {
            cx.log(3, &(&tag, step));
            cx.progress_with(&step, &tag);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tag
    }

    async fn late_side(&self, cx: &Context) -> String {
        cx.log(1, "a");
        cx.log(2, "b");
        cx.progress(&50);
        "ok".to_owned()
    }

    async fn system_log(&self, cx: &Context, text: String) -> Result<(), RpcError> {
        cx.peer()
            .log(2, &text)
            .map_err(|error| failure(error.to_string()))
    }

    async fn slow(&self, milliseconds: u64) -> String {
        self.remembered().started += 1;
        let mut stopped = Stopped {
            here: self,
            finished: false,
        };
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        stopped.finished = true;
        "finished".to_owned()
    }

    async fn sleep(&self, milliseconds: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        milliseconds
    }

    async fn call_back(&self, cx: &Context, method: String) -> Result<Value, RpcError> {
        match method.as_str() {
            "ping" => client(cx)
                .ping()
                .await
                .map(Value::from)
                .map_err(|error| failure(error.to_string())),
            other => Err(failure(format!("nothing to call back under {other}"))),
        }
    }

    async fn call_back_with(
        &self,
        cx: &Context,
        method: String,
        args: Vec<Value>,
    ) -> Result<Value, RpcError> {
        let client = client(cx);
        let lost = |error: mynah::CallError| failure(error.to_string());
        match (method.as_str(), args.as_slice()) {
            ("echo", [value]) => client.echo(value.clone()).await.map_err(lost),
            ("sleep", [Value::Uint(time)]) => {
                client.sleep(*time).await.map(Value::from).map_err(lost)
            }
            ("fail", [Value::Text(text)]) => {
                let result = client.fail(text.clone()).await;
                result
                    .map(|()| Value::Null)
                    .map_err(|error| failure(text_of(&error)))
            }
            ("call_back_with", [Value::Text(method), Value::Array(args)]) => {
                let result = client.call_back_with(method.clone(), args.clone()).await;
                result.map_err(|error| failure(text_of(&error)))
            }
            (other, _) => Err(failure(format!("nothing to call back under {other}"))),
        }
    }

    async fn recurse(&self, cx: &Context, depth: u64) -> Result<u64, RpcError> {
        if depth == 0 {
            return Ok(0);
        }
        let deeper = client(cx).recurse(depth - 1).await;
        deeper
            .map(|deeper| deeper + 1)
            .map_err(|error| failure(text_of(&error)))
    }

    async fn close(&self, cx: &Context) {
        cx.peer().close();
    }
}
