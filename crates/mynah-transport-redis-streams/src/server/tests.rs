//! Tests of the server's parts without Redis.

use super::core::Core;
use super::outbox::{Place, Step};
use super::remote::Manner;
use crate::coding::Coding;
use crate::connect::Connector;
use crate::entry::EntryId;
use crate::keys::Keys;
use crate::options::RedisOptions;
use mynah_codec::dialect::jsonrpc::{JsonRpc, Messages, Read};
use mynah_protocol::{Envelope, Limits, WireId};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

const PLACE: Place = Place {
    desk: 0,
    id: EntryId { ms: 1, number: 0 },
};

const MANNER: Manner = Manner {
    coding: Coding::Json,
    sides: false,
};

fn core() -> Arc<Core> {
    let options = RedisOptions::new("redis://127.0.0.1:1/0");
    let connector = Connector::new(&options).unwrap();
    Arc::new(Core::new(
        options,
        connector,
        Keys::new("app"),
        "own".to_owned(),
    ))
}

fn call(id: u64) -> Envelope<'static> {
    let text = br#"{"jsonrpc":"2.0","method":"arith.add","params":{},"id":"x"}"#;
    let mut messages = Messages::new(JsonRpc::clamator(), &Limits::default());
    let Read::Envelope(Envelope::Request(mut request)) = messages.read(text) else {
        panic!("a call is read");
    };
    request.id = WireId::Uint(id);
    Envelope::Request(request).into_owned()
}

fn nobody_has_arrived(core: &Core) -> bool {
    core.poll_arrived(&Context::from_waker(Waker::noop()))
        .is_pending()
}

#[test]
fn a_call_that_was_cancelled_before_it_is_handed_on_does_not_begin() {
    let core = core();
    core.cancel("c", 7);
    core.deliver("c", call(7), PLACE, 1, None, MANNER);
    let steps = core.outbox.take();
    assert!(
        matches!(&*steps, [Step::Done(place)] if *place == PLACE),
        "{steps:?}"
    );
    assert!(nobody_has_arrived(&core));
    core.deliver("c", call(8), PLACE, 1, None, MANNER);
    assert!(!nobody_has_arrived(&core));
}

#[test]
fn a_client_that_comes_when_the_server_stops_is_left_to_others() {
    let core = core();
    core.stop();
    core.deliver("c", call(7), PLACE, 3, None, MANNER);
    let steps = core.outbox.take();
    assert!(
        matches!(&*steps, [Step::Release { place, attempts: 2 }] if *place == PLACE),
        "{steps:?}"
    );
    assert!(nobody_has_arrived(&core));
}

#[test]
fn many_clients_are_a_crowd_until_the_quiet_ones_are_gone() {
    let core = core();
    let limits = Limits::default().with_connections(4);
    core.limits.set(limits).unwrap();
    core.deliver("a", call(1), PLACE, 1, None, MANNER);
    assert!(!core.is_crowded());
    core.deliver("b", call(1), PLACE, 1, None, MANNER);
    assert!(core.is_crowded());
    // What has calls that run is not quiet.
    core.end_quiet(Duration::ZERO);
    assert!(core.is_crowded());
    drop(core.take_arrived());
    assert!(!core.is_crowded());
}
