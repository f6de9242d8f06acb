//! The floor: frames with a length in front, echoed as they come. No task per call, no format.
//!
//! The client keeps its number of frames in flight and writes as many as it has just read, in one
//! write; the server reads what is there and writes the whole frames of it back in one write.

use mynah_bench::{Contender, Failure, Load, Tally};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// About what the workload takes in a binary format.
const BODY: usize = 96;
const HEAD: usize = 4;
const FRAME: usize = HEAD + BODY;
const BUFFER: usize = 64 * 1024;

/// Held by the one load that runs on it.
#[derive(Clone)]
struct Raw(Arc<Mutex<TcpStream>>);

impl Contender for Raw {
    async fn serve(listener: TcpListener, _: &str) -> Result<(), Failure> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(answer(stream));
        }
    }

    async fn connect(address: Option<SocketAddr>, _: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address.ok_or("raw needs an address")?).await?;
        stream.set_nodelay(true)?;
        Ok(Self(Arc::new(Mutex::new(stream))))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        let mut stream = self.0.lock().await;
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
}

/// Ends with its connection.
async fn answer(mut stream: TcpStream) -> Result<(), Failure> {
    let mut input = Input::new();
    loop {
        let (_, bytes) = input.read(&mut stream).await?;
        stream.write_all(&input.buffer[..bytes]).await?;
        input.consume(bytes);
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
            buffer: vec![0; BUFFER],
            filled: 0,
        }
    }

    /// Reads once; returns how many whole frames stand at the start, and how many bytes they are.
    async fn read(&mut self, stream: &mut TcpStream) -> Result<(usize, usize), Failure> {
        let read = stream.read(&mut self.buffer[self.filled..]).await?;
        if read == 0 {
            return Err("closed".into());
        }
        self.filled += read;
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
