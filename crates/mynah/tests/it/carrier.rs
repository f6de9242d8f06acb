//! Carriers of envelopes: what they want settled, and what they deliver that is not as it says.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use futures::{Sink, Stream};
use mynah::dialect::Side;
use mynah::prelude::*;
use mynah::protocol::{
    Cancel, CancelReason, Capabilities, Envelope, Inbound, Items, MethodName, Notification,
    Outbound, Payload, Profile, Receipt, Request, Response, Settled, StreamSide, Streams,
    Transport, TransportError, WireId,
};
use mynah::{CloseReason, Evidence, FormatId, Limits, Metadata, Router};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};

/// A carrier of which the test holds the other end.
#[derive(Debug)]
struct Script {
    profile: Profile,
    evidence: Evidence,
    broker: Broker,
}

/// The other end.
#[derive(Clone, Debug, Default)]
struct Broker(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    inbound: VecDeque<Inbound>,
    /// What was handed over, in order.
    said: Vec<Said>,
    /// Nothing is taken.
    full: bool,
    task: Option<Waker>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Result(u64),
    Error(u64, ErrorCode),
    Settled(&'static str, Settled),
    Other(&'static str),
}

use Said::{Error, Other, Result as Done, Settled as Given};

impl Broker {
    /// A peer that serves over a carrier.
    fn serve(&self, router: Router, limits: Limits) -> Peer {
        let mut capabilities = Capabilities::ALL;
        capabilities.ping = false;
        let script = Script {
            profile: Profile::new("script", FormatId::Cbor).with_capabilities(capabilities),
            evidence: Evidence::new(),
            broker: self.clone(),
        };
        let peer = Peer::over_transport(script).router(router).limits(limits);
        peer.side(Side::Accept).start().unwrap()
    }

    fn deliver(&self, envelope: Envelope<'static>, receipt: Option<&'static str>) {
        let mut books = self.0.lock().unwrap();
        books.inbound.push_back(Inbound {
            envelope,
            receipt: receipt.map(|token| Receipt::new(token, 1)),
        });
        books.wake();
    }

    fn set_full(&self, full: bool) {
        let mut books = self.0.lock().unwrap();
        books.full = full;
        books.wake();
    }

    fn said(&self) -> Vec<Said> {
        self.0.lock().unwrap().said.clone()
    }

    /// Waits until so much was said, and takes it.
    async fn next(&self, count: usize) -> Vec<Said> {
        until("it is said", || self.said().len() >= count).await;
        settle().await;
        std::mem::take(&mut self.0.lock().unwrap().said)
    }
}

impl Books {
    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

impl Transport for Script {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for Script {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let mut books = self.broker.0.lock().unwrap();
        books.task = Some(cx.waker().clone());
        match books.inbound.pop_front() {
            Some(inbound) => Poll::Ready(Some(Ok(inbound))),
            None => Poll::Pending,
        }
    }
}

impl Sink<Outbound> for Script {
    type Error = TransportError;

    fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        let mut books = self.broker.0.lock().unwrap();
        books.task = Some(cx.waker().clone());
        if books.full {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        let number = |id| match id {
            WireId::Uint(number) => number,
            _ => u64::MAX,
        };
        let said = match outbound {
            Outbound::Send(Envelope::Response(Response { id, result })) => match result {
                Ok(_) => Done(number(id)),
                Err(error) => Error(number(id), error.code()),
            },
            Outbound::Send(other) => Other(other.kind()),
            Outbound::Settle(receipt, settled) => {
                let token = receipt.into_token::<&'static str>().unwrap();
                Given(*token, settled)
            }
        };
        self.broker.0.lock().unwrap().said.push(said);
        Ok(())
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
}

fn params(bytes: &'static [u8]) -> Payload<'static> {
    Payload::owned(FormatId::Cbor, bytes.into())
}

/// `probe.pass(id)`, which ends once the gate lets it.
fn request(id: u8) -> Envelope<'static> {
    Envelope::Request(Request {
        id: WireId::Uint(u64::from(id)),
        name: MethodName::new("probe", "pass"),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::owned(FormatId::Cbor, vec![0x81, id].into()),
    })
}

/// `probe.touch("a")`.
fn notification() -> Envelope<'static> {
    Envelope::Notification(Notification {
        name: MethodName::new("probe", "touch"),
        id: None,
        metadata: Metadata::new(),
        params: params(b"\x81\x61a"),
    })
}

fn cancel(id: u64) -> Envelope<'static> {
    Envelope::Cancel(Cancel {
        id: WireId::Uint(id),
        reason: CancelReason::Caller,
    })
}

#[tokio::test]
async fn a_receipt_comes_back_behind_the_answer_of_its_call() {
    let (broker, probe) = (Broker::default(), MyProbe::new());
    let peer = broker.serve(probe.router(), Limits::new());
    broker.deliver(request(1), Some("one"));
    broker.deliver(request(2), Some("two"));
    until("both run", || probe.0.calls.alive() == 2).await;
    settle().await;
    assert_eq!(broker.said(), [], "nothing has ended");
    // Answered, and not handed over: it may still be lost.
    broker.set_full(true);
    probe.0.gate.add_permits(1);
    until("one has ended", || probe.0.calls.alive() == 1).await;
    settle().await;
    assert_eq!(broker.said(), []);
    broker.set_full(false);
    let said = broker.next(2).await;
    assert_eq!(said, [Done(1), Given("one", Settled::Done)]);
    // What was cancelled is done, too. The cancel itself is done with at once.
    broker.deliver(cancel(2), Some("cancel"));
    let mut said = broker.next(3).await;
    let first = said.remove(0);
    assert_eq!(first, Given("cancel", Settled::Done));
    assert_eq!(
        said,
        [Error(2, ErrorCode::CANCELLED), Given("two", Settled::Done)]
    );
    // One without an answer, one that nobody has, and one without a receipt.
    broker.deliver(notification(), Some("touch"));
    assert_eq!(broker.next(1).await, [Given("touch", Settled::Done)]);
    assert_eq!(probe.0.touched.lock().unwrap().as_slice(), ["a"]);
    probe.0.gate.add_permits(1);
    broker.deliver(request(3), None);
    assert_eq!(broker.next(1).await, [Done(3)]);
    assert_eq!(peer.stats(), mynah::PeerStats::default());
}

#[tokio::test]
async fn what_is_refused_goes_back_and_is_not_answered() {
    let (broker, probe) = (Broker::default(), MyProbe::new());
    let limits = Limits::new().with_calls_in_flight(1);
    let _peer = broker.serve(probe.router(), limits);
    broker.deliver(request(1), Some("one"));
    until("it runs", || probe.0.calls.alive() == 1).await;
    // Without a permit: somebody else may have it.
    broker.deliver(request(2), Some("two"));
    assert_eq!(broker.next(1).await, [Given("two", Settled::Release)]);
    broker.deliver(notification(), Some("touch"));
    assert_eq!(broker.next(1).await, [Given("touch", Settled::Release)]);
    assert!(probe.0.touched.lock().unwrap().is_empty());
    // Without a receipt there is nobody else.
    broker.deliver(request(3), None);
    assert_eq!(broker.next(1).await, [Error(3, ErrorCode::BUSY)]);
    probe.0.gate.add_permits(1);
    let said = broker.next(2).await;
    assert_eq!(said, [Done(1), Given("one", Settled::Done)]);
}

#[tokio::test]
async fn a_server_that_drains_gives_back_what_it_does_not_start() {
    let (broker, probe) = (Broker::default(), MyProbe::new());
    let server = Server::new().router(probe.router()).start().await.unwrap();
    let script = Script {
        profile: Profile::new("script", FormatId::Cbor).with_capabilities(Capabilities::NONE),
        evidence: Evidence::new(),
        broker: broker.clone(),
    };
    server.attach_transport(script).unwrap();
    broker.deliver(request(1), Some("one"));
    until("it runs", || probe.0.calls.alive() == 1).await;
    let others = async {
        settle().await;
        broker.deliver(request(2), Some("two"));
        assert_eq!(broker.next(1).await, [Given("two", Settled::Release)]);
        probe.0.gate.add_permits(1);
    };
    let hour = std::time::Duration::from_secs(3600);
    let drained = async { tokio::join!(server.drain(hour), others) };
    let (report, ()) = within("drain", drained).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(broker.said(), [Done(1), Given("one", Settled::Done)]);
}

/// What is stopped in its midst is neither done nor not started.
#[tokio::test]
async fn what_ends_with_the_connection_is_not_settled() {
    let (broker, probe) = (Broker::default(), MyProbe::new());
    let peer = broker.serve(probe.router(), Limits::new());
    broker.deliver(request(1), Some("one"));
    until("it runs", || probe.0.calls.alive() == 1).await;
    peer.close();
    within("end", peer.closed()).await;
    until("it was stopped", || probe.0.calls.alive() == 0).await;
    settle().await;
    let settled = |said: &Said| matches!(said, Given(..));
    assert!(!broker.said().iter().any(settled), "{:?}", broker.said());
}

/// A count of items that is not theirs would be credit for nothing.
#[tokio::test]
async fn items_are_as_many_as_is_said() {
    for (count, batch) in [
        (2, &b"\x00\x00\x00\x01\x07"[..]),
        (1, b""),
        (1, b"\x00\x00\x00\x02\x07"),
    ] {
        let broker = Broker::default();
        let peer = broker.serve(MyProbe::new().router(), Limits::new());
        let call = peer.client::<ProbeClient>().hang().start();
        assert_eq!(broker.next(1).await, [Other("request")]);
        broker.deliver(
            Envelope::Items(Items {
                id: WireId::Uint(1 << 16),
                stream: StreamSide::Result,
                count,
                batch: params(batch),
            }),
            None,
        );
        let reason = within("end", peer.closed()).await;
        assert!(
            matches!(
                reason,
                CloseReason::Violation(ErrorCode::PROTOCOL_VIOLATION, _)
            ),
            "{count}: {reason:?}"
        );
        drop(call);
    }
}
