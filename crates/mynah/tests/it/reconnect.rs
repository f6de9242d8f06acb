//! A client that connects again by itself.

mod calls;
mod drain;
mod ends;
mod events;
mod every_frame;
mod pauses;
mod refusals;
mod tcp;

use crate::probe::ProbeClient;
use crate::support::*;
use mynah::codec::Dialect;
use mynah::dialect::{Native, Side};
use mynah::prelude::*;
use mynah::protocol::{TransportError, TransportErrorKind};
use mynah::{Backoff, Call, Limits, MethodInfo, Reconnect, ReconnectStats, Reconnecting, Router};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A place that can be dialled, and refuses while nobody is there.
#[derive(Debug)]
struct Place {
    dialled: Dialled,
    accepted: mpsc::Receiver<DuplexStream>,
}

#[derive(Clone, Debug)]
struct Dialled(Arc<DialledState>);

#[derive(Debug)]
struct DialledState {
    refuses: AtomicBool,
    at: Mutex<Vec<Instant>>,
}

impl Dialled {
    fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::SeqCst);
    }

    /// When it was dialled, since `start`.
    fn since(&self, start: Instant) -> Vec<Duration> {
        let at = self.0.at.lock().unwrap();
        at.iter().map(|at| *at - start).collect()
    }

    fn count(&self) -> usize {
        self.0.at.lock().unwrap().len()
    }
}

/// A place, and a client of it that has not started. It speaks JSON, so that its frames can be read here.
fn place(buffer: usize) -> (Place, Reconnect) {
    place_of(buffer, Native::json())
}

fn place_of(buffer: usize, dialect: impl Dialect) -> (Place, Reconnect) {
    let (sender, accepted) = mpsc::channel(64);
    let dialled = Dialled(Arc::new(DialledState {
        refuses: AtomicBool::new(false),
        at: Mutex::default(),
    }));
    let place = Place {
        dialled: dialled.clone(),
        accepted,
    };
    let dialect: Box<dyn Dialect> = Box::new(dialect);
    let reconnect = Reconnecting::open_with(move || {
        dialled.0.at.lock().unwrap().push(Instant::now());
        let refuses = dialled.0.refuses.load(Ordering::SeqCst);
        let sender = sender.clone();
        let dialect = dialect.clone_box();
        async move {
            let refused = || TransportError::new(TransportErrorKind::Refused, "nobody is there");
            if refuses {
                return Err(refused());
            }
            let (near, far) = tokio::io::duplex(buffer);
            sender.try_send(far).map_err(|_full| refused())?;
            Ok(Peer::over(near, &dialect))
        }
    });
    (place, reconnect.backoff(Backoff::new().with_seed(7)))
}

impl Place {
    /// The next connection.
    async fn accept(&mut self) -> DuplexStream {
        within("a connection", self.accepted.recv()).await.unwrap()
    }

    /// The next connection, with a server made of bytes.
    async fn raw(&mut self) -> Raw {
        let mut raw = Raw {
            stream: self.accept().await,
            read: Vec::new(),
        };
        raw.hear_greeting().await;
        raw.send(&preface(b'J')).await;
        raw.send(&frame(&serde_json::json!([HELLO, 1]), "")).await;
        raw
    }

    /// The next connection, with a server.
    async fn serve(&mut self, router: Router) -> Peer {
        let far = self.accept().await;
        over(far, &Native::new(), Side::Accept, router, Limits::new())
    }
}

impl Raw {
    /// What has arrived so far must hold no whole frame.
    async fn hears_nothing(&mut self) {
        settle().await;
        let mut next = Box::pin(self.next());
        assert!(poll_once(&mut next).await.is_pending());
    }

    /// The next frame, which must be a request.
    async fn request(&mut self) -> Frame {
        let frame = within("a request", self.next()).await.unwrap();
        assert_eq!(frame.kind(), REQUEST, "{frame:?}");
        frame
    }

    async fn result(&mut self, request: &Frame, body: &str) {
        self.say(serde_json::json!([RESULT, request.head[1]]), body)
            .await;
    }
}

fn probe(client: &Reconnecting) -> ProbeClient<Reconnecting> {
    client.client()
}

static PASS: MethodInfo = MethodInfo::new("probe", "pass", &["number"]).idempotent();

/// `pass`, if the contract said that it is idempotent.
fn pass_again(client: &Reconnecting, number: u64) -> Call<(u64,), u64, Infallible, Reconnecting> {
    Call::new(client.clone(), &PASS, (number,))
}

/// Waits until nothing is left of any call.
async fn idle(client: &Reconnecting) {
    until("nothing is left", || {
        let ReconnectStats { peer, draining, .. } = client.stats();
        peer == mynah::PeerStats::default() && draining == 0
    })
    .await;
}
