//! What a seed says of its storm, and the two sides of it.

use super::events;
use super::service::{MyStorm, StormService};
use super::world::World;
use crate::support::over;
use mynah::dialect::{Native, Side};
use mynah::prelude::*;
use mynah::protocol::{Accepted, FormatId, Listener, TransportError};
use mynah::{Events, Limits, Router, ServerHandle};
use mynah_testkit::Dice;
use mynah_testkit::fault::{Cut, Faltering, PipeEnd, Weather, pipe_telling};
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

/// What carries the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Cbor,
    Json,
    Pack,
    Memory,
    InProcess,
}

/// How a storm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finale {
    /// When everything is done.
    Quiet,
    /// One side closes meanwhile.
    Closes,
    /// The line breaks meanwhile.
    Breaks,
    /// The server drains meanwhile.
    Drains,
}

/// What a seed says.
#[derive(Debug)]
pub(crate) struct Storm {
    pub(crate) seed: u64,
    pub(crate) way: Way,
    pub(crate) finale: Finale,
    pub(crate) there: Weather,
    pub(crate) back: Weather,
    pub(crate) limits: [Limits; 2],
    pub(crate) crowded: bool,
    pub(crate) panics: bool,
    pub(crate) letters: u64,
    pub(crate) items: u64,
    pub(crate) actors: u64,
    pub(crate) ops: u64,
    /// When the finale comes, in virtual time.
    pub(crate) finale_ms: u64,
    pub(crate) capacity: usize,
}

impl Storm {
    pub(crate) fn new(seed: u64, dice: &mut Dice) -> Self {
        let way = dice.pick(&[
            Way::Cbor,
            Way::Cbor,
            Way::Json,
            Way::Json,
            Way::Pack,
            Way::Pack,
            Way::Memory,
            Way::Memory,
            Way::InProcess,
        ]);
        let finale = match way {
            Way::InProcess => dice.pick(&[Finale::Quiet, Finale::Drains]),
            Way::Memory => dice.pick(&[Finale::Quiet, Finale::Closes]),
            _ => dice.pick(&[
                Finale::Quiet,
                Finale::Quiet,
                Finale::Closes,
                Finale::Breaks,
                Finale::Breaks,
                Finale::Drains,
            ]),
        };
        // What goes through in pieces of a few bytes must not be much.
        let (piece, letters, items) = dice.pick(&[
            (3, 40, 20),
            (50, 2_000, 60),
            (1_000, 20_000, 200),
            (60_000, 300_000, 300),
        ]);
        let cut_at = (finale == Finale::Breaks).then(|| 1 + dice.up_to(piece * 2_000));
        let cut = dice.pick(&[Cut::Reset, Cut::Close, Cut::Stall]);
        // Slow, but not so slow that it never gets through what is said.
        let mut weather = |cut_at| {
            let pause_in = 4 + dice.up_to(200);
            let room = 1 + piece / 8 + dice.up_to(piece * 4);
            let weather = Weather::FINE
                .with_piece(piece)
                .with_room(usize::try_from(room).unwrap())
                .with_pauses(pause_in, dice.up_to(pause_in * 2));
            match cut_at {
                Some(after) => weather.with_cut(after, cut),
                None => weather,
            }
        };
        let (there, back) = (weather(cut_at), weather(None));
        let (there, back) = if dice.once_in(2) {
            (there, back)
        } else {
            (back, there)
        };
        let crowded = dice.once_in(3);
        let stalls = finale == Finale::Breaks && cut == Cut::Stall;
        // A drain asks for a sign of life too.
        let pings = stalls || finale == Finale::Drains || dice.once_in(4);
        let limits = [(); 2].map(|()| limits(dice, crowded, pings));
        Self {
            seed,
            way,
            finale,
            there,
            back,
            limits,
            crowded,
            panics: dice.once_in(3),
            letters: dice.up_to(letters),
            items,
            actors: 1 + dice.up_to(6),
            ops: 1 + dice.up_to(12),
            finale_ms: dice.up_to(3_000),
            capacity: usize::try_from(1 + dice.up_to(64)).unwrap(),
        }
    }

    fn events(dice: &mut Dice) -> Events {
        let events = Events::new();
        events::declare(&events, dice);
        events
    }
}

fn limits(dice: &mut Dice, crowded: bool, pings: bool) -> Limits {
    let mut limits = Limits::new()
        .with_stream_items(dice.pick(&[1, 2, 7, 64, 65_536]))
        .with_stream_bytes(dice.pick(&[1, 100, 5_000, 256 << 10]))
        .with_output_high_water_bytes(dice.pick(&[0, 1_000, 64 << 10, 4 << 20]))
        .with_side_messages(dice.pick(&[1, 8, 256]))
        // No breach is forgiven: none may happen.
        .with_violation_budget(0);
    if crowded {
        limits = limits
            .with_calls_in_flight(dice.pick(&[1, 4, 1024]))
            .with_outgoing_calls(dice.pick(&[2, 8, 65_536]))
            .with_callbacks(dice.pick(&[1, 1024]))
            .with_subscriptions(dice.pick(&[1, 1024]));
    }
    if pings {
        // A sign of life that is asked for counts as half a breach.
        limits = limits.with_violation_budget(1);
        let keep_alive = Some(Duration::from_secs(60));
        limits = limits.with_keep_alive(keep_alive);
    }
    limits
}

/// Both sides, connected.
pub(crate) struct Sides {
    pub(crate) near: Peer,
    pub(crate) far: Far,
    pub(crate) events: [Events; 2],
}

pub(crate) enum Far {
    Peer(Peer),
    Server(ServerHandle),
}

/// Accepts one connection that is open already.
struct One(Option<PipeEnd>);

impl Listener for One {
    type Connection = PipeEnd;

    fn poll_accept(
        &mut self,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Accepted<PipeEnd>, TransportError>>> {
        let Some(connection) = self.0.take() else {
            return Poll::Pending;
        };
        let evidence = mynah::Evidence::new();
        Poll::Ready(Some(Ok(Accepted {
            connection,
            evidence,
        })))
    }

    fn address(&self) -> String {
        "storm".to_owned()
    }
}

impl Storm {
    pub(crate) async fn connect(&self, dice: &mut Dice, world: &Arc<World>) -> Sides {
        let events = [(); 2].map(|()| Self::events(dice));
        let router = |side: usize| {
            Router::new()
                .register(StormService::new(MyStorm(Arc::clone(world))))
                .with_events(events[side].clone())
        };
        let [near_limits, far_limits] = self.limits.clone();
        let (near, far) = match self.way {
            Way::InProcess => {
                let name = format!("storm-{:?}-{}", std::thread::current().id(), self.seed);
                let server = Server::new().router(router(1)).limits(far_limits);
                let server = server.listen_in_process(&name).start().await.unwrap();
                let default = Some(Duration::from_secs(30));
                let near = Peer::named_with(&name, router(0), &near_limits, default).unwrap();
                (near.unwrap(), Far::Server(server))
            }
            Way::Memory => {
                let format = dice.pick(&[FormatId::Cbor, FormatId::Json, FormatId::MessagePack]);
                let options = mynah::memory::MemoryOptions::default()
                    .with_capacity(self.capacity)
                    .with_format(format);
                let (near, far) = mynah::memory::pair_with(&options);
                let [near, far] = [near, far].map(|end| Faltering::new(end, dice, &self.there));
                let far = Peer::over_transport(far)
                    .router(router(1))
                    .limits(far_limits)
                    .side(Side::Accept);
                let near = Peer::over_transport(near)
                    .router(router(0))
                    .limits(near_limits);
                (near.start().unwrap(), Far::Peer(far.start().unwrap()))
            }
            Way::Cbor | Way::Json | Way::Pack => {
                let native = match self.way {
                    Way::Json => Native::json(),
                    Way::Pack => Native::messagepack(),
                    _ => Native::new(),
                };
                let (near, far) = pipe_telling(dice, &self.there, &self.back, &world.ended);
                let far = if self.finale == Finale::Drains {
                    let server = Server::new().router(router(1)).limits(far_limits);
                    let server = server.listen_on(One(Some(far)), native);
                    let server = server.start().await.unwrap();
                    while server.peers().is_empty() {
                        tokio::task::yield_now().await;
                    }
                    Far::Server(server)
                } else {
                    let side = Side::Accept;
                    Far::Peer(over(far, &native, side, router(1), far_limits))
                };
                let near = over(near, &native, Side::Dial, router(0), near_limits);
                (near, far)
            }
        };
        Sides { near, far, events }
    }
}

impl Sides {
    /// The far side's handle to the near one.
    pub(crate) fn far(&self) -> Option<Peer> {
        match &self.far {
            Far::Peer(peer) => Some(peer.clone()),
            Far::Server(server) => server.peers().pop(),
        }
    }
}
