//! Peers that are made of bytes, and the frames that they say and hear.

use super::*;

/// One frame of the native wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) head: Json,
    pub(crate) body: Json,
}

impl Frame {
    pub(crate) fn kind(&self) -> u64 {
        self.head[0].as_u64().unwrap()
    }
}

pub(crate) const HELLO: u64 = 0;
pub(crate) const REQUEST: u64 = 1;
pub(crate) const RESULT: u64 = 2;
pub(crate) const ERROR: u64 = 3;
pub(crate) const NOTIFICATION: u64 = 4;
pub(crate) const CANCEL: u64 = 5;
pub(crate) const PROGRESS: u64 = 6;
pub(crate) const LOG: u64 = 7;
pub(crate) const EVENT: u64 = 8;
pub(crate) const PING: u64 = 9;
pub(crate) const PONG: u64 = 10;
pub(crate) const GOING_AWAY: u64 = 11;
pub(crate) const ITEMS: u64 = 12;
pub(crate) const INPUT_END: u64 = 13;
pub(crate) const CREDIT: u64 = 14;
pub(crate) const STOP: u64 = 15;

/// A frame in JSON: its length, its head, its body as text.
pub(crate) fn frame(head: &Json, body: &str) -> Vec<u8> {
    let content = format!("{head}{body}");
    let mut bytes = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(content.as_bytes());
    bytes
}

/// A frame in CBOR: its length, its head, its body in bytes.
pub(crate) fn cbor_frame(head: &Json, body: &[u8]) -> Vec<u8> {
    let mut content = cbor(head);
    content.extend_from_slice(body);
    let mut bytes = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(&content);
    bytes
}

pub(crate) fn cbor(value: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    Format::Cbor.encode(value, &mut bytes).unwrap();
    bytes
}

/// The preface in JSON or CBOR.
pub(crate) const fn preface(format: u8) -> [u8; 8] {
    [b'M', b'Y', b'N', b'A', b'H', 1, format, b'\n']
}

/// A peer made of bytes, which says what it likes. It speaks JSON, so that its frames can be read here.
#[derive(Debug)]
pub(crate) struct Raw<S = DuplexStream> {
    pub(crate) stream: S,
    pub(crate) read: Vec<u8>,
}

/// A server behind a stream in memory, and a peer made of bytes.
pub(crate) fn raw_pair(router: Router, limits: Limits, buffer: usize) -> (Raw, Peer) {
    let (near, far) = tokio::io::duplex(buffer);
    let peer = over(far, &Native::new(), Side::Accept, router, limits);
    (
        Raw {
            stream: near,
            read: Vec::new(),
        },
        peer,
    )
}

/// A client, and a server made of bytes.
pub(crate) fn raw_server(router: Router, limits: Limits, buffer: usize) -> (Raw, Peer) {
    let (near, far) = tokio::io::duplex(buffer);
    let peer = over(far, &Native::json(), Side::Dial, router, limits);
    (
        Raw {
            stream: near,
            read: Vec::new(),
        },
        peer,
    )
}

/// A peer made of bytes at a real server, on whichever transport it listens.
pub(crate) async fn raw_socket(server: &ServerHandle) -> Raw<EndpointStream> {
    let endpoint: Endpoint = server.address().parse().unwrap();
    let Ok(Dialing::Bytes(dialer)) = endpoint.place.dial() else {
        panic!("{} carries no bytes", server.address());
    };
    Raw {
        stream: dialer.dial().await.unwrap().connection,
        read: Vec::new(),
    }
}

/// A peer made of bytes at a real server.
pub(crate) async fn raw_tcp(server: &ServerHandle) -> Raw<tokio::net::TcpStream> {
    let address = server.address().strip_prefix("tcp://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Raw {
        stream,
        read: Vec::new(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Says preface and hello, and hears those of the other side.
    pub(crate) async fn greet(mut self) -> Self {
        self.send(&preface(b'J')).await;
        self.send(&frame(&json!([HELLO, 1]), "")).await;
        self.hear_greeting().await;
        self
    }

    /// Hears preface and hello.
    pub(crate) async fn hear_greeting(&mut self) {
        let mut heard = [0; 8];
        self.stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, preface(b'J'));
        assert_eq!(self.next().await.unwrap().kind(), HELLO);
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn say(&mut self, head: Json, body: &str) {
        self.send(&frame(&head, body)).await;
    }

    /// The next frame, `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        self.frame().await.map(|content| parse(&content))
    }

    /// What is in the next frame, as it is.
    pub(crate) async fn content(&mut self) -> Vec<u8> {
        self.frame().await.expect("the connection is closed")
    }

    async fn frame(&mut self) -> Option<Vec<u8>> {
        let head = self.take(4).await?;
        let len = u32::from_be_bytes(head.try_into().unwrap()) as usize;
        self.take(len).await
    }

    /// The next frame, passing over pings and the like.
    pub(crate) async fn answer(&mut self) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection is closed");
            if matches!(frame.kind(), RESULT | ERROR) {
                return frame;
            }
        }
    }

    /// Every frame up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    async fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        self.read.reserve(64 << 10);
        while self.read.len() < len {
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(self.read.drain(..len).collect())
    }
}

/// Takes head and body of a frame in JSON apart.
pub(crate) fn parse(content: &[u8]) -> Frame {
    let mut values = serde_json::Deserializer::from_slice(content).into_iter::<Json>();
    let head = values.next().unwrap().unwrap();
    let body = match head[0].as_u64() {
        // Items have their lengths between them.
        Some(ITEMS) => Json::Null,
        _ => values.next().map_or(Json::Null, Result::unwrap),
    };
    Frame { head, body }
}

/// Counts handlers that were started, and that are over by whatever way.
#[derive(Debug, Default)]
pub(crate) struct Count {
    started: AtomicUsize,
    over: AtomicUsize,
    most: AtomicUsize,
}

/// Lives as long as a handler.
#[derive(Debug)]
pub(crate) struct Alive<'a>(&'a Count);

impl Count {
    pub(crate) fn enter(&self) -> Alive<'_> {
        let started = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        self.most
            .fetch_max(started - self.over.load(Ordering::SeqCst), Ordering::SeqCst);
        Alive(self)
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) fn alive(&self) -> usize {
        self.started() - self.over.load(Ordering::SeqCst)
    }

    /// The most that were alive at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::SeqCst);
    }
}
