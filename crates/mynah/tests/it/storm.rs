//! Two peers with everything a call can carry, over a duplex that is cut into pieces, delayed, throttled and broken.
//!
//! Everything follows from the seed: time is virtual, and one thread runs it all. `MYNAH_SEED=x` replays one storm,
//! `MYNAH_SEEDS=n` runs so many. What differs between two processes are numbers that a process counts (incidents of
//! panics), where they have more digits.

mod actors;
mod events;
mod service;
mod setup;
mod streams;
mod world;

use actors::{Actor, until_over};
use mynah::prelude::*;
use mynah::{CloseReason, PeerStats};
use mynah_testkit::{Dice, Simulation};
use setup::{Far, Finale, Sides, Storm, Way};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use world::World;

/// Waits in virtual time.
async fn eventually(world: &World, what: &str, mut done: impl FnMut() -> Result<(), String>) {
    let mut wait = 1;
    let mut left = 15;
    while let Err(why) = done() {
        if left == 0 {
            return world.wrong(format!("never: {what}: {why}"));
        }
        left -= 1;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        wait *= 3;
    }
}

fn zero(peer: &Peer) -> Result<(), String> {
    let stats = peer.stats();
    if stats == PeerStats::default() {
        return Ok(());
    }
    Err(format!("{stats:?}"))
}

/// Runs one storm. Returns what went wrong, and the digest.
async fn run(seed: u64) -> (Vec<String>, u64, String) {
    let mut dice = Dice::new(seed);
    let storm = Storm::new(seed, &mut dice);
    let dice = &mut dice;
    let world = Arc::new(World {
        crowded: storm.crowded,
        ..World::default()
    });
    let mut sides = storm.connect(dice, &world).await;
    let far = sides.far();
    let stop = Arc::new(AtomicBool::new(false));

    let mut tasks = Vec::new();
    let mut background = Vec::new();
    let both = [Some(sides.near.clone()), far.clone()];
    for (side, peer) in both.iter().enumerate() {
        for (topic, _) in events::TOPICS {
            let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
            let events = sides.events[side].clone();
            let publish = events::publish(world, events, topic, dice.fork(), stop);
            background.push(tokio::spawn(publish));
        }
        let Some(peer) = peer else { continue };
        let emit = (Arc::clone(&world), peer.clone(), dice.fork());
        let emit = events::emit(emit.0, emit.1, emit.2, Arc::clone(&stop));
        background.push(tokio::spawn(emit));
        for _ in 0..storm.actors {
            let actor = Actor {
                world: Arc::clone(&world),
                peer: peer.clone(),
                dice: dice.fork(),
                letters: storm.letters,
                items: storm.items,
                op: 0,
                panics: storm.panics,
            };
            tasks.push(tokio::spawn(actor.act(storm.ops)));
        }
        for _ in 0..dice.up_to(4) {
            let subscribe =
                events::subscribe(Arc::clone(&world), peer.clone(), dice.fork(), storm.ops);
            tasks.push(tokio::spawn(subscribe));
        }
        if dice.once_in(2) {
            let listen = events::listen(Arc::clone(&world), peer.clone(), dice.fork(), storm.ops);
            tasks.push(tokio::spawn(listen));
        }
    }
    drop(both);
    let finale = finale(&storm, &mut sides, &world, far.clone());
    let actors = async {
        for task in tasks {
            if let Err(error) = task.await {
                world.wrong(format!("a task ended with {error}"));
            }
        }
    };
    let all = async { tokio::join!(actors, finale) };
    let hour = tokio::time::sleep(Duration::from_secs(2_000));
    if until_over(all, hour).await.is_none() {
        world.wrong(format!(
            "stuck: near {:?}, far {:?}, {} alive, {:#?}",
            sides.near.stats(),
            far.as_ref().map(Peer::stats),
            world.living(),
            world.doing.lock().unwrap()
        ));
        let wrong = world.wrong.lock().unwrap().clone();
        return (wrong, world.digest(), format!("{storm:?}"));
    }
    stop.store(true, Ordering::SeqCst);
    for task in background {
        if let Err(error) = task.await {
            world.wrong(format!("a publisher ended with {error}"));
        }
    }
    epilogue(&storm, sides, &world, far).await;
    let wrong = world.wrong.lock().unwrap().clone();
    (wrong, world.digest(), format!("{storm:?}"))
}

/// What comes in the middle of everything.
async fn finale(storm: &Storm, sides: &mut Sides, world: &World, far: Option<Peer>) {
    if storm.finale == Finale::Quiet || storm.finale == Finale::Breaks {
        return;
    }
    tokio::time::sleep(Duration::from_millis(storm.finale_ms)).await;
    match (storm.finale, &mut sides.far) {
        (Finale::Closes, _) => {
            world.ended.store(true, Ordering::SeqCst);
            match far.filter(|_| storm.seed.is_multiple_of(2)) {
                Some(far) => far.close(),
                None => sides.near.close(),
            }
        }
        (Finale::Drains, Far::Server(server)) => {
            world.draining.store(true, Ordering::SeqCst);
            let grace = Duration::from_millis(storm.finale_ms % 700);
            // What is left at the end of the grace is cut.
            tokio::time::sleep(Duration::ZERO).await;
            let ended = Arc::clone(&world.ended);
            let report = tokio::join!(server.drain(grace), async move {
                tokio::time::sleep(grace.saturating_sub(Duration::from_millis(1))).await;
                ended.store(true, Ordering::SeqCst);
            });
            world.note(&format!("{:?}", report.0.is_complete()));
        }
        _ => {}
    }
}

/// Everything is done: nothing may be left.
async fn epilogue(storm: &Storm, sides: Sides, world: &Arc<World>, far: Option<Peer>) {
    let all = [Some(sides.near.clone()), far];
    for (name, peer) in ["near", "far"].iter().zip(&all) {
        let Some(peer) = peer else { continue };
        eventually(world, &format!("{name} is idle"), || zero(peer)).await;
    }
    eventually(world, "nobody is alive", || match world.living() {
        0 => Ok(()),
        left => Err(format!("{left} are left")),
    })
    .await;
    eventually(world, "nobody is subscribed", || {
        match sides.events.iter().map(events::subscribers).sum::<usize>() {
            0 => Ok(()),
            left => Err(format!("{left} are left")),
        }
    })
    .await;
    if storm.way == Way::InProcess {
        drop((sides, all));
        return no_task_left(world).await;
    }
    let over = world.is_over();
    if !over {
        // Signs of life keep it open.
        tokio::time::sleep(Duration::from_secs(1_000)).await;
    }
    let open = !world.is_over();
    for peer in all.iter().flatten() {
        world.check(!(open && peer.is_closed()), || {
            "it was closed though nobody did".to_owned()
        });
    }
    world.ended.store(true, Ordering::SeqCst);
    sides.near.close();
    for peer in all.iter().flatten() {
        let patience = tokio::time::sleep(Duration::from_secs(600));
        match until_over(peer.closed(), patience).await {
            Some(reason) => {
                let timed_out = matches!(reason, CloseReason::TimedOut(_));
                let fine = world.may_end(&reason) && (over || !timed_out);
                world.check(fine, || format!("closed: {reason:?}"));
                world.note(&reason.to_string());
            }
            None => world.wrong("it never closed".to_owned()),
        }
        eventually(world, "all is zero at the end", || zero(peer)).await;
    }
    drop((sides, all));
    no_task_left(world).await;
}

async fn no_task_left(world: &World) {
    let metrics = tokio::runtime::Handle::current().metrics();
    eventually(world, "no task is left", || {
        match metrics.num_alive_tasks() {
            0 => Ok(()),
            left => Err(format!("{left} tasks")),
        }
    })
    .await;
}

/// One storm on a thread of its own, where no buffer is left of another.
fn storm(seed: u64) -> (Vec<String>, u64, String) {
    let outcome = Simulation::new().once(seed, run);
    outcome.unwrap_or_else(|why| (vec![why], 0, String::new()))
}

/// Callbacks are numbered through the process; as many have gone by that the numbers of all that come have one length.
fn count_callbacks_up() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for _ in 0..100_000 {
            drop(Callback::<u64>::telling(drop));
        }
    });
}

#[test]
fn i1_two_peers_in_all_weathers() {
    count_callbacks_up();
    Simulation::new().seeds(30).run(async |seed| {
        let (wrong, _, storm) = run(seed).await;
        assert!(wrong.is_empty(), "{}\n  {storm}", wrong.join("\n  "));
    });
}

#[test]
fn i1_a_seed_replays() {
    count_callbacks_up();
    let calm = |seed: &u64| !Storm::new(*seed, &mut Dice::new(*seed)).panics;
    for seed in (1..).filter(calm).take(8) {
        assert_eq!(storm(seed).1, storm(seed).1, "seed {seed}");
    }
}
