//! What a server that breaks the rules can do to its client: it ends its own call, and nothing of anybody else's.

use crate::fleet::{redis, until, url, within};
use crate::sessions::{NumbersClient, connect, serve};
use futures::{StreamExt as _, stream};
use mynah::{CallError, CloseReason, EndReason, ErrorCode, Peer, RpcError};
use mynah_codec::dialect::native::Frames;
use mynah_protocol::{
    Cancel, CancelReason, Dialer as _, Envelope, FormatId, Items, Limits, Metadata, MethodName,
    Notification, Payload, Progress, Request, Response, StreamSide, Streams, WireId,
};
use mynah_testkit::redis::{RedisServer, Reply};
use mynah_transport_redis_streams::{RedisDialer, RedisOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A server that says what its test wants it to say.
struct Scripted<'r> {
    redis: &'r RedisServer,
    frames: Frames,
}

/// A call that it was given.
#[derive(Clone, Debug, PartialEq)]
struct Opened {
    reply_to: String,
    number: u64,
    body: String,
}

impl<'r> Scripted<'r> {
    async fn start(redis: &'r RedisServer) -> Self {
        Self::lives(redis).await;
        let hello = ["XADD", "app:inbox:ghost", "*", "mynah", "hello"];
        redis.command(&hello).await.unwrap();
        Self {
            redis,
            frames: Frames::new(FormatId::Json, &Limits::default()),
        }
    }

    /// Says that it is alive, for longer than servers take it for.
    async fn lives(redis: &RedisServer) {
        let alive = [
            "ZADD",
            "app:servers:numbers",
            "9999999999999",
            "ghost",
            "0",
            "-",
        ];
        redis.command(&alive).await.unwrap();
    }

    /// The calls that it was given until now.
    async fn calls(&self) -> Vec<Opened> {
        let entries = ["XRANGE", "app:inbox:ghost", "-", "+"];
        let entries = self.redis.command(&entries).await.unwrap();
        let open = |entry: &Reply| {
            let fields = entry.items()[1].texts();
            let field = |name| {
                let at = fields.iter().position(|field| *field == name)?;
                fields.get(at + 1).map(|value| (*value).to_owned())
            };
            (field("mynah")? == "frame" && field("n")? == "1").then_some(())?;
            Some(Opened {
                reply_to: field("from")?,
                number: field("call")?.parse().ok()?,
                body: field("body")?,
            })
        };
        entries.items().iter().filter_map(open).collect()
    }

    /// The call in which this stands, once it is given that; `None` once the other server has it.
    async fn given_unless(&self, what: &str, runs_there: impl Fn() -> bool) -> Option<Opened> {
        let is_it = |call: &Opened| call.body.contains(what);
        until(async || runs_there() || self.calls().await.iter().any(is_it)).await;
        self.calls().await.into_iter().find(is_it)
    }

    /// The call that it is given as the so manyth.
    async fn call(&self, count: usize) -> Opened {
        until(async || self.calls().await.len() >= count).await;
        self.calls().await[count - 1].clone()
    }

    async fn put(&self, call: &Opened, kind: &str, n: u64, body: &[u8]) {
        let (number, n) = (call.number.to_string(), n.to_string());
        let fields = [
            b"XADD",
            call.reply_to.as_bytes(),
            b"*",
            b"mynah",
            kind.as_bytes(),
            b"from",
            b"ghost",
            b"call",
            number.as_bytes(),
            b"n",
            n.as_bytes(),
            b"body",
            body,
        ];
        self.redis.command_bytes(&fields).await.unwrap();
    }

    async fn say(&self, call: &Opened, n: u64, envelope: &Envelope<'_>) {
        let mut body = Vec::new();
        self.frames.write(envelope, &mut body).unwrap();
        self.put(call, "frame", n, &body).await;
    }

    async fn busy(&self, call: &Opened) {
        self.put(call, "busy", 0, b"").await;
    }
}

fn json(text: &str) -> Payload<'static> {
    Payload::owned(FormatId::Json, text.as_bytes().to_vec().into())
}

/// So many items of a stream of results.
fn items(call: &Opened, count: u64) -> Envelope<'static> {
    let one = [&[0, 0, 0, 1][..], b"7"].concat();
    let batch = one.repeat(usize::try_from(count).unwrap());
    Envelope::Items(Items {
        id: WireId::Uint(call.number),
        stream: StreamSide::Result,
        count,
        batch: Payload::owned(FormatId::Json, batch.into()),
    })
}

fn answer(call: &Opened, result: &str) -> Envelope<'static> {
    Envelope::Response(Response {
        id: WireId::Uint(call.number),
        result: Ok(json(result)),
    })
}

fn request(id: u64, service: &'static str, method: String) -> Request<'static> {
    Request {
        id: WireId::Uint(id),
        name: MethodName::new(service, &method).into_owned(),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::default(),
        params: json("[1]"),
    }
}

fn is_violation<E>(error: &CallError<E>) -> bool {
    matches!(error, CallError::Indeterminate(CloseReason::Violation(code, _))
        if *code == ErrorCode::PROTOCOL_VIOLATION)
}

/// A client whose messages may have 64 KiB.
async fn small(redis: &RedisServer) -> NumbersClient {
    let options = RedisOptions::new(redis.url()).with_prefix("app");
    let dialed = RedisDialer::new(options).unwrap().dial().await.unwrap();
    let mut limits = Limits::new();
    limits.decode.max_message_bytes = 64 << 10;
    let peer = Peer::over_transport(dialed.connection).limits(limits);
    peer.start().unwrap().client()
}

#[tokio::test]
async fn a_server_that_breaks_the_rules_ends_its_call_and_no_other() {
    type Breach = fn(&Opened) -> Vec<Envelope<'static>>;
    let breaches: [(&str, Breach); 8] = [
        ("more items than credit", |call| vec![items(call, 1 << 17)]),
        ("items without an item", |call| vec![items(call, 0)]),
        ("a side message that is too large", |call| {
            vec![Envelope::Progress(Progress {
                id: WireId::Uint(call.number),
                value: json(&format!("\"{}\"", "x".repeat(100 << 10))),
                note: None,
            })]
        }),
        ("taken on again and again", |call| {
            vec![Envelope::Accepted(WireId::Uint(call.number)); 3]
        }),
        ("a function that it was not given", |_| {
            let request = request(1, "$callback", "1".to_owned());
            vec![Envelope::Request(request)]
        }),
        ("a function that it was not given, told", |_| {
            vec![Envelope::Notification(Notification {
                name: MethodName::new("$callback", "999"),
                id: None,
                metadata: Metadata::new(),
                params: json("[1]"),
            })]
        }),
        ("a stop of no stream", |call| {
            let id = WireId::Uint(call.number);
            // One or two cross the ends of calls that were before.
            vec![Envelope::Stop(mynah_protocol::Stop { id }); 50]
        }),
        ("metadata without an end", |_| {
            let mut request = request(1, "$callback", "1".to_owned());
            for number in 0..1000 {
                request.metadata.insert(number.to_string(), "x");
            }
            vec![Envelope::Request(request)]
        }),
    ];
    let redis = redis().await;
    let (_server, state) = serve(&redis, "").await;
    let numbers = small(&redis).await;
    // One that keeps the rules has this.
    let mut whole = numbers.count(u64::MAX).start();
    assert_eq!(within(whole.next()).await.unwrap().unwrap(), 0);
    let ghost = Scripted::start(&redis).await;
    let mut last = 0;
    // Each call counts to another number: so it is known which one it was given.
    let mut most = u64::MAX;
    for (what, breach) in breaches {
        Scripted::lives(&redis).await;
        // It has none of this client's calls, and the other one has: once it is known, it is given the next.
        let (mut broken, call) = loop {
            most -= 1;
            let before = state.runs.load(Ordering::SeqCst);
            let stream = numbers.count(most).start();
            let marker = most.to_string();
            let runs_there = || state.runs.load(Ordering::SeqCst) > before;
            if let Some(call) = ghost.given_unless(&marker, runs_there).await {
                break (stream, call);
            }
        };
        for (n, envelope) in (1..).zip(breach(&call)) {
            ghost.say(&call, n, &envelope).await;
        }
        let mut error = None;
        while let Some(item) = within(broken.next()).await {
            error = item.err();
        }
        let error = error.unwrap();
        assert!(is_violation(&error), "{what}: {error:?}");
        assert_eq!(broken.end_reason(), Some(&EndReason::PeerGone), "{what}");
        for _ in 0..1000 {
            let item = within(whole.next()).await.unwrap().unwrap();
            assert_eq!(item, last + 1, "{what}");
            last = item;
        }
    }
}

#[tokio::test]
async fn functions_are_those_of_the_server_that_they_were_given_to() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let numbers = connect(&redis, "").await;
    let ran = Arc::new(AtomicU64::new(0));
    let (began, gate) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(tokio::sync::Semaphore::new(0)),
    );
    let (begins, opens) = (Arc::clone(&began), Arc::clone(&gate));
    let mine = numbers
        .ask(1, move |number| {
            let (begins, opens) = (Arc::clone(&begins), Arc::clone(&opens));
            async move {
                begins.fetch_add(1, Ordering::SeqCst);
                opens.acquire().await.unwrap().forget();
                Ok(number)
            }
        })
        .start();
    until(async || began.load(Ordering::SeqCst) == 1).await;
    let ghost = Scripted::start(&redis).await;
    let (theirs, call) = loop {
        let counts = Arc::clone(&ran);
        let before = ghost.calls().await.len();
        // The other server tells its function at once.
        let told = ran.load(Ordering::SeqCst);
        let theirs = numbers
            .tell(1, move |_number| {
                counts.fetch_add(1, Ordering::SeqCst);
            })
            .start();
        let calls = async || ghost.calls().await.len();
        until(async || ran.load(Ordering::SeqCst) > told || calls().await > before).await;
        if ran.load(Ordering::SeqCst) == told {
            break (theirs, ghost.call(before + 1).await);
        }
        within(theirs).await.unwrap();
    };
    let own = ran.load(Ordering::SeqCst);
    // Its own: the number stands in the params.
    let number = call
        .body
        .rsplit(|c: char| !c.is_ascii_digit())
        .find(|text| !text.is_empty());
    let number: u64 = number.unwrap().parse().unwrap();
    let told = |number: u64| {
        Envelope::Notification(Notification {
            name: MethodName::new("$callback", &number.to_string()).into_owned(),
            id: None,
            metadata: Metadata::new(),
            params: json("[1]"),
        })
    };
    ghost.say(&call, 1, &told(number)).await;
    until(async || ran.load(Ordering::SeqCst) == own + 1).await;
    // That of the other server is one of those before it.
    for (n, other) in (2..).zip((1..number).rev()) {
        let mut asked = request(n, "$callback", other.to_string());
        asked.params = json("[5]");
        ghost.say(&call, n, &Envelope::Request(asked)).await;
    }
    let error = within(theirs).await.unwrap_err();
    assert!(is_violation(&error), "{error:?}");
    assert_eq!(began.load(Ordering::SeqCst), 1, "nobody else has called it");
    gate.add_permits(1);
    assert_eq!(within(mine).await.unwrap(), 2);
}

/// Each of its calls ends for a breach with as many functions asked for as one call may ask, and all of them are cancelled then:
/// more than a connection forgives one peer.
#[tokio::test]
async fn many_calls_that_break_the_rules_cost_nobody_else_anything() {
    let redis = redis().await;
    let ghost = Scripted::start(&redis).await;
    let numbers = connect(&redis, "").await;
    // Its server says nothing for now.
    let waits = numbers.count(u64::MAX).start();
    let whole = ghost.call(1).await;
    for round in 0..6 {
        let told = numbers.ask(1, async |number| Ok(number)).start();
        let call = ghost.call(round + 2).await;
        for n in 1..=256 {
            let asked = request(1000 + n, "$callback", "999999".to_owned());
            ghost.say(&call, n, &Envelope::Request(asked)).await;
        }
        let error = within(told).await.unwrap_err();
        assert!(is_violation(&error), "{error:?}");
    }
    ghost.say(&whole, 1, &answer(&whole, "null")).await;
    let mut waits = waits;
    assert!(within(waits.next()).await.is_none_or(|item| item.is_ok()));
    assert_eq!(waits.end_reason(), Some(&EndReason::Finished));
}

#[tokio::test]
async fn a_word_that_comes_twice_does_not_begin_a_call_twice() {
    let redis = redis().await;
    let ghost = Scripted::start(&redis).await;
    let numbers = connect(&redis, "").await;
    let sum = numbers.sum(stream::iter([1u64])).start();
    let first = ghost.call(1).await;
    ghost.busy(&first).await;
    let second = ghost.call(2).await;
    assert_ne!(first.number, second.number);
    // It was written again, because it could not be known whether it had been.
    ghost.busy(&first).await;
    ghost
        .put(&first, "gone", 0, first.number.to_string().as_bytes())
        .await;
    ghost.put(&first, "refused", 0, b"").await;
    ghost.say(&first, 1, &answer(&first, "3")).await;
    ghost.say(&second, 1, &answer(&second, "42")).await;
    assert_eq!(within(sum).await.unwrap(), 42);
    assert_eq!(ghost.calls().await.len(), 2);
}

#[tokio::test]
async fn callbacks_that_are_cancelled_again_and_again_cost_nothing() {
    let redis = redis().await;
    let ghost = Scripted::start(&redis).await;
    let numbers = connect(&redis, "").await;
    let asked = numbers
        .ask(1, async |_number| std::future::pending().await)
        .start();
    let call = ghost.call(1).await;
    let number = call
        .body
        .rsplit(|c: char| !c.is_ascii_digit())
        .find(|text| !text.is_empty());
    let request = request(5, "$callback", number.unwrap().to_owned());
    ghost.say(&call, 1, &Envelope::Request(request)).await;
    for n in 2..1500 {
        let cancel = Cancel {
            id: WireId::Uint(5),
            reason: CancelReason::Caller,
        };
        ghost.say(&call, n, &Envelope::Cancel(cancel)).await;
    }
    ghost.say(&call, 1500, &answer(&call, "9")).await;
    assert_eq!(within(asked).await.unwrap(), 9);
}

#[tokio::test]
async fn answers_that_nobody_waits_for_cost_nothing() {
    let redis = redis().await;
    let (_server, _state) = serve(&redis, "").await;
    let numbers = mynah::connect(&url(&redis, "instance=me"))
        .await
        .unwrap()
        .client();
    let numbers: NumbersClient = numbers;
    let forged = r#"for i = 1, 3000 do redis.call('XADD', KEYS[1], '*', 'type', 'rpc', 'envelope',
        '{"jsonrpc":"2.0","result":1,"id":' .. i .. '}') end"#;
    redis
        .command(&["EVAL", forged, "1", "app:replies:me"])
        .await
        .unwrap();
    for _ in 0..10 {
        let who: Result<String, CallError<RpcError>> = within(numbers.who()).await;
        assert!(who.is_ok(), "{who:?}");
    }
}
