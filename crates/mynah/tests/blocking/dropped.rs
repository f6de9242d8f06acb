//! The last handle of a blocking client goes: who waits for what, and who must not.

use crate::support::*;
use mynah::blocking;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// A service that blocks the thread that drives its connection, which no service may.
#[mynah::service]
trait Gate {
    async fn stand(&self) -> u64;
}

struct MyGate {
    stands: Arc<AtomicBool>,
    open: Mutex<Receiver<()>>,
}

impl Gate for MyGate {
    async fn stand(&self) -> u64 {
        self.stands.store(true, Ordering::SeqCst);
        let _open_or_gone = self.open.lock().unwrap().recv();
        1
    }
}

/// A client whose caretaker does not get on until the sender goes.
fn held_up(server: &blocking::ServerHandle) -> (blocking::Peer, Sender<()>, impl Drop) {
    let (open, gate) = channel();
    let stands = Arc::new(AtomicBool::new(false));
    let gate = MyGate {
        stands: Arc::clone(&stands),
        open: Mutex::new(gate),
    };
    let connector = mynah::connector(server.address()).unwrap();
    let connector = connector.register(GateService::new(gate));
    let peer = connector.connect_blocking().unwrap();
    // Both have said what they speak.
    let desk: Client = peer.client();
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    let here = server.peers().pop().unwrap();
    let asks: GateClient<blocking::Peer> = here.client();
    let call = asks.stand().start();
    until("it stands", || stands.load(Ordering::SeqCst));
    (peer, open, call)
}

/// Within async code nobody may be held up: what is driven there may be what the client waits for.
#[test]
fn within_async_code_nobody_waits_for_the_last_words() {
    let server = serve("tcp://127.0.0.1:0");
    let (peer, open, call) = held_up(&server);
    let dropped = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&dropped);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async move {
            tokio::spawn(async move { drop(peer) }).await.unwrap();
            done.store(true, Ordering::SeqCst);
        });
    });
    until("it is dropped", || dropped.load(Ordering::SeqCst));
    // Only now can the thread behind it go on.
    drop(open);
    thread.join().unwrap();
    drop(call);
}

/// Elsewhere it is waited for, within bounds; but not for what blocks beside the connection, a look-up of a name say.
#[test]
fn nobody_waits_for_what_blocks_beside_the_connection() {
    let server = serve("tcp://127.0.0.1:0");
    let peer = connect(&server);
    let desk: Client = peer.client();
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    let (open, gate) = channel::<()>();
    let runs = Arc::new(AtomicBool::new(false));
    let begun = Arc::clone(&runs);
    peer.wait(async move {
        drop(tokio::task::spawn_blocking(move || {
            begun.store(true, Ordering::SeqCst);
            let _open_or_gone = gate.recv();
        }));
    })
    .unwrap();
    until("it blocks", || runs.load(Ordering::SeqCst));
    let dropped = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&dropped);
    let thread = std::thread::spawn(move || {
        desk.note("last".to_owned()).wait().unwrap();
        drop((desk, peer));
        done.store(true, Ordering::SeqCst);
    });
    until("it is dropped", || dropped.load(Ordering::SeqCst));
    // What was said is said.
    let other: Client = connect(&server).client();
    until("it is heard", || other.noted().wait().unwrap() == ["last"]);
    drop(open);
    thread.join().unwrap();
}
