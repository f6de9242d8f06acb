use super::*;
use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};

#[test]
fn urls_name_a_place_and_a_dialect() {
    let check = |url: &str, place: Place, dialect: &str| {
        let endpoint: Endpoint = url.parse().unwrap();
        assert_eq!(endpoint.place, place, "{url}");
        assert_eq!(endpoint.dialect.name(), dialect, "{url}");
    };
    check(
        "tcp://127.0.0.1:9000",
        Place::Tcp("127.0.0.1:9000".into()),
        "native",
    );
    check(
        "tcp://[::1]:9000/?format=json",
        Place::Tcp("[::1]:9000".into()),
        "native",
    );
    check(
        "tcp://host:1?dialect=cbor-rpc&format=json",
        Place::Tcp("host:1".into()),
        "cbor-rpc",
    );
    check(
        "tcp://host:1?format=messagepack",
        Place::Tcp("host:1".into()),
        "native",
    );
    check("memory:arith", Place::Memory("arith".into()), "native");
}

#[test]
fn what_is_wrong_with_a_url_is_said() {
    let check = |url: &str, part: &str| {
        let error = url.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(part), "{url}: {error}");
    };
    check("127.0.0.1:9000", "tcp://host:port");
    check("http://host:80", "no known scheme");
    check("tcp://host", "host and a port");
    check("tcp://host:99999", "host and a port");
    check("tcp://:80", "host and a port");
    check("memory:", "needs a name");
    check(
        "tcp://h:1?dialect=morse",
        "dialects are native and cbor-rpc",
    );
    check(
        "tcp://h:1?format=xml",
        "formats are cbor, json and messagepack",
    );
    check(
        "tcp://h:1?format=messagepack&dialect=cbor-rpc",
        "formats of cbor-rpc are cbor and json",
    );
    check(
        "tcp://h:1?colour=red",
        "options are dialect, format, max_message, padding, names and errors",
    );
    check("tcp://h:1?max_message=0", "number of bytes");
    check("tcp://h:1?max_message=1e6", "number of bytes");
    check(
        "tcp://h:1?dialect=cbor-rpc&names=all",
        "method and qualified",
    );
    check("tcp://h:1?dialect=cbor-rpc&errors=loud", "text and rich");
    // Of another dialect, wherever that is chosen.
    check("tcp://h:1?names=qualified", "of dialect=cbor-rpc");
    check("tcp://h:1?errors=rich&dialect=native", "errors=rich");
}

#[test]
fn options_of_a_dialect_reach_it() {
    let check = |query: &str, expected: &CborRpc, max_message_bytes: Option<usize>| {
        let url = format!("tcp://h:1?{query}");
        let endpoint: Endpoint = url.parse().unwrap();
        assert_eq!(
            format!("{:?}", endpoint.dialect),
            format!("{expected:?}"),
            "{url}"
        );
        assert_eq!(endpoint.max_message_bytes, max_message_bytes, "{url}");
    };
    let plain = CborRpc::cbor();
    check("dialect=cbor-rpc", &plain, None);
    check("dialect=cbor-rpc&names=method&errors=text", &plain, None);
    check(
        "names=qualified&dialect=cbor-rpc",
        &plain.with_qualified_names(true),
        None,
    );
    check(
        "dialect=cbor-rpc&errors=rich&max_message=1000000",
        &plain.with_rich_errors(true),
        Some(1_000_000),
    );
    check(
        "dialect=cbor-rpc&format=json&padding=python&errors=rich&names=qualified",
        &CborRpc::json(Padding::Python)
            .with_qualified_names(true)
            .with_rich_errors(true),
        None,
    );
    let native: Endpoint = "tcp://h:1?max_message=7".parse().unwrap();
    assert_eq!(native.max_message_bytes, Some(7));
}
