//! A scripted connection: bytes by hand on one end, the dialect as a codec, no connection rules at all.

use super::within;
use mynah_codec::dialect::cbor_rpc::{CborRpc, CborRpcWire, Padding};
use mynah_codec::{Output, OutputChunk, Step, Wire as _, WireError};
use mynah_protocol::{Envelope, Lane};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One end of a connection to a port on the loopback.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    wire: CborRpcWire,
    input: Vec<u8>,
}

impl Raw {
    /// Connects, to speak CBOR.
    pub(crate) async fn cbor(port: u16) -> Self {
        Self::connect(port, CborRpc::cbor()).await
    }

    /// Connects, to speak JSON.
    pub(crate) async fn json(port: u16, padding: Padding) -> Self {
        Self::connect(port, CborRpc::json(padding)).await
    }

    async fn connect(port: u16, dialect: CborRpc) -> Self {
        let stream = within("connect", TcpStream::connect(("127.0.0.1", port))).await;
        let stream = stream.expect("something listens");
        stream.set_nodelay(true).expect("it is a TCP socket");
        let wire = CborRpcWire::new(dialect, &CborRpc::default_limits());
        Self {
            stream,
            wire,
            input: Vec::new(),
        }
    }

    /// Writes bytes as they are, in one write.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        within("write", self.stream.write_all(bytes))
            .await
            .expect("the peer reads");
    }

    /// Writes bytes to a peer that may have closed already.
    pub(crate) async fn try_bytes(&mut self, bytes: &[u8]) -> bool {
        within("write", self.stream.write_all(bytes)).await.is_ok()
    }

    /// The bytes of some envelopes, one behind the other.
    pub(crate) fn encoded(&mut self, envelopes: &[Envelope<'_>]) -> Vec<u8> {
        let mut out = Output::new();
        for envelope in envelopes {
            self.wire
                .encode(envelope, Lane::Data, &mut out)
                .expect("this wire can say it");
        }
        let mut chunk = OutputChunk::default();
        out.take(Lane::Data, &mut chunk);
        chunk.bytes
    }

    /// Says some envelopes in one write.
    pub(crate) async fn say(&mut self, envelopes: &[Envelope<'_>]) {
        let bytes = self.encoded(envelopes);
        self.bytes(&bytes).await;
    }

    /// The next envelope; `None` when the peer has closed.
    pub(crate) async fn hear(&mut self) -> Option<Envelope<'static>> {
        within("an envelope", self.try_hear())
            .await
            .expect("the peer speaks this wire")
    }

    async fn try_hear(&mut self) -> Result<Option<Envelope<'static>>, WireError> {
        loop {
            if !self.input.is_empty() {
                let (used, envelope) = match self.wire.decode(&self.input)? {
                    Step::Need(_) => (0, None),
                    Step::Skip(used) | Step::Ignore(used) => (used, None),
                    Step::Envelope(used, envelope) => (used, Some(envelope.into_owned())),
                };
                self.input.drain(..used);
                if envelope.is_some() {
                    return Ok(envelope);
                }
                if used > 0 {
                    continue;
                }
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(1..) => {}
                // A reset says the same as an orderly end here.
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }

    /// Reads so many bytes as they are.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count {
            let read = within("bytes", self.stream.read_buf(&mut self.input)).await;
            assert!(
                matches!(read, Ok(1..)),
                "the peer closed after {:02x?}",
                self.input
            );
        }
        self.input.drain(..count).collect()
    }

    /// Waits until the peer has closed; what it says before that does not matter.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset closes as well.
        drop(within("the peer closes", self.stream.read_to_end(&mut rest)).await);
    }

    /// Ends this side's direction only.
    pub(crate) async fn half_close(&mut self) {
        within("shutdown", self.stream.shutdown())
            .await
            .expect("it is open");
    }
}
