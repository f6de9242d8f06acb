//! Stands between client and server and counts the bytes of both ways.

use crate::Outcome;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes from client to server, and back, since [`start`].
static COUNTED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Counts from zero; returns the address to connect to instead of `server`.
///
/// # Errors
/// No port can be opened.
pub(crate) fn start(server: &str) -> Outcome<String> {
    for counter in &COUNTED {
        counter.store(0, Ordering::SeqCst);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let server = server.strip_prefix("tcp://").unwrap_or(server).to_owned();
    std::thread::spawn(move || {
        // One connection is measured; the thread ends with it.
        let Ok((client, _)) = listener.accept() else {
            return;
        };
        let Ok(server) = TcpStream::connect(server) else {
            return;
        };
        drop(join(&client, &server));
    });
    Ok(address)
}

/// Bytes from client to server, and back.
pub(crate) fn counted() -> [u64; 2] {
    [
        COUNTED[0].load(Ordering::SeqCst),
        COUNTED[1].load(Ordering::SeqCst),
    ]
}

fn join(client: &TcpStream, server: &TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    std::thread::scope(|scope| {
        scope.spawn(|| copy(client, server, &COUNTED[0]));
        copy(server, client, &COUNTED[1])
    })
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, counter: &AtomicU64) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            // The other direction ends when its reader sees this.
            return to.shutdown(Shutdown::Write);
        };
        counter.fetch_add(read as u64, Ordering::SeqCst);
        to.write_all(bytes)?;
    }
}
