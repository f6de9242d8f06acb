//! A peer that has ended its direction and still reads, over TCP and Unix sockets.

use mynah::prelude::*;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

static STARTED: Notify = Notify::const_new();
static STOPPED: Notify = Notify::const_new();

/// Says so when a handler is dropped before its end.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        STOPPED.notify_one();
    }
}

#[mynah::service(name = "lines")]
trait Lines {
    async fn echo(&self, text: String) -> String;
    async fn later(&self, milliseconds: u64) -> u64;
    async fn hang(&self) -> u64;
    /// Calls back, which nobody can answer.
    async fn ask(&self, cx: &Context) -> Result<String, RpcError>;
}

struct Here;

impl Lines for Here {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn later(&self, milliseconds: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        milliseconds
    }

    async fn hang(&self) -> u64 {
        let _running = Running;
        STARTED.notify_one();
        std::future::pending().await
    }

    async fn ask(&self, cx: &Context) -> Result<String, RpcError> {
        // The peer may not have ended its direction yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let peer: LinesClient = cx.peer().client();
        match peer.echo("x".to_owned()).await {
            Err(CallError::Disconnected(reason) | CallError::Indeterminate(reason)) => {
                Ok(reason.to_string())
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn serve(url: &str) -> mynah::ServerHandle {
    Server::new()
        .register(LinesService::new(Here))
        .listen(url)
        .start()
        .await
        .unwrap()
}

fn request(dialect: &str, id: &str, method: &str, params: &str) -> String {
    match dialect {
        "kollabor" => format!(
            "{{\"action\": \"rpc_request\", \"request_id\": \"{id}\", \"method\": \"lines.{method}\", \"params\": {params}}}\n"
        ),
        _ => format!(
            "{{\"jsonrpc\": \"2.0\", \"id\": \"{id}\", \"method\": \"lines.{method}\", \"params\": {params}}}\n"
        ),
    }
}

/// Sends all of it, ends its direction, and reads to the end.
async fn say(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    text: &str,
) -> Vec<serde_json::Value> {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = String::new();
    let reading = stream.read_to_string(&mut heard);
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
    read.expect("the other side ends too").unwrap();
    let lines = heard.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn check(dialect: &str, answers: &[serde_json::Value]) {
    let id = if dialect == "kollabor" {
        "request_id"
    } else {
        "id"
    };
    let find = |wanted: &str| {
        let found = answers.iter().find(|answer| answer[id] == wanted);
        found.unwrap_or_else(|| panic!("{wanted} is not answered: {answers:?}"))
    };
    assert_eq!(answers.len(), 4, "{answers:?}");
    assert_eq!(find("first")["result"], "x");
    assert_eq!(find("slow")["result"], 200);
    assert_eq!(find("last")["result"], "y");
    let told = find("back")["result"].as_str().unwrap();
    assert_eq!(told, "peer closed the connection");
}

fn text(dialect: &str) -> String {
    let mut text = request(dialect, "slow", "later", r#"{"milliseconds": 200}"#);
    text += &request(dialect, "first", "echo", r#"{"text": "x"}"#);
    text += &request(dialect, "back", "ask", "{}");
    // The end of the stream ends the last line.
    text += request(dialect, "last", "echo", r#"{"text": "y"}"#).trim_end();
    text
}

#[tokio::test]
async fn it_gets_its_answers_over_tcp() {
    for dialect in ["kollabor", "jsonrpc"] {
        let server = serve(&format!("tcp://127.0.0.1:0?dialect={dialect}")).await;
        let address = server.address().strip_prefix("tcp://").unwrap().to_owned();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        check(dialect, &say(stream, &text(dialect)).await);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_gets_its_answers_over_a_unix_socket_and_one_that_has_gone_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    for dialect in ["kollabor", "jsonrpc"] {
        let path = directory.path().join(dialect);
        let server = serve(&format!("unix:{}?dialect={dialect}", path.display())).await;
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        check(dialect, &say(stream, &text(dialect)).await);
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let hang = request(dialect, "r1", "hang", "{}");
        stream.write_all(hang.as_bytes()).await.unwrap();
        STARTED.notified().await;
        drop(stream);
        let stopped = tokio::time::timeout(Duration::from_secs(20), STOPPED.notified());
        stopped.await.expect("what runs for it is stopped");
        drop(server);
    }
}
