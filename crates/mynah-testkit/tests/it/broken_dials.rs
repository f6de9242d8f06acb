//! Listeners and dialers that are broken in one way each.

use crate::caught::{HANGS, caught, outcome};
use async_trait::async_trait;
use mynah::protocol::{Accepted, Dialer, Listener, TransportError, TransportErrorKind};
use mynah::{Evidence, EvidenceKey};
use mynah_testkit::transport::ByteTransport;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The address names no transport.
    NoScheme,
    /// Who dials while nobody accepts is refused.
    NeedsAccept,
    /// Whoever stops to wait loses a connection.
    LosesWhenDropped,
    /// A dial that is dropped leaves its connection open.
    LeavesOpen,
    /// One of many is dead.
    OneIsDead,
    /// Somebody else takes the connection.
    AnybodyListens,
}

struct Place {
    queue: mpsc::Receiver<DuplexStream>,
    shared: Arc<Shared>,
    stale: usize,
}

struct Shared {
    fault: Fault,
    sender: mpsc::Sender<DuplexStream>,
    waits: AtomicBool,
    dialled: AtomicUsize,
    open: Mutex<Vec<DuplexStream>>,
    gone: AtomicBool,
}

#[derive(Clone)]
struct Caller(Arc<Shared>);

fn evidence() -> Evidence {
    Evidence::new().with(EvidenceKey::TRANSPORT, "place")
}

fn transport(fault: Fault) -> ByteTransport {
    ByteTransport::dialled("broken", move || async move {
        let (sender, queue) = mpsc::channel(64);
        let shared = Arc::new(Shared {
            fault,
            sender,
            waits: AtomicBool::new(false),
            dialled: AtomicUsize::new(0),
            open: Mutex::default(),
            gone: AtomicBool::new(false),
        });
        let place = Place {
            queue,
            shared: Arc::clone(&shared),
            stale: 0,
        };
        Ok::<_, TransportError>((place, Caller(shared)))
    })
}

impl Listener for Place {
    type Connection = DuplexStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<DuplexStream>, TransportError>>> {
        self.shared.waits.store(true, Ordering::SeqCst);
        if self.shared.fault == Fault::LosesWhenDropped {
            self.stale += 1;
        }
        let connection = loop {
            let next = ready!(self.queue.poll_recv(cx));
            if self.stale < 3 {
                break next;
            }
            self.stale = 0;
        };
        self.stale = 0;
        Poll::Ready(connection.map(|connection| {
            Ok(Accepted {
                connection,
                evidence: evidence(),
            })
        }))
    }

    fn address(&self) -> String {
        match self.shared.fault {
            Fault::NoScheme => "over there".to_owned(),
            _ => "place:1".to_owned(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Dialer for Caller {
    type Connection = DuplexStream;

    async fn dial(&self) -> Result<Accepted<DuplexStream>, TransportError> {
        let shared = &self.0;
        let refused = || TransportError::new(TransportErrorKind::Refused, "nobody is there");
        let gone = shared.gone.load(Ordering::SeqCst);
        if gone && shared.fault != Fault::AnybodyListens {
            return Err(refused());
        }
        if shared.fault == Fault::NeedsAccept && !shared.waits.load(Ordering::SeqCst) {
            return Err(refused());
        }
        let (near, mut far) = tokio::io::duplex(1024);
        let number = shared.dialled.fetch_add(1, Ordering::SeqCst);
        if shared.fault == Fault::OneIsDead && number == 7 {
            far = tokio::io::duplex(1).0;
        }
        let sent = shared.sender.try_send(far);
        if sent.is_err() && !gone {
            return Err(refused());
        }
        if shared.fault == Fault::LeavesOpen {
            // Out of the future's hands while it waits.
            shared.open.lock().unwrap().push(near);
            tokio::task::yield_now().await;
            let near = shared.open.lock().unwrap().pop().unwrap();
            return Ok(accepted(near));
        }
        tokio::task::yield_now().await;
        Ok(accepted(near))
    }
}

fn accepted(connection: DuplexStream) -> Accepted<DuplexStream> {
    Accepted {
        connection,
        evidence: evidence(),
    }
}

#[tokio::test(start_paused = true)]
async fn each_is_caught_by_the_case_that_is_meant_for_it() {
    for (fault, case, says) in [
        (Fault::NoScheme, "address", "is no address of place"),
        (Fault::NeedsAccept, "dial_before_accept", "nobody is there"),
        (Fault::LosesWhenDropped, "accept_dropped", HANGS),
        (Fault::LeavesOpen, "dial_dropped", HANGS),
        (Fault::OneIsDead, "many_dials", "write one byte"),
        (Fault::AnybodyListens, "nobody_listens", "a dial succeeds"),
    ] {
        let sound = transport(Fault::None);
        let passed = outcome(sound.check(case)).await;
        assert!(matches!(passed, Some(Ok(_))), "{case}: {passed:?}");
        let broken = transport(fault);
        caught(&format!("{fault:?} in {case}"), broken.check(case), says).await;
    }
}
