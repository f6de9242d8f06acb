//! The floor: frames with a length in front, echoed as they come. No task per call, no format.
//!
//! The client keeps its number of frames in flight and writes as many as it has just read, in one
//! write; the server reads what is there and writes the whole frames of it back in one write.
//!
//! Streams and payloads have connections of their own: the first byte of a connection says what it
//! is for. So `mixed` shows what the machine alone makes of small calls beside large ones.

use bytes::{Buf, BytesMut};
use mynah_bench::{
    Address, Bytes, Contender, Failure, Item, Listening, Load, MAX_MESSAGE, Stream, Taken, Tally,
};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

/// About what the workload takes in a binary format.
const BODY: usize = 96;
const HEAD: usize = 4;
const FRAME: usize = HEAD + BODY;
const BUFFER: usize = 64 * 1024;
/// What a connection begins with: most that are idle never need more.
const SMALL: usize = 4 * 1024;

/// What a connection is for.
const ECHO: u8 = b'e';
const STREAM: u8 = b's';
const PAYLOAD: u8 = b'p';
const UPLOAD: u8 = b'u';

/// In front of a payload: its length, little-endian.
const LENGTH: usize = 8;

/// An item of a stream: number and value, little-endian.
const ITEM: usize = 16;

/// Each connection is held by the one load that runs on it.
#[derive(Clone)]
struct Raw {
    address: Address,
    echo: Arc<Mutex<Stream>>,
    stream: Arc<Mutex<Option<Stream>>>,
    payloads: Carriers,
    uploads: Carriers,
}

impl Contender for Raw {
    async fn serve(listener: Listening, _: &str) -> Result<(), Failure> {
        loop {
            tokio::spawn(answer(listener.accept().await?));
        }
    }

    async fn connect(address: Option<Address>, _: &str) -> Result<Self, Failure> {
        let address = address.ok_or("raw needs an address")?;
        Ok(Self {
            echo: Arc::new(Mutex::new(open(&address, ECHO).await?)),
            address,
            stream: Arc::default(),
            payloads: Carriers::default(),
            uploads: Carriers::default(),
        })
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        let mut stream = self.echo.lock().await;
        let mut frame = [7; FRAME];
        frame[..HEAD].copy_from_slice(&u32::try_from(BODY)?.to_le_bytes());
        let frames = frame.repeat(load.in_flight);

        let mut input = Input::new();
        let mut tally = Tally::default();
        let mut flying = load.pace.claim(load.in_flight);
        let mut start = Instant::now();
        stream.write_all(&frames[..flying * FRAME]).await?;
        while flying > 0 {
            let (whole, bytes) = input.read(&mut stream).await?;
            input.consume(bytes);
            tally.calls += whole as u64;
            if load.latencies && whole > 0 {
                start = tally.time(start);
            }
            let next = if whole == 0 {
                0
            } else {
                load.pace.claim(whole)
            };
            if next > 0 {
                stream.write_all(&frames[..next * FRAME]).await?;
            }
            flying = flying - whole + next;
        }
        Ok(tally)
    }

    async fn numbers(&self, items: u64) -> Result<Taken, Failure> {
        let mut held = self.stream.lock().await;
        let stream = kept(&mut held, &self.address, STREAM).await?;
        stream.write_all(&items.to_le_bytes()).await?;
        let mut taken = Taken::default();
        let mut input = Input::new();
        while taken.items < items {
            input.fill(stream).await?;
            let whole = input.filled / ITEM * ITEM;
            for record in input.buffer[..whole].as_chunks::<ITEM>().0 {
                let [seq, value] = [0, 8].map(|at| *record[at..].first_chunk().unwrap_or(&[0; 8]));
                taken.take(Item {
                    seq: u64::from_le_bytes(seq),
                    value: f64::from_le_bytes(value),
                });
            }
            input.consume(whole);
        }
        Ok(taken)
    }

    fn first_bytes() -> Option<&'static [u8]> {
        // The echo of a frame.
        Some(&[ECHO, 3, 0, 0, 0, 7, 7, 7])
    }

    async fn blob(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let mut carrier = Carrier::get(&self.payloads, &self.address, PAYLOAD).await?;
        carrier.send(payload).await?;
        let memory = carrier.last.try_into_mut().unwrap_or_default();
        carrier.last = receive_payload(&mut carrier.stream, memory).await?.freeze();
        let came = carrier.last.slice(LENGTH..);
        carrier.put_back(&self.payloads);
        Ok(came)
    }

    async fn upload(&self, payload: Bytes) -> Result<u64, Failure> {
        let mut carrier = Carrier::get(&self.uploads, &self.address, UPLOAD).await?;
        carrier.send(payload).await?;
        let length = carrier.stream.read_u64_le().await?;
        carrier.put_back(&self.uploads);
        Ok(length)
    }
}

/// A connection for payloads.
struct Carrier {
    stream: Stream,
    /// What came last: its memory is used again when nobody holds it any more.
    last: Bytes,
}

/// One for each payload in flight, so that none waits for another's.
type Carriers = Arc<std::sync::Mutex<Vec<Carrier>>>;

impl Carrier {
    /// A free one, or a new one.
    async fn get(free: &Carriers, address: &Address, purpose: u8) -> Result<Self, Failure> {
        let found = free.lock().map_or(None, |mut free| free.pop());
        Ok(match found {
            Some(carrier) => carrier,
            None => Self {
                stream: open(address, purpose).await?,
                last: Bytes::new(),
            },
        })
    }

    async fn send(&mut self, payload: Bytes) -> Result<(), Failure> {
        let head = (payload.len() as u64).to_le_bytes();
        let mut frame = Buf::chain(&head[..], payload);
        Ok(self.stream.write_all_buf(&mut frame).await?)
    }

    fn put_back(self, free: &Carriers) {
        if let Ok(mut free) = free.lock() {
            free.push(self);
        }
    }
}

async fn open(address: &Address, purpose: u8) -> Result<Stream, Failure> {
    let mut stream = address.connect().await?;
    stream.write_all(&[purpose]).await?;
    Ok(stream)
}

/// The connection that is kept, or a new one.
async fn kept<'h>(
    held: &'h mut Option<Stream>,
    address: &Address,
    purpose: u8,
) -> Result<&'h mut Stream, Failure> {
    Ok(match held {
        Some(stream) => stream,
        None => held.insert(open(address, purpose).await?),
    })
}

/// Ends with its connection.
async fn answer(mut stream: Stream) -> Result<(), Failure> {
    match stream.read_u8().await? {
        ECHO => echo(stream).await,
        STREAM => count(stream).await,
        PAYLOAD => {
            let mut payload = BytesMut::new();
            loop {
                payload = receive_payload(&mut stream, payload).await?;
                stream.write_all(&payload).await?;
            }
        }
        UPLOAD => {
            let mut payload = BytesMut::new();
            loop {
                payload = receive_payload(&mut stream, payload).await?;
                let length = payload.len() - LENGTH;
                stream.write_u64_le(length as u64).await?;
            }
        }
        other => Err(format!("no connection is for {other}").into()),
    }
}

async fn echo(mut stream: Stream) -> Result<(), Failure> {
    let mut input = Input::new();
    loop {
        let (_, bytes) = input.read(&mut stream).await?;
        stream.write_all(&input.buffer[..bytes]).await?;
        input.consume(bytes);
    }
}

/// Writes items, a full buffer at a time.
async fn count(mut stream: Stream) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let items = stream.read_u64_le().await?;
        let mut next = 0;
        while next < items {
            let upto = items.min(next + (BUFFER / ITEM) as u64);
            let mut filled = 0;
            for (record, seq) in buffer.as_chunks_mut::<ITEM>().0.iter_mut().zip(next..upto) {
                let item = Item::at(seq);
                record[..8].copy_from_slice(&item.seq.to_le_bytes());
                record[8..].copy_from_slice(&item.value.to_le_bytes());
                filled += ITEM;
            }
            stream.write_all(&buffer[..filled]).await?;
            next = upto;
        }
    }
}

/// Reads a length and so many bytes; both stay in the buffer. Nothing comes behind it before it is
/// answered, so a read may ask for as much as there is room for.
async fn receive_payload(stream: &mut Stream, mut frame: BytesMut) -> Result<BytesMut, Failure> {
    frame.clear();
    frame.reserve(BUFFER);
    loop {
        if stream.read_buf(&mut frame).await? == 0 {
            return Err("closed".into());
        }
        let Some(head) = frame.first_chunk() else {
            continue;
        };
        let length = usize::try_from(u64::from_le_bytes(*head))?;
        if length > MAX_MESSAGE {
            return Err("too long".into());
        }
        let end = LENGTH + length;
        if frame.len() >= end {
            return Ok(frame);
        }
        frame.reserve(end - frame.len());
    }
}

/// What was read and is not dealt with yet.
struct Input {
    buffer: Vec<u8>,
    filled: usize,
}

impl Input {
    fn new() -> Self {
        Self {
            buffer: vec![0; SMALL],
            filled: 0,
        }
    }

    /// Reads once.
    async fn fill(&mut self, stream: &mut Stream) -> Result<(), Failure> {
        let read = stream.read(&mut self.buffer[self.filled..]).await?;
        if read == 0 {
            return Err("closed".into());
        }
        self.filled += read;
        if self.filled == self.buffer.len() && self.filled < BUFFER {
            self.buffer.resize(BUFFER, 0);
        }
        Ok(())
    }

    /// Reads once; returns how many whole frames stand at the start, and how many bytes they are.
    async fn read(&mut self, stream: &mut Stream) -> Result<(usize, usize), Failure> {
        self.fill(stream).await?;
        let (mut frames, mut at) = (0, 0);
        while let Some(head) = self.buffer[at..self.filled].first_chunk::<HEAD>() {
            let end = at + HEAD + u32::from_le_bytes(*head) as usize;
            if end > self.filled {
                break;
            }
            at = end;
            frames += 1;
        }
        Ok((frames, at))
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Raw>()
}
