//! Floods and slow feeds against a server in a process of its own, over each byte transport, in each dialect and format: what the
//! server has left for a healthy peer, how much memory it takes, and how much time.

use crate::harness::{ServerProcess, read_to_end, within};
use futures::future::join_all;
use interop_tests::served::ServedClient;
use mynah::Endpoint;
use mynah::codec::Format;
use mynah::endpoint::{Dialing, EndpointStream};
use mynah::prelude::*;
use mynah_protocol::Dialer as _;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

/// A listener that is tried, and what a healthy peer needs to speak there.
struct Case {
    /// Where to listen.
    url: String,
    /// The dialect and the format, as options.
    options: &'static str,
    native: bool,
    format: Format,
    /// Removes the socket file.
    _directory: Option<tempfile::TempDir>,
}

/// What is spoken: the options, whether it is native, and the format.
type Spoken = (&'static str, bool, Format);

const LINES: [Spoken; 2] = [
    ("format=json", true, Format::Json),
    ("dialect=cbor-rpc&format=json", false, Format::Json),
];
const BINARY: [Spoken; 3] = [
    ("format=cbor", true, Format::Cbor),
    ("format=messagepack", true, Format::MessagePack),
    ("dialect=cbor-rpc&format=cbor", false, Format::Cbor),
];

impl Case {
    /// Each transport with each dialect in JSON, and one of them with each in the other formats.
    fn each() -> Vec<Self> {
        let mut cases = Vec::new();
        for spoken in LINES {
            cases.push(Self::tcp(spoken));
            let directory = tempfile::tempdir().expect("a directory");
            cases.push(Self {
                url: format!("unix:{}/socket", directory.path().display()),
                _directory: Some(directory),
                ..Self::tcp(spoken)
            });
        }
        cases.extend(BINARY.map(Self::tcp));
        cases
    }

    fn tcp((options, native, format): Spoken) -> Self {
        Self {
            url: "tcp://127.0.0.1:0".to_owned(),
            options,
            native,
            format,
            _directory: None,
        }
    }

    /// A server with more options.
    async fn serve(&self, options: &str) -> Served {
        let url = format!("{}?{}&{options}", self.url, self.options);
        let process = ServerProcess::start(&[&url]).await;
        let healthy = format!("{}?{}", process.addresses[0], self.options);
        let peer = within("connect", mynah::connect(&healthy)).await;
        let peer = peer.expect("the server listens");
        Served {
            client: peer.client(),
            _peer: peer,
            process,
        }
    }

    /// What a peer says before anything else.
    fn greeting(&self) -> Vec<u8> {
        if !self.native {
            return Vec::new();
        }
        let format = match self.format {
            Format::Json => b'J',
            Format::Cbor => b'C',
            _ => b'M',
        };
        let mut greeting = b"MYNAH\x01".to_vec();
        greeting.extend([format, b'\n']);
        greeting.extend(self.frame(&json!([0, 1]), None));
        greeting
    }

    /// A request for a method with one text, or none.
    fn call(&self, id: u64, method: &str, texts: &[&str]) -> Vec<u8> {
        if self.native {
            self.frame(&json!([1, id, "served", method]), Some(&json!(texts)))
        } else {
            self.message(&json!([1, 0, id, method, texts]))
        }
    }

    /// A request for `hang`.
    fn request(&self, id: u64) -> Vec<u8> {
        self.call(id, "hang", &[])
    }

    /// The start of a request whose text is longer than may be, or has no end.
    fn endless(&self) -> Vec<u8> {
        if self.native {
            let mut start = 0x7fff_ffff_u32.to_be_bytes().to_vec();
            start.extend(self.encode(&json!([1, 1, "served", "echo"])));
            return start;
        }
        let mut start = self.message(&json!([1, 0, 1, "echo", [""]]));
        if matches!(self.format, Format::Json) {
            // The end of the text, of both arrays, and of the line.
            start.truncate(start.len() - "\"]]\n".len());
        } else {
            // A text of 2^40 bytes in place of the empty one.
            start.pop();
            start.push(0x7b);
            start.extend((1_u64 << 40).to_be_bytes());
        }
        start
    }

    /// The cancel of a request.
    fn cancel(&self, id: u64) -> Vec<u8> {
        if self.native {
            self.frame(&json!([5, id]), None)
        } else {
            self.message(&json!([1, 3, id]))
        }
    }

    /// Something that no peer says: an answer to a call that was never made.
    fn breach(&self, id: u64) -> Vec<u8> {
        if self.native {
            self.frame(&json!([2, id]), Some(&json!(1)))
        } else {
            self.message(&json!([1, 2, id, true, null]))
        }
    }

    fn encode(&self, value: &Json) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoded = self.format.encode(value, &mut bytes);
        encoded.expect("every format has it");
        bytes
    }

    /// A frame of the native wire.
    fn frame(&self, head: &Json, body: Option<&Json>) -> Vec<u8> {
        let mut content = self.encode(head);
        content.extend(body.map(|body| self.encode(body)).unwrap_or_default());
        let length = u32::try_from(content.len()).expect("it is short");
        [length.to_be_bytes().as_slice(), &content].concat()
    }

    /// A message of cbor-rpc.
    fn message(&self, message: &Json) -> Vec<u8> {
        let mut bytes = self.encode(message);
        if matches!(self.format, Format::Json) {
            bytes.push(b'\n');
        }
        bytes
    }
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
            case.options,
            self.process.cpu_ticks() * 10
        );
        assert!(
            grown <= kib,
            "{} {}: {grown} KiB more than before, bound {kib}",
            case.url,
            case.options
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
        let long = "x".repeat(100);
        let mut request = case.call(1, "echo", &[&long]);
        if !case.native && matches!(case.format, Format::Json) {
            // Without the end of its line, so that it is not complete before its last byte.
            request.pop();
        }
        let first = if case.native {
            case.greeting()
        } else {
            request.clone()
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
        let start = case.endless();
        for _ in 0..4 {
            let mut stream = served.raw().await;
            let flooding = async {
                if stream.write_all(&case.greeting()).await.is_err()
                    || stream.write_all(&start).await.is_err()
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
        assert_eq!(now, 0, "{} {}", case.url, case.options);
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
            panic!("{} {}: never cut off", case.url, case.options);
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

/// Requests by the hundred thousand in one write: those beyond the permits are refused, each of them, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_a_burst_of_requests_is_refused_beyond_the_permits() {
    const CALLS: u64 = 100_000;
    const PERMITS: usize = 16;
    /// What each refusal says, in every format.
    const REFUSED: &[u8] = b"too many calls in flight";
    for case in Case::each() {
        let served = case.serve(&format!("calls_in_flight={PERMITS}")).await;
        served.healthy().await;
        let before = served.process.memory_kib();
        let (mut reader, mut writer) = tokio::io::split(served.raw().await);
        let refusals = usize::try_from(CALLS).expect("small") - PERMITS;
        let reading = tokio::spawn(async move {
            let (mut heard, mut found) = (Vec::new(), 0);
            let mut piece = vec![0; 64 << 10];
            while found < refusals {
                let read = reader.read(&mut piece).await;
                let Ok(read @ 1..) = read else {
                    panic!("{read:?} after {found} refusals");
                };
                heard.extend_from_slice(&piece[..read]);
                let mut looked = 0;
                while let Some(at) = find(&heard[looked..], REFUSED) {
                    looked += at + REFUSED.len();
                    found += 1;
                }
                heard.drain(..looked);
            }
            reader
        });
        let mut said = case.greeting();
        said.extend((1..=CALLS).flat_map(|id| case.request(id)));
        let flooding = async { writer.write_all(&said).await.expect("it is read") };
        let calling = async {
            for _ in 0..20 {
                served.healthy().await;
            }
        };
        within("the burst", async { tokio::join!(flooding, calling) }).await;
        let reader = within("the refusals", reading).await.expect("all of them");
        let hanging = within("hanging", served.client.hanging().into_future()).await;
        let [now, most] = hanging.map(|(now, most)| [now, most]).expect("an answer");
        let permits = u64::try_from(PERMITS).expect("small");
        assert_eq!([now, most], [permits; 2], "{} {}", case.url, case.options);
        served.bounded(&case, before, 16 << 10);
        drop((reader, writer));
        served.process.end().await;
    }
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|part| part == text)
}
