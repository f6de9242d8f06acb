//! Floods and slow feeds against a server in a process of its own, over each byte transport and in each dialect: what the
//! server has left for a healthy peer, how much memory it takes, and how much time.

use crate::harness::{ServerProcess, read_to_end, within};
use futures::future::join_all;
use interop_tests::served::ServedClient;
use mynah::Endpoint;
use mynah::endpoint::{Dialing, EndpointStream};
use mynah::prelude::*;
use mynah_protocol::Dialer as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

/// A listener that is tried, and what a healthy peer needs to speak there.
struct Case {
    /// Where to listen.
    url: String,
    dialect: &'static str,
    /// Removes the socket file.
    _directory: Option<tempfile::TempDir>,
}

const NATIVE: &str = "format=json";
const CBOR_RPC: &str = "dialect=cbor-rpc&format=json";

impl Case {
    /// Each transport with each dialect. All speak JSON, so that bytes can be written by hand.
    fn each() -> Vec<Self> {
        let mut cases = Vec::new();
        for dialect in [NATIVE, CBOR_RPC] {
            cases.push(Self {
                url: "tcp://127.0.0.1:0".to_owned(),
                dialect,
                _directory: None,
            });
            let directory = tempfile::tempdir().expect("a directory");
            cases.push(Self {
                url: format!("unix:{}/socket", directory.path().display()),
                dialect,
                _directory: Some(directory),
            });
        }
        cases
    }

    fn is_native(&self) -> bool {
        self.dialect == NATIVE
    }

    /// A server with more options.
    async fn serve(&self, options: &str) -> Served {
        let url = format!("{}?{}&{options}", self.url, self.dialect);
        let process = ServerProcess::start(&[&url]).await;
        let healthy = format!("{}?{}", process.addresses[0], self.dialect);
        let peer = within("connect", mynah::connect(&healthy)).await;
        let peer = peer.expect("the server listens");
        Served {
            client: peer.client(),
            _peer: peer,
            process,
        }
    }

    /// What a peer says before anything else, and the start of a request that it does not finish.
    fn greeting(&self) -> Vec<u8> {
        if self.is_native() {
            [b"MYNAH\x01J\n".to_vec(), frame("[0,1]", "")].concat()
        } else {
            Vec::new()
        }
    }

    /// A request for `hang`.
    fn request(&self, id: u64) -> Vec<u8> {
        if self.is_native() {
            frame(&format!("[1,{id},\"served\",\"hang\"]"), "[]")
        } else {
            format!("[1,0,{id},\"hang\",[]]\n").into_bytes()
        }
    }

    /// The cancel of a request.
    fn cancel(&self, id: u64) -> Vec<u8> {
        if self.is_native() {
            frame(&format!("[5,{id}]"), "")
        } else {
            format!("[1,3,{id}]\n").into_bytes()
        }
    }

    /// Something that no peer says: an answer to a call that was never made.
    fn breach(&self, id: u64) -> Vec<u8> {
        if self.is_native() {
            frame(&format!("[2,{id}]"), "1")
        } else {
            format!("[1,2,{id},true,null]\n").into_bytes()
        }
    }
}

/// A frame of the native wire in JSON.
fn frame(head: &str, body: &str) -> Vec<u8> {
    let length = u32::try_from(head.len() + body.len()).expect("it is short");
    [&length.to_be_bytes(), head.as_bytes(), body.as_bytes()].concat()
}

/// A server and a healthy peer of it.
struct Served {
    process: ServerProcess,
    client: ServedClient,
    _peer: Peer,
}

impl Served {
    /// A peer made of bytes.
    async fn raw(&self) -> EndpointStream {
        let endpoint: Endpoint = self.process.addresses[0].parse().expect("a URL");
        let Ok(Dialing::Bytes(dialer)) = endpoint.place.dial() else {
            panic!("{} carries no bytes", self.process.addresses[0]);
        };
        let dialled = within("connect", dialer.dial()).await;
        dialled.expect("the server listens").connection
    }

    async fn healthy(&self) {
        let answer = within(
            "a healthy peer",
            self.client.echo("there".into()).into_future(),
        )
        .await;
        assert_eq!(answer.expect("it is answered"), "there");
    }

    /// Fails when it has taken more memory than before by more than this.
    fn bounded(&self, case: &Case, before: [u64; 2], kib: u64) {
        let [now, most] = self.process.memory_kib();
        let grown = most.saturating_sub(before[0]);
        println!(
            "{} {}: {now} KiB now, {grown} KiB more at most, {} ms of processor time",
            case.url,
            case.dialect,
            self.process.cpu_ticks() * 10
        );
        assert!(
            grown <= kib,
            "{} {}: {grown} KiB more than before, bound {kib}",
            case.url,
            case.dialect
        );
    }
}

/// How many peers feed slowly.
const SLOW: usize = 1000;
/// Memory of one connection that has begun to say something, at most: a quarter of the buffer that it would read into if
/// more came. Measured: 3 to 6.
const KIB_OF_ONE: u64 = 16;

/// A thousand peers say a byte now and then, at every stage of a conversation: they are closed when their time is over,
/// and until then a healthy peer is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_l3_a_thousand_slow_peers_leave_a_healthy_one_alone() {
    for case in Case::each() {
        let served = case.serve("handshake_timeout=2s&idle_timeout=2s").await;
        served.healthy().await;
        let before = served.process.memory_kib();
        let ticks = served.process.cpu_ticks();
        // Half of them get stuck in what they say first, half of them in a request.
        let first = if case.is_native() {
            b"MYNAH\x01J\n\x00\x00\x00\x05[0,1]".to_vec()
        } else {
            format!("[1,0,1,\"echo\",[\"{}", "x".repeat(100)).into_bytes()
        };
        let long = "x".repeat(100);
        let request = if case.is_native() {
            frame("[1,1,\"served\",\"echo\"]", &format!("[\"{long}\"]"))
        } else {
            first.clone()
        };
        let later = [case.greeting(), request].concat();
        let greeted = case.greeting().len();
        let mut peers = Vec::new();
        for number in 0..SLOW {
            let mut stream = served.raw().await;
            let (start, said) = if number % 2 == 0 {
                (0, &first)
            } else {
                (greeted, &later)
            };
            let said = said.clone();
            peers.push(async move {
                // Everything up to here at once, then a byte at a time and never the last one.
                drop(stream.write_all(&said[..start]).await);
                for byte in &said[start..said.len() - 1] {
                    if stream.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    let mut heard = [0; 256];
                    // What the server says meanwhile is its greeting; the end of it is the end.
                    if let Ok(Ok(0) | Err(_)) =
                        timeout(Duration::from_millis(250), stream.read(&mut heard)).await
                    {
                        return;
                    }
                }
                read_to_end(&mut stream).await;
            });
        }
        let slow = tokio::spawn(join_all(peers));
        let mut calls = 0;
        while !slow.is_finished() {
            served.healthy().await;
            calls += 1;
            sleep(Duration::from_millis(5)).await;
        }
        within("every slow peer is closed", slow)
            .await
            .expect("none of them panics");
        // How many it has time for is the machine's affair.
        assert!(calls > 0);
        served.bounded(
            &case,
            before,
            u64::try_from(SLOW).expect("small") * KIB_OF_ONE,
        );
        // Twenty thousand bytes or so, and a few hundred calls: five seconds of processor time are many times that.
        assert!(served.process.cpu_ticks() - ticks < 500);
        served.healthy().await;
        served.process.end().await;
    }
}

/// A line without an end, and a text without an end: refused at the limit, not collected.
#[tokio::test]
async fn l4_a_line_without_an_end_is_cut_off_at_the_limit() {
    for case in Case::each() {
        let served = case.serve("max_message_bytes=1MiB").await;
        served.healthy().await;
        let before = served.process.memory_kib();
        let start: &[u8] = if case.is_native() {
            // Longer than it may be, and never complete.
            b"\x7f\xff\xff\xff[1,1,\"served\",\"echo\"][\""
        } else {
            b"[1,0,1,\"echo\",[\""
        };
        for _ in 0..4 {
            let mut stream = served.raw().await;
            let flooding = async {
                if stream.write_all(&case.greeting()).await.is_err()
                    || stream.write_all(start).await.is_err()
                {
                    return;
                }
                let piece = vec![b'x'; 64 << 10];
                while stream.write_all(&piece).await.is_ok() {}
            };
            // What comes after the limit is read for half a second and dropped, so that the peer can hear why.
            within("it is cut off", flooding).await;
            served.healthy().await;
        }
        served.bounded(&case, before, 16 << 10);
        served.process.end().await;
    }
}

/// Calls that are cancelled at once, from a peer that takes what it is answered: bounded, and the handlers come home.
#[tokio::test]
async fn f1_calls_and_cancels_are_bounded() {
    const PAIRS: u64 = 20_000;
    for case in Case::each() {
        let served = case.serve("calls_in_flight=16").await;
        served.healthy().await;
        let before = served.process.memory_kib();
        let (mut reader, mut writer) = tokio::io::split(served.raw().await);
        let reading = tokio::spawn(async move {
            let mut bytes = 0;
            let mut heard = vec![0; 64 << 10];
            while let Ok(read @ 1..) = reader.read(&mut heard).await {
                bytes += read;
            }
            bytes
        });
        let flooding = async {
            writer.write_all(&case.greeting()).await?;
            // Cancels a block later, so that some of the calls have begun.
            for start in (1..PAIRS).step_by(100) {
                let requests = (start..start + 100).flat_map(|id| case.request(id));
                let before = start.saturating_sub(100)..start;
                let cancels = before.filter(|id| *id > 0).flat_map(|id| case.cancel(id));
                let said: Vec<u8> = requests.chain(cancels).collect();
                writer.write_all(&said).await?;
            }
            writer.shutdown().await
        };
        let calling = async {
            for _ in 0..20 {
                served.healthy().await;
            }
        };
        let (flooded, ()) = within("the flood", async { tokio::join!(flooding, calling) }).await;
        // It may be cut off, or get through.
        let through = flooded.is_ok();
        let bytes = within("the answers", reading).await.expect("no panic");
        assert!(!through || bytes > 0, "{}: no answer", case.url);
        let [now, most] = hanging(&served).await;
        assert_eq!(now, 0, "{} {}", case.url, case.dialect);
        assert!((1..=16).contains(&most), "{most} ran at once");
        served.bounded(&case, before, 16 << 10);
        served.process.end().await;
    }
}

/// Handlers that hang, once those of peers that are gone are over.
async fn hanging(served: &Served) -> [u64; 2] {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let (now, most) = within("hanging", served.client.hanging().into_future())
            .await
            .expect("it is answered");
        if now == 0 || Instant::now() > until {
            return [now, most];
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Answers that nobody has asked for: past its budget, the peer is cut off.
#[tokio::test]
async fn f2_breaches_past_the_budget_end_the_connection() {
    for case in Case::each() {
        let served = case.serve("violation_budget=100").await;
        served.healthy().await;
        let before = served.process.memory_kib();
        let ticks = served.process.cpu_ticks();
        let (mut reader, mut writer) = tokio::io::split(served.raw().await);
        let reading = tokio::spawn(async move {
            read_to_end(&mut reader).await;
        });
        let flooding = async {
            if writer.write_all(&case.greeting()).await.is_err() {
                return;
            }
            for start in (0..10_000_000).step_by(1000) {
                let said: Vec<u8> = (start..start + 1000)
                    .flat_map(|id| case.breach(id))
                    .collect();
                if writer.write_all(&said).await.is_err() {
                    return;
                }
            }
            panic!("{} {}: never cut off", case.url, case.dialect);
        };
        let calling = async {
            for _ in 0..20 {
                served.healthy().await;
            }
        };
        within("the flood", async { tokio::join!(flooding, calling) }).await;
        within("the end", reading).await.expect("no panic");
        served.bounded(&case, before, 8 << 10);
        // What was sent after the end was not looked at: a second of processor time is a hundred times what it takes.
        assert!(served.process.cpu_ticks() - ticks < 100);
        served.process.end().await;
    }
}
