//! What each body is to see, by what its link can say.

use super::links::{Errors, Link};

/// An error of a handler that has no type of its own.
fn own(link: &Link, code: i64, text: &str) -> String {
    match link.says.errors {
        Errors::Whole => format!("application {code} {text}"),
        Errors::Kinds | Errors::Texts => format!("application -32000 {text}"),
    }
}

/// A text of the protocol, which JSON-RPC has in the words of its specification.
fn protocol(link: &Link, code: i64, text: &str, specified: &str) -> String {
    match (link.dialect, link.says.errors) {
        ("jsonrpc", _) => format!("application {code} {specified}"),
        (_, Errors::Texts) => format!("application -32000 {text}"),
        (_, Errors::Whole | Errors::Kinds) => format!("application {code} {text}"),
    }
}

fn no_method(link: &Link, service: &str, method: &str) -> String {
    let text = match link.dialect {
        // There are no services.
        "cbor-rpc" => format!("method not found: {method}"),
        _ => format!("method not found: {service}.{method}"),
    };
    protocol(link, -32601, &text, "Method not found")
}

/// What an own desk of the caller is needed for.
fn back(link: &Link, answer: String) -> String {
    match link.has_own_desk {
        true => answer,
        false => no_method(link, "desk", "add"),
    }
}

pub(crate) fn unary(link: &Link) -> Vec<String> {
    let mut seen = texts(&[
        "15",
        "\"Hello, Ada\"",
        "\"Hello, Dr Ada\"",
        "\"2 tea\"",
        "6",
    ]);
    seen.push(back(link, "3".to_owned()));
    seen
}

pub(crate) fn started(_: &Link) -> Vec<String> {
    texts(&["3", "0", "1 times"])
}

pub(crate) fn errors(link: &Link) -> Vec<String> {
    let closed = match link.says.errors {
        Errors::Whole => "application 7 hall is closed Map([(Text(\"what\"), Text(\"hall\"))])",
        // A text is nobody's own error.
        Errors::Kinds | Errors::Texts => "remote -32000 hall is closed",
    };
    let panicked = "internal error, INCIDENT";
    let panicked = match link.name {
        "jsonrpc, clamator" => format!(
            "application -32603 Internal error Map([(Text(\"name\"), Text(\"InternalError\")), \
             (Text(\"message\"), Text(\"{panicked}\"))])"
        ),
        name if name.starts_with("jsonrpc") => {
            format!("application -32603 Internal error Text(\"{panicked}\")")
        }
        _ => own(link, -32603, panicked),
    };
    let mut seen = vec![
        own(link, 1, "too large"),
        closed.to_owned(),
        panicked,
        back(link, own(link, 1, "too large")),
    ];
    seen.extend(match link.says.our_codes {
        true => texts(&[
            "Deadline",
            "Cancelled(Callee)",
            "Busy { retry_after: None }",
        ]),
        false => [-32002, -32001, -32003]
            .map(|code| own(link, code, "failed"))
            .to_vec(),
    });
    seen.push(own(link, -32602, "failed"));
    seen
}

pub(crate) fn mistakes(link: &Link) -> Vec<String> {
    let wrong = r#"invalid type: string \"two\", expected i64"#;
    let data = format!(
        r#" Map([(Text("errors"), Array([Map([(Text("loc"), Array([Text("b")])), (Text("msg"), Text({wrong:?})), (Text("type"), Text("invalid_type"))])]))])"#,
    );
    let misread = match (link.dialect, link.says.errors) {
        ("jsonrpc", _) => format!("application -32602 Invalid params{data}"),
        (_, Errors::Whole) => format!("application -32602 invalid params: b: {wrong}{data}"),
        (_, Errors::Kinds | Errors::Texts) => {
            format!("application -32000 invalid params: b: {wrong}")
        }
    };
    let streamed = "this method has one result, and the call asked for a stream of them";
    let once = "this method has a stream of results, and the call gave no credit for one";
    let mut seen = vec![
        no_method(link, "desk", "nope"),
        no_method(link, "elsewhere", "nope"),
        misread,
        own(link, -32602, once),
        "decode: invalid type: string \"Hello, Ada\", expected u64".to_owned(),
    ];
    match link.says.streams {
        true => {
            seen.push(no_method(link, "desk", "nopes"));
            seen.push(own(link, -32602, streamed));
        }
        false => seen.extend(texts(&["no streams", "no streams"])),
    }
    seen
}

pub(crate) fn cancel(link: &Link) -> Vec<String> {
    let handler = match link.says.cancel {
        true => "stopped",
        false => "runs on",
    };
    texts(&["Cancelled(Caller)", handler, handler])
}

pub(crate) fn deadline(link: &Link) -> Vec<String> {
    let budgets = match link.says.deadline {
        true => ["thirty seconds", "twenty seconds", "none"],
        false => ["none"; 3],
    };
    let mut seen = texts(&["Deadline", "Deadline", "3"]);
    seen.extend(texts(&budgets));
    seen
}

pub(crate) fn streams(link: &Link) -> Vec<String> {
    match link.says.streams {
        true => texts(&[
            "0",
            "1",
            "2",
            "0 items",
            "0",
            "1",
            "application 2 broken",
            "Some(\"0\")",
            "Deadline",
        ]),
        false => texts(&[
            "no streams",
            "1 items",
            "no streams",
            "Some(\"no streams\")",
            "no streams",
        ]),
    }
}

pub(crate) fn inputs(link: &Link) -> Vec<String> {
    match link.says.streams {
        true => texts(&["12", "0", "50005000", "Some(7)", "2", "4", "6"]),
        false => texts(&["no streams"; 5]),
    }
}

pub(crate) fn callbacks(link: &Link) -> Vec<String> {
    match link.says.streams {
        true => texts(&["6", "[0, 1, 2]", "application 4 no more", "[0, 1, 2, 0, 1]"]),
        false => texts(&["no callbacks", "[]", "no callbacks", "[]"]),
    }
}

pub(crate) fn events(link: &Link) -> Vec<String> {
    match link.says.events {
        true => texts(&[
            "()",
            "Some(Ok(0))",
            "Some(Ok(1))",
            "Some(Ok(2))",
            "Ok(0)",
            "Err(\"Deadline\")",
            "()",
            "Ok(0)",
            "()",
            // Those of all three calls.
            "1004",
        ]),
        false => texts(&["no events"]),
    }
}

pub(crate) fn beside(link: &Link) -> Vec<String> {
    let mut seen = match link.says.side_messages {
        true => texts(&["0", "step 0", "1", "step 1", "2"]),
        // Nobody can say them, and the call is made all the same.
        false => texts(&["2"]),
    };
    seen.extend(match link.says.metadata {
        true => texts(&["Some(\"blue\")"]),
        false => texts(&["no metadata"]),
    });
    seen
}

pub(crate) fn notes(link: &Link) -> Vec<String> {
    match link.says.notifications {
        true => texts(&["()", "a b"]),
        false => texts(&["no notification"]),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(ToOwned::to_owned).collect()
}
