use super::*;
use mynah_codec::dialect::cbor_rpc::{CborRpc, Padding};
use mynah_codec::dialect::jsonrpc::JsonRpc;
use mynah_codec::dialect::kollabor::Kollabor;
use mynah_protocol::{Limits, TransportErrorKind};
use std::time::Duration;

fn read(url: &str) -> Endpoint {
    url.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn urls_name_a_place_and_a_dialect() {
    let check = |url: &str, place: &str, dialect: &str| {
        let endpoint = read(url);
        assert_eq!(endpoint.place.to_string(), place, "{url}");
        assert_eq!(endpoint.dialect.name(), dialect, "{url}");
        assert_eq!(read(place).place.to_string(), place);
    };
    check("tcp://127.0.0.1:9000", "tcp://127.0.0.1:9000", "native");
    check(
        "tcp://[::1]:9000/?format=json",
        "tcp://[::1]:9000",
        "native",
    );
    check(
        "tcp://host:1?dialect=cbor-rpc&format=json",
        "tcp://host:1",
        "cbor-rpc",
    );
    check("tcp://host:1?format=messagepack", "tcp://host:1", "native");
    check("memory:arith", "memory:arith", "native");
    check("unix:/run/a.sock", "unix:/run/a.sock", "native");
    check(
        "unix:///run/a.sock?format=json",
        "unix:/run/a.sock",
        "native",
    );
    check("unix:a.sock?dialect=cbor-rpc", "unix:a.sock", "cbor-rpc");
    check("unix:/what%3F/100%25", "unix:/what%3F/100%25", "native");
    check("unix:@arith?peers=any", "unix:@arith", "native");
    check("stdio:?dialect=cbor-rpc&format=json", "stdio:", "cbor-rpc");
    check(
        "stdio:/a b%3F/%25?arg=x&arg=x&arg=%26y&env=A=1=2&env=B=&cwd=/&stderr=null",
        "stdio:/a%20b%3F/%25",
        "native",
    );
    check(
        "stdio:python3?dialect=cbor-rpc",
        "stdio:python3",
        "cbor-rpc",
    );
}

#[test]
fn errors_do_not_say_what_may_be_secret() {
    let check = |url: &str, shown: &str, part: &str| {
        let error = url.parse::<Endpoint>().unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains(shown), "{url}: {text}");
            assert!(!text.contains("hush"), "{url}: {text}");
        }
        assert!(error.to_string().contains(part), "{url}: {error}");
    };
    let program = "a program is stdio:PROGRAM";
    check("stdio:?arg=hush", "stdio:?arg=…", program);
    let digits = "two hexadecimal digits";
    check("stdio:a?arg=hush%2", "stdio:a?arg=…", digits);
    check("stdio:a?env=A=hush%2", "stdio:a?env=A=…", digits);
    check("stdio:a?env=hush", "stdio:a?env=…", "NAME=VALUE");
    check("stdio:a?env==hush", "stdio:a?env==…", "NAME=VALUE");
    let options = "options are arg, env, cwd, stderr, dialect";
    check(
        "stdio:x?env=TOKEN=hush=hush&colour=1",
        "stdio:x?env=TOKEN=…&colour=1",
        options,
    );
    check(
        "stdio:x?arg=hush&arg=&env=A=hush&stderr=loud",
        "stdio:x?arg=…&arg=&env=A=…&stderr=loud",
        "known for stderr",
    );
    check("stdio:a%zz?arg=hush", "stdio:a%zz?arg=…", digits);
    check(
        "stdio:x?env=A=hush&cwd=/&cwd=/",
        "stdio:x?env=A=…&cwd=/&cwd=/",
        "given twice",
    );
    check(
        "tcp://h:1?arg=hush&arg=hush",
        "tcp://h:1?arg=…&arg=…",
        "options are dialect",
    );
    let unknown = "=… is unknown";
    check("tcp://h:1?Password=hush", "tcp://h:1?Password=…", unknown);
    check("tcp://h:1?api_key=hush", "tcp://h:1?api_key=…", unknown);
    let address = "host and a port";
    check("tcp://me:hush@h", "tcp://…@h", address);
    check(
        "http://me:hush@h:1/a?token=hush",
        "http://…@h:1/a?token=…",
        "no known scheme",
    );
}

#[test]
fn what_is_wrong_with_a_url_is_said() {
    let check = |url: &str, part: &str| {
        let error = url.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(part), "{url}: {error}");
        assert!(error.contains(url), "{url}: {error}");
    };
    check("", "tcp://host:port");
    check("127.0.0.1:9000", "tcp://host:port");
    check("http://host:80", "no known scheme");
    check("TCP://host:80", "no known scheme");
    check("tcp:host:80", "host and a port");
    check("tcp://host", "host and a port");
    check("tcp://host:99999", "host and a port");
    check("tcp://host:+80", "host and a port");
    check("tcp://host:80/path", "host and a port");
    check("tcp://:80", "host and a port");
    check("memory:", "needs a name");
    check("unix:", "unix:/path or unix:@name");
    check("unix:@", "unix:/path or unix:@name");
    check("unix://host/path", "unix has no host");
    check("unix:/a%zz", "two hexadecimal digits");
    check("stdio:a%zz", "two hexadecimal digits");
    check("stdio:a?cwd=", "cwd is a path");
    check("stdio:a?cwd=/&cwd=/", "given twice");
    check(
        "stdio:a?stderr=loud",
        "known for stderr: lines, inherit, null",
    );
    check(
        "stdio:a?colour=red",
        "options are arg, env, cwd, stderr, dialect",
    );
    check("unix:/a?mode=0888", "octal");
    check("unix:/a?mode=1777", "octal");
    check("unix:/a?mode=rw", "octal");
    check("unix:@a?mode=0600", "no mode");
    check("unix:/a?peers=me", "any, same-user");
    check("unix:/a?colour=red", "options are mode, peers, dialect");
    check("tcp://h:1?mode=0600", "options are dialect");
    check("memory:x?format=json", "there are no options here");
    check(
        "tcp://h:1?dialect=morse",
        "known for dialect: native, cbor-rpc",
    );
    check(
        "tcp://h:1?format=xml",
        "known for format: cbor, json, messagepack",
    );
    check(
        "tcp://h:1?format=messagepack&dialect=cbor-rpc",
        "known for format: cbor, json",
    );
    check("tcp://h:1?colour=red", "options are dialect, format, max_");
    check("tcp://h:1?format=json&format=cbor", "format is given twice");
    check("tcp://h:1?dialect=cbor-rpc&names=all", "method, qualified");
    check("tcp://h:1?dialect=cbor-rpc&errors=loud", "text, rich");
    // Of another dialect, wherever that is chosen, or of another format.
    check("tcp://h:1?names=qualified", "of dialect=cbor-rpc");
    check("tcp://h:1?errors=rich&dialect=native", "errors=rich");
    check(
        "tcp://h:1?dialect=cbor-rpc&padding=python",
        "padding is of format=json",
    );
}

#[test]
fn limits_that_are_none_are_refused() {
    let check = |option: &str, part: &str| {
        let url = format!("tcp://h:1?{option}");
        let error = url.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(part), "{url}: {error}");
        assert!(error.contains(&url), "{url}: {error}");
    };
    let sizes = [
        "",
        "0",
        "1e6",
        "-1",
        "+1",
        "64kb",
        "KiB",
        "1.5MiB",
        "18446744073709551615KiB",
    ];
    for size in sizes {
        check(&format!("max_message_bytes={size}"), "a number of bytes");
    }
    check("stream_bytes=4GiB", "a number of bytes");
    for count in ["", "0", "4294967296", "many", "0x10"] {
        check(
            &format!("calls_in_flight={count}"),
            "a number, 1 to 4294967295",
        );
    }
    check("connections=0", "a number, 1 and more");
    for time in [
        "",
        "10",
        "0s",
        "never",
        "-1s",
        "1.5s",
        "10 s",
        "s",
        "99999999999999999h",
    ] {
        check(&format!("write_timeout={time}"), "a time above zero");
    }
    check("idle_timeout=always", "or never");
}

#[test]
fn limits_are_changed_one_by_one() {
    let check = |query: &str, expected: Limits| {
        let endpoint = read(&format!("tcp://h:1?{query}"));
        assert_eq!(endpoint.limits.apply_to(Limits::new()), expected, "{query}");
        assert_eq!(endpoint.limits.is_empty(), query.is_empty());
    };
    let limits = Limits::new;
    check("", limits());
    check("max_message_bytes=7", limits().with_max_message_bytes(7));
    check(
        "max_message_bytes=64KiB&stream_bytes=1MiB",
        limits()
            .with_max_message_bytes(64 << 10)
            .with_stream_bytes(1 << 20),
    );
    check(
        "calls_in_flight=3&callbacks=0&max_depth=9",
        limits()
            .with_calls_in_flight(3)
            .with_callbacks(0)
            .with_max_depth(9),
    );
    check(
        "handshake_timeout=250ms&idle_timeout=5m&write_timeout=2s&max_deadline=1h",
        limits()
            .with_handshake_timeout(Duration::from_millis(250))
            .with_idle_timeout(Some(Duration::from_secs(300)))
            .with_write_timeout(Duration::from_secs(2))
            .with_max_deadline(Some(Duration::from_secs(3600))),
    );
    let kept = read("tcp://h:1?keep_alive=never").limits;
    let given = limits().with_keep_alive(Some(Duration::from_secs(1)));
    assert_eq!(kept.apply_to(given), limits());
}

/// Each option changes one field, and no two the same.
#[test]
fn every_limit_has_an_option_of_its_own() {
    let mut seen = Vec::new();
    for name in LimitChanges::names() {
        // No field has one of these by default.
        let values = ["77", "77s"];
        let endpoint = values
            .iter()
            .find_map(|value| format!("tcp://h:1?{name}={value}").parse::<Endpoint>().ok());
        let changed = endpoint.unwrap().limits.apply_to(Limits::new());
        assert_ne!(changed, Limits::new(), "{name}");
        assert!(!seen.contains(&changed), "{name}");
        // The name stands before the value in the field's own spelling.
        let shown = format!("{changed:?}");
        assert!(
            shown.contains(&format!("{name}: 77")) || shown.contains(&format!("{name}: Some(77")),
            "{name}: {shown}"
        );
        seen.push(changed);
    }
    // `duplicate_keys` is not a limit but a manner of a dialect.
    let fields = format!("{:?}", Limits::new()).matches(": ").count()
        - "decode: , duplicate_keys: ".matches(": ").count();
    assert_eq!(seen.len(), fields);
}

/// The guide has a row for each.
#[test]
fn every_limit_stands_in_the_guide() {
    let page = include_str!("../../../docs/guide/src/transports.md");
    for name in LimitChanges::names() {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn kollabor_is_chosen_with_what_it_sends_at_most() {
    for (query, expected) in [
        ("dialect=kollabor", Kollabor::new()),
        ("dialect=kollabor&format=json", Kollabor::new()),
        (
            "max_sent_bytes=64KiB&dialect=kollabor",
            Kollabor::toward_hub(),
        ),
    ] {
        let url = format!("unix:/tmp/a.sock?{query}");
        assert_eq!(
            format!("{:?}", read(&url).dialect),
            format!("{expected:?}"),
            "{url}"
        );
    }
    for query in [
        "dialect=kollabor&format=cbor",
        "dialect=kollabor&names=qualified",
        "dialect=kollabor&max_sent_bytes=0",
        "dialect=cbor-rpc&max_sent_bytes=64KiB",
        "max_sent_bytes=64KiB",
    ] {
        let url = format!("unix:/tmp/a.sock?{query}");
        assert!(url.parse::<Endpoint>().is_err(), "{url}");
    }
}

#[test]
fn jsonrpc_is_chosen_with_its_profile_and_params() {
    for (query, expected) in [
        ("dialect=jsonrpc", JsonRpc::standard()),
        (
            "dialect=jsonrpc&profile=standard&params=positional&format=json",
            JsonRpc::standard(),
        ),
        (
            "dialect=jsonrpc&params=named",
            JsonRpc::standard().with_named_params(true),
        ),
        ("dialect=jsonrpc&profile=clamator", JsonRpc::clamator()),
    ] {
        let url = format!("tcp://h:1?{query}");
        assert_eq!(
            format!("{:?}", read(&url).dialect),
            format!("{expected:?}"),
            "{url}"
        );
    }
    for query in [
        "dialect=jsonrpc&format=cbor",
        "dialect=jsonrpc&profile=lsp",
        "dialect=jsonrpc&names=method",
        "dialect=cbor-rpc&profile=clamator",
        "params=named",
    ] {
        let url = format!("tcp://h:1?{query}");
        assert!(url.parse::<Endpoint>().is_err(), "{url}");
    }
}

#[test]
fn options_of_a_dialect_reach_it() {
    let check = |query: &str, expected: &CborRpc| {
        let url = format!("tcp://h:1?{query}");
        assert_eq!(
            format!("{:?}", read(&url).dialect),
            format!("{expected:?}"),
            "{url}"
        );
    };
    let plain = CborRpc::cbor();
    check("dialect=cbor-rpc", &plain);
    check("dialect=cbor-rpc&names=method&errors=text", &plain);
    check(
        "names=qualified&dialect=cbor-rpc",
        &plain.with_qualified_names(true),
    );
    check(
        "dialect=cbor-rpc&errors=rich&max_message_bytes=1000000",
        &plain.with_rich_errors(true),
    );
    check(
        "dialect=cbor-rpc&format=json&padding=python&errors=rich&names=qualified",
        &CborRpc::json(Padding::Python)
            .with_qualified_names(true)
            .with_rich_errors(true),
    );
}

#[tokio::test]
async fn what_is_listened_on_can_be_dialled() {
    use mynah_protocol::EvidenceKey;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};

    let directory = tempfile::tempdir().unwrap();
    let path = format!("unix:{}/a.sock?mode=0660", directory.path().display());
    for (url, transport) in [("tcp://127.0.0.1:0", "tcp"), (path.as_str(), "unix")] {
        let Ok(Listening::Bytes(bind)) = read(url).place.listen() else {
            panic!("{url} carries bytes");
        };
        let mut listener = bind.await.unwrap();
        let place = read(&listener.address()).place;
        place.again().unwrap();
        let Ok(Dialing::Bytes(dialer)) = place.dial() else {
            panic!("{url} carries bytes");
        };
        // More than once.
        for _ in 0..2 {
            let (dialled, accepted) =
                tokio::join!(dialer.dial(), poll_fn(|cx| listener.poll_accept(cx)));
            let (mut near, mut far) = (dialled.unwrap(), accepted.unwrap().unwrap());
            for evidence in [&near.evidence, &far.evidence] {
                assert_eq!(evidence.text(EvidenceKey::TRANSPORT), Some(transport));
            }
            near.connection.write_all(b"there").await.unwrap();
            near.connection.shutdown().await.unwrap();
            let mut heard = String::new();
            far.connection.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "there");
            assert!(far.connection.is_write_vectored());
        }
    }
}

#[cfg(feature = "systemd")]
#[tokio::test]
async fn sockets_that_were_not_passed_are_not_there() {
    for url in ["systemd:", "systemd:api?format=json&peers=any"] {
        let place = read(url).place;
        let error = place.dial().unwrap_err();
        assert!(error.to_string().contains("listened on"), "{error}");
        place.again().unwrap_err();
        let Ok(Listening::Bytes(bind)) = place.listen() else {
            panic!("{url} carries bytes");
        };
        let Err(error) = bind.await else {
            panic!("{url}: nobody has passed a socket to this test");
        };
        assert!(error.to_string().contains("LISTEN_FDS"), "{error}");
    }
}

#[test]
fn servers_of_this_process_are_not_dialled_again() {
    let place = read("memory:x").place;
    assert!(matches!(place.dial(), Ok(Dialing::InProcess(name)) if name == "x"));
    assert!(matches!(place.listen(), Ok(Listening::InProcess(name)) if name == "x"));
    let error = place.again().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Address);
    assert!(error.to_string().contains("memory:x"), "{error}");
}

#[cfg(all(unix, feature = "stdio"))]
#[test]
fn the_systems_ssh() {
    for (url, place) in [
        ("ssh+exec://h/worker", "ssh+exec://h"),
        (
            "ssh+exec://me@h:22/worker?arg=a&arg=b",
            "ssh+exec://me@h:22",
        ),
        (
            "ssh+exec://me@[::1]:22//usr/bin/worker",
            "ssh+exec://me@[::1]:22",
        ),
        ("ssh+exec://h?shell=a;b", "ssh+exec://h"),
        (
            "ssh+exec://h?shell=a&option=Port=23&option=User=me&option=ForwardAgent=yes",
            "ssh+exec://h",
        ),
        ("ssh+exec://h?subsystem=mynah&prompts=yes", "ssh+exec://h"),
    ] {
        let endpoint: Endpoint = url.parse().unwrap();
        assert_eq!(endpoint.place.to_string(), place);
    }
    for (url, what) in [
        ("ssh+exec:h/worker", "a host is needed"),
        ("ssh+exec://", "a host is needed"),
        ("ssh+exec://h", "one of //host/PROGRAM"),
        ("ssh+exec://h/a?shell=b", "one of //host/PROGRAM"),
        ("ssh+exec://h/a?subsystem=b", "one of //host/PROGRAM"),
        ("ssh+exec://-oProxyCommand=id/a", "a host is needed"),
        ("ssh+exec://-h/a", "a host is needed"),
        ("ssh+exec://me@-h/a", "a host is needed"),
        ("ssh+exec://-l@h/a", "there is no such user"),
        ("ssh+exec://%2Dl@h/a", "there is no such user"),
        (
            "ssh+exec://me:hush@h/a",
            "a password does not belong into a URL",
        ),
        ("ssh+exec://h:x/a", "a host is needed"),
        ("ssh+exec://h:70000/a", "a host is needed"),
        ("ssh+exec://h;id/a", "a host is needed"),
        ("ssh+exec://h/a?option=x", "option is NAME=VALUE"),
        ("ssh+exec://h/a?option=BatchMode=no", "prompts=yes says it"),
        ("ssh+exec://h/a?option=requesttty=force", "no terminal"),
        ("ssh+exec://h/a?option=EscapeChar=x", "no terminal"),
        (
            "ssh+exec://h/a?option=ClearAllForwardings=no",
            "option=ClearAllForwardings has no effect",
        ),
        (
            "ssh+exec://h/a?option=A=b&option=LocalForward=1 h:2",
            "no ports, sockets or displays are forwarded",
        ),
        ("ssh+exec://h/a?option=ForwardX11=yes", "displays"),
        ("ssh+exec://h:22/a?option=Port=23", "the address has a port"),
        (
            "ssh+exec://me@h/a?option=user=you",
            "the address has a user",
        ),
        ("ssh+exec://h/a?option=-o=x", "option is NAME=VALUE"),
        (
            "ssh+exec://h/a?option=A=b%0AProxyCommand=id",
            "option is NAME=VALUE",
        ),
    ] {
        let error = url.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(what), "{url}: {error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

#[cfg(all(unix, feature = "ssh"))]
#[test]
fn ssh() {
    for (url, place) in [
        ("ssh://me@h?command=worker&arg=a&arg=b%26c", "ssh://me@h"),
        ("ssh://me@h:2222?subsystem=mynah", "ssh://me@h:2222"),
        ("ssh://me@[::1]:2222?socket=/run/a", "ssh://me@[::1]:2222"),
        (
            "ssh://me@h?shell=a&banner=10&strict_kex=optional",
            "ssh://me@h",
        ),
        (
            "ssh://me@h?shell=a&host_keys=accept-new&known_hosts=/a&known_hosts=/b",
            "ssh://me@h",
        ),
        (
            "ssh://me@h?shell=a&identity=/a&identity=/b&agent=yes&password_file=/c",
            "ssh://me@h",
        ),
        (
            "ssh://me@h?shell=a&agent=/run/agent&host_key=SHA256:x",
            "ssh://me@h",
        ),
    ] {
        let endpoint: Endpoint = url.parse().unwrap();
        assert_eq!(endpoint.place.to_string(), place);
        endpoint.place.dial().unwrap();
        endpoint.place.again().unwrap();
    }
    for (url, what) in [
        ("ssh://h?command=a", "ssh needs a user"),
        ("ssh://me@?command=a", "a host is needed"),
        ("ssh://me@-h?command=a", "a host is needed"),
        (
            "ssh://me:hush@h?command=a",
            "a password does not belong into a URL",
        ),
        ("ssh://me@h/path?command=a", "ssh has no path"),
        ("ssh://me@h?command=a&shell=b", "one of command=PROGRAM"),
        ("ssh://me@h?subsystem=a&socket=/b", "one of command=PROGRAM"),
        ("ssh://me@h?identity=/a", "one of command=PROGRAM"),
        ("ssh://me@h?shell=a&arg=b", "is unknown"),
        ("ssh://me@h?command=a&command=b", "given twice"),
        ("ssh://me@h?command=%zz", "two hexadecimal digits"),
        ("ssh://me@h?shell=a&host_keys=any", "known, accept-new"),
        (
            "ssh://me@h?shell=a&host_key=SHA256:x&known_hosts=/a",
            "no other key is accepted",
        ),
        ("ssh://me@h?shell=a&strict_kex=off", "required, optional"),
        ("ssh://me@h?shell=a&agent=no", "agent is yes"),
        ("ssh://me@h?shell=a&banner=-1", "how many bytes"),
    ] {
        let error = url.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(what), "{url}: {error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let nothing: Endpoint = "ssh://me@h".parse().unwrap();
    let error = nothing.place.dial().unwrap_err();
    assert!(
        error.to_string().contains("one of command=PROGRAM"),
        "{error}"
    );
}

/// What a client is given leads to the same dialect.
#[cfg(feature = "tcp")]
#[test]
fn a_dialect_says_which_options_choose_it() {
    for options in [
        "",
        "format=json",
        "format=messagepack",
        "dialect=cbor-rpc",
        "dialect=cbor-rpc&format=json",
        "dialect=cbor-rpc&format=json&padding=python&names=qualified&errors=rich",
        "dialect=jsonrpc",
        "dialect=jsonrpc&params=named",
        "dialect=jsonrpc&profile=clamator",
        "dialect=kollabor",
        "dialect=kollabor&max_sent_bytes=65536",
    ] {
        let endpoint = read(&format!("tcp://127.0.0.1:9000?{options}"));
        assert_eq!(endpoint.dialect.options(), options);
    }
}
