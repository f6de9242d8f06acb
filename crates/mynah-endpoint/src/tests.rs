use super::*;

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
        "options are dialect, format and padding",
    );
}
