//! The examples of section 7 of the specification, batches aside, said to a router.

use mynah::dialect::JsonRpc;
use mynah::{Evidence, Router};
use serde_json::Value;
use std::sync::Arc;

#[mynah::service(name = "")]
trait Examples {
    async fn subtract(&self, minuend: i64, subtrahend: i64) -> i64;
    #[notification]
    async fn update(&self, a: i64, b: i64, c: i64, d: i64, e: i64);
}

struct Here;

impl Examples for Here {
    async fn subtract(&self, minuend: i64, subtrahend: i64) -> i64 {
        minuend - subtrahend
    }

    async fn update(&self, _: i64, _: i64, _: i64, _: i64, _: i64) {}
}

/// What is sent, and what comes back; nothing for a notification.
const CONVERSATION: &[(&str, &str)] = &[
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 1}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#,
        r#"{"jsonrpc": "2.0", "result": -19, "id": 2}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 3}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
        r#"{"jsonrpc": "2.0", "result": 19, "id": 4}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#,
        "",
    ),
    (r#"{"jsonrpc": "2.0", "method": "foobar"}"#, ""),
    (
        r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}"#,
    ),
    (
        r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
        r#"{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}"#,
    ),
];

#[tokio::test]
async fn every_example_is_answered_as_it_stands_in_the_specification() {
    let router = Arc::new(Router::new().register(ExamplesService::new(Here)));
    for (said, wanted) in CONVERSATION {
        let line = format!("{said}\n");
        let dialect = JsonRpc::standard();
        let answer = router.handle_wire(&dialect, line, Evidence::new()).await;
        let answer = answer.unwrap();
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("one JSON object");
        match answer {
            Some(answer) => assert_eq!(read(&answer), read(wanted.as_bytes()), "{said}"),
            None => assert_eq!(*wanted, "", "{said} is not answered"),
        }
    }
}
