//! Against a Redis that says what a test tells it.

use super::{Direct, Place};
use redis::{
    ConnectionInfo, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisResult, Value, cmd,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const LIMIT: Duration = Duration::from_secs(30);

/// A listener, and what the URL with its address says.
async fn listener(before: &str, behind: &str) -> (TcpListener, ConnectionInfo) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("redis://{before}127.0.0.1:{port}{behind}");
    (listener, url.into_connection_info().unwrap())
}

async fn open(info: &ConnectionInfo, limit: Option<Duration>) -> RedisResult<Direct> {
    Direct::open(&Place::of(info).unwrap(), info, LIMIT, limit).await
}

/// Reads this, and says that, a byte at a time.
async fn exchange(stream: &mut TcpStream, read: &str, say: &[u8]) {
    let mut came = vec![0; read.len()];
    stream.read_exact(&mut came).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&came), read);
    for byte in say {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Takes a connection without a password, up to where it is open.
async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    exchange(&mut stream, PING, b"+PONG\r\n").await;
    stream
}

/// Both ends of a connection.
async fn connected(limit: Option<Duration>) -> (Direct, TcpStream) {
    let (listener, info) = listener("", "").await;
    let (direct, stream) = tokio::join!(open(&info, limit), accept(&listener));
    (direct.unwrap(), stream)
}

const PING: &str = "*1\r\n$4\r\nPING\r\n";

async fn ping(direct: &mut Direct) -> RedisResult<Value> {
    direct.run(&cmd("PING")).await
}

#[tokio::test]
async fn it_signs_in_and_answers_come_in_any_pieces() {
    let (listener, info) = listener("me:secret@", "/3").await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let auth = "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n";
        exchange(&mut stream, auth, b"+OK\r\n").await;
        exchange(&mut stream, "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", b"+OK\r\n").await;
        // This user may not ask that; whatever else it may is another question.
        exchange(&mut stream, PING, b"-NOPERM not you\r\n").await;
        exchange(&mut stream, PING, b"*2\r\n$4\r\na\r\nb\r\n-ERR no\r\n").await;
        exchange(&mut stream, PING, b"+PONG\r\n").await;
    };
    let client = async {
        let mut direct = open(&info, None).await.unwrap();
        let Value::Array(parts) = ping(&mut direct).await.unwrap() else {
            panic!("no array")
        };
        assert_eq!(parts[0], Value::BulkString(b"a\r\nb".to_vec()));
        assert!(matches!(parts[1], Value::ServerError(_)));
        let pong = ping(&mut direct).await.unwrap();
        assert_eq!(pong, Value::SimpleString("PONG".to_owned()));
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_refused_password_is_said_to_be_that() {
    let (listener, info) = listener(":wrong@", "").await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let auth = "*2\r\n$4\r\nAUTH\r\n$5\r\nwrong\r\n";
        exchange(
            &mut stream,
            auth,
            b"-WRONGPASS invalid username-password pair\r\n",
        )
        .await;
    };
    let (error, ()) = tokio::join!(async { open(&info, None).await.unwrap_err() }, server);
    assert_eq!(error.kind(), ErrorKind::AuthenticationFailed);
    assert!(!error.to_string().contains("wrong@"), "{error}");
}

#[tokio::test]
async fn what_is_accepted_and_not_served_is_not_open() {
    for (said, kind) in [
        (&b"-ERR max number of clients reached\r\n"[..], None),
        (
            b"-NOAUTH Authentication required.\r\n",
            Some(ErrorKind::AuthenticationFailed),
        ),
    ] {
        for before in ["", ":secret@"] {
            let (listener, info) = listener(before, "").await;
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                // Unasked, as Redis does it.
                exchange(&mut stream, "", said).await;
                stream
            };
            let (opened, _stream) = tokio::join!(open(&info, None), server);
            let error = opened.unwrap_err();
            match kind {
                None => assert_ne!(error.kind(), ErrorKind::AuthenticationFailed, "{error}"),
                Some(kind) => assert_eq!(error.kind(), kind, "{error}"),
            }
        }
    }
    // Nobody says anything, as when Redis is stopped.
    let (listener, info) = listener("", "").await;
    let limit = Duration::from_millis(50);
    let place = Place::of(&info).unwrap();
    let error = Direct::open(&place, &info, limit, None).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    drop(listener);
}

#[tokio::test]
async fn a_transaction_is_refused_for_the_first_reason() {
    let (mut direct, mut stream) = connected(None).await;
    let mut commands = Pipeline::new();
    commands.cmd("INCR").arg("a").cmd("INCR").arg("b").atomic();
    let asked = "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n";
    let server = async {
        let done = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n-WRONGTYPE no number\r\n";
        exchange(&mut stream, asked, done).await;
        let refused = b"+OK\r\n-OOM too much\r\n+QUEUED\r\n-EXECABORT given up\r\n";
        exchange(&mut stream, asked, refused).await;
        exchange(&mut stream, PING, b"+PONG\r\n").await;
    };
    let client = async {
        let answers = direct.run_all(&commands).await.unwrap();
        assert_eq!(answers[0], Value::Int(1));
        assert!(matches!(answers[1], Value::ServerError(_)));
        let error = direct.run_all(&commands).await.unwrap_err();
        assert_eq!(error.code(), Some("OOM"));
        // The connection is as good as before.
        ping(&mut direct).await.unwrap();
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn an_answer_that_nobody_waited_for_is_not_taken_for_another() {
    let (mut direct, mut stream) = connected(Some(Duration::from_millis(20))).await;
    let error = ping(&mut direct).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // Now it comes.
    exchange(&mut stream, PING, b"+LATE\r\n").await;
    let error = ping(&mut direct).await.unwrap_err();
    assert!(error.is_io_error(), "{error}");
}

#[tokio::test]
async fn what_ends_or_is_no_redis_is_an_error() {
    for said in [
        &b""[..],
        b"*2\r\n:1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let (mut direct, mut stream) = connected(None).await;
        exchange(&mut stream, "", said).await;
        drop(stream);
        let error = ping(&mut direct).await.unwrap_err();
        assert!(error.is_io_error(), "{said:?}: {error}");
    }
}

#[tokio::test]
async fn a_large_answer_is_read_and_not_kept() {
    let (mut direct, mut stream) = connected(None).await;
    let server = async {
        let mut came = vec![0; PING.len()];
        stream.read_exact(&mut came).await.unwrap();
        stream.write_all(b"$4000000\r\n").await.unwrap();
        stream.write_all(&vec![b'x'; 4_000_000]).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    };
    let client = async {
        let answer = ping(&mut direct).await.unwrap();
        assert_eq!(answer, Value::BulkString(vec![b'x'; 4_000_000]));
        assert!(direct.input.capacity() <= super::KEPT);
    };
    tokio::join!(server, client);
}

/// A listener that takes connections, and says nothing: on another kind of address where there is one.
async fn silent() -> TcpListener {
    match TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        Err(_no_such_kind) => TcpListener::bind("127.0.0.1:0").await.unwrap(),
    }
}

#[tokio::test]
async fn an_address_that_is_silent_keeps_nobody_from_another() {
    let (good, info) = listener("", "").await;
    let silent = silent().await;
    let (here, there) = (good.local_addr().unwrap(), silent.local_addr().unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = closed.local_addr().unwrap();
    drop(closed);
    for addresses in [
        vec![here],
        vec![there, here],
        vec![here, there],
        vec![gone, there, gone, here],
        vec![there, there, there, here, gone],
    ] {
        let shown = format!("{addresses:?}");
        let opened = tokio::time::timeout(LIMIT, Direct::open_any(addresses, &info));
        let (opened, mut stream) = tokio::join!(opened, accept(&good));
        let mut opened = opened.expect(&shown).expect(&shown);
        let (pong, ()) = tokio::join!(ping(&mut opened), exchange(&mut stream, PING, b"+PONG\r\n"));
        assert_eq!(pong.unwrap(), Value::SimpleString("PONG".to_owned()));
    }
    // What Redis refuses is not asked for elsewhere.
    let refused = async {
        let (mut stream, _) = good.accept().await.unwrap();
        exchange(&mut stream, PING, b"-NOAUTH who are you\r\n").await;
        stream
    };
    let (error, _stream) = tokio::join!(Direct::open_any(vec![here, there], &info), refused);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::AuthenticationFailed);
    // Nobody is there.
    let error = Direct::open_any(vec![gone, gone], &info).await;
    assert!(error.unwrap_err().is_io_error());
    assert!(Direct::open_any(vec![], &info).await.is_err());
    // Where all are silent it ends in its time.
    let url = format!("redis://{there}");
    let info = url.into_connection_info().unwrap();
    let limit = Duration::from_millis(100);
    let place = Place::of(&info).unwrap();
    let error = Direct::open(&place, &info, limit, None).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}
