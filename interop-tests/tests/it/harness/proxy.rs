//! A proxy that writes down what each side said.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

type Tape = Arc<Mutex<Vec<u8>>>;

/// Stands between a client and a server for one connection.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Where the client connects to.
    pub(crate) port: u16,
    from_client: Tape,
    from_server: Tape,
}

impl Recorder {
    /// A proxy to a port on the loopback.
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let recorder = Self {
            port,
            from_client: Tape::default(),
            from_server: Tape::default(),
        };
        let (up, down) = (
            Arc::clone(&recorder.from_client),
            Arc::clone(&recorder.from_server),
        );
        tokio::spawn(async move {
            let Ok((client, _)) = listener.accept().await else {
                return;
            };
            let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
                return;
            };
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::spawn(copy(client_read, server_write, up));
            tokio::spawn(copy(server_read, client_write, down));
        });
        recorder
    }

    /// What the client has said so far.
    pub(crate) fn client_said(&self) -> Vec<u8> {
        self.from_client.lock().expect("no panic inside").clone()
    }

    /// What the server has said so far.
    pub(crate) fn server_said(&self) -> Vec<u8> {
        self.from_server.lock().expect("no panic inside").clone()
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, tape: Tape) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        tape.lock()
            .expect("no panic inside")
            .extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The end of one direction is passed on as such. A peer that is gone already needs no word of it.
    drop(to.shutdown().await);
}
