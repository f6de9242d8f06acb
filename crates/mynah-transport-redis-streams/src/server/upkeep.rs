//! What a server does beside its calls: it renews claims, asks for the time, and ends connections that are quiet.

use super::control;
use super::core::{Core, Standing};
use super::desk::Desk;
use super::inbox;
use super::scripts;
use crate::command::millis;
use crate::connect::{Connection, Cure, Pauses, cure};
use crate::entry;
use crate::options::RedisOptions;
use crate::presence::{self, BEAT, Card, CardService};
use redis::{RedisResult, Value, cmd};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A client that has called nothing for so long is forgotten until it calls again.
const QUIET: Duration = Duration::from_secs(300);

/// The same when there are many: most of them were there for a moment, and new ones want their places.
const QUIET_IN_A_CROWD: Duration = Duration::from_secs(5);

/// How often what dead instances left is looked for.
const CLEAN_UP: Duration = Duration::from_secs(15);

/// How often claims are renewed and looked for: three times within the time after which they may be taken over.
pub(super) fn period(options: &RedisOptions) -> Duration {
    let third = options.claim_idle / 3;
    third.clamp(Duration::from_millis(20), Duration::from_secs(15))
}

/// Runs until the last call has ended.
pub(super) async fn keep_up(core: Arc<Core>, connection: Connection) {
    let mut connection = Some(connection);
    let mut beats = Beats {
        presence: Instant::now(),
        sessions: Instant::now(),
        clean_up: Instant::now(),
        started_ms: 0,
        draining: false,
    };
    let mut pauses = Pauses::new();
    while !core.has_ended() {
        let open = match &mut connection {
            Some(open) => open,
            None => match core.connector.open().await {
                Ok(opened) => connection.insert(opened),
                Err(error) => {
                    tracing::warn!(%error, "no connection to renew claims on");
                    pause(&core, &mut pauses).await;
                    continue;
                }
            },
        };
        match round(&core, &mut beats, open).await {
            Ok(()) => pauses.reset(),
            Err(error) => {
                tracing::warn!(%error, "claims cannot be renewed");
                connection = None;
                pause(&core, &mut pauses).await;
                continue;
            }
        }
        core.end_quiet(match core.is_crowded() {
            true => QUIET_IN_A_CROWD,
            false => QUIET,
        });
        let pause = period(&core.options).min(BEAT);
        match beats.draining {
            true => drop(timeout(pause, core.wait_for_end()).await),
            // Whoever chooses a server is to know it at once.
            false => drop(timeout(pause, core.wait_for_stop()).await),
        }
    }
}

/// A pause after something failed. What was fetched meanwhile has to be renewed in time all the same: it may be another
/// connection that works again first.
async fn pause(core: &Core, pauses: &mut Pauses) {
    tokio::time::sleep(pauses.next().min(period(&core.options))).await;
}

/// When what is due less often is done again.
struct Beats {
    presence: Instant,
    sessions: Instant,
    clean_up: Instant,
    started_ms: u64,
    /// It was said that this server drains.
    draining: bool,
}

async fn round(core: &Core, beats: &mut Beats, connection: &mut Connection) -> RedisResult<()> {
    let redis_ms = time(connection).await?;
    core.set_clock(redis_ms);
    if beats.started_ms == 0 {
        beats.started_ms = redis_ms;
    }
    let now = Instant::now();
    if beats.presence <= now || core.is_stopping() && !beats.draining {
        let draining = core.is_stopping();
        let standing = core.standing.lock().await;
        if *standing != Standing::Gone {
            let card = card(core, core.desks(), beats.started_ms);
            card.announce(&core.keys, redis_ms, connection).await?;
        }
        drop(standing);
        if !draining {
            control::keep(core, connection).await?;
        }
        beats.presence = now + BEAT;
        beats.draining = draining;
    }
    renew(core, connection).await?;
    if beats.sessions <= now {
        // While it drains, too: what runs still hears its clients.
        let standing = core.standing.lock().await;
        if *standing == Standing::Serves {
            inbox::keep(core, connection).await?;
        }
        drop(standing);
        core.beat_sessions();
        core.end_silent_sessions();
        beats.sessions = now + BEAT;
    }
    if beats.clean_up <= now {
        for desk in core.desks() {
            presence::clean_up(&core.keys, &desk.service, redis_ms, connection).await?;
        }
        beats.clean_up = now + CLEAN_UP;
    }
    Ok(())
}

/// What this server says of itself.
pub(super) fn card(core: &Core, desks: &[Desk], started_ms: u64) -> Card {
    let service = |desk: &Desk| CardService {
        name: desk.service.to_string(),
        contract: desk.contract.clone(),
        running: desk.runs_now(),
        concurrency: desk.concurrency(),
    };
    Card {
        instance: core.instance.clone(),
        services: desks.iter().map(service).collect(),
        started_ms,
        draining: core.is_stopping(),
    }
}

async fn renew(core: &Core, connection: &mut Connection) -> RedisResult<()> {
    for desk in core.desks() {
        let running = desk.running();
        if running.is_empty() {
            continue;
        }
        match scripts::renew(connection, desk, &running).await {
            // An entry that ends meanwhile counts as lost; so does one that somebody took while this side slept. Its
            // handler goes on, and whichever answer is first is the one that counts.
            Ok(lost) => {
                let lost = lost.iter().filter(|id| desk.runs(**id)).count();
                if lost > 0 {
                    tracing::debug!(service = %desk.service, lost, "claims were lost");
                }
            }
            Err(error) if error.code() == Some("NOGROUP") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The time at Redis, in milliseconds.
pub(super) async fn time(connection: &mut Connection) -> RedisResult<u64> {
    let Value::Array(parts) = connection.run(&cmd("TIME")).await? else {
        return Ok(0);
    };
    let mut parts = parts.into_iter().filter_map(entry::integer);
    let (seconds, micros) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    Ok(seconds.saturating_mul(1000).saturating_add(micros / 1000))
}

/// From where the group of a service is created, when it is now so late at Redis: milliseconds.
pub(super) fn early(options: &RedisOptions, redis_ms: u64) -> u64 {
    redis_ms.saturating_sub(millis(options.early_calls))
}

/// Creates the group of a service that is gone: from what was seen last, but never from ahead of the clock that Redis has
/// now. It may have come back with one that is behind.
pub(super) async fn create_group_again(
    core: &Core,
    connection: &mut Connection,
    desk: &Desk,
) -> RedisResult<()> {
    let redis_ms = time(connection).await?;
    let from = desk.seen().min(early(&core.options, redis_ms));
    create_group(connection, desk, from).await
}

/// Creates the group of a service, if it is not there. Entries older than the group are nobody's, and are let go of.
pub(super) async fn create_group(
    connection: &mut Connection,
    desk: &Desk,
    from: u64,
) -> RedisResult<()> {
    let mut create = cmd("XGROUP");
    create.arg("CREATE").arg(&*desk.stream).arg(&*desk.service);
    create.arg(from).arg("MKSTREAM");
    match connection.run(&create).await {
        Err(error) if error.code() == Some("BUSYGROUP") => return Ok(()),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let mut trim = cmd("XTRIM");
    trim.arg(&*desk.stream).arg("MINID").arg(from);
    match connection.run(&trim).await {
        // Calls are served all the same.
        Err(error) if cure(&error) == Cure::None => {
            tracing::warn!(service = %desk.service, %error, "entries older than the group stay");
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
