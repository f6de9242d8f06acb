//! Writing the calls: all that wait at once.

use super::core::{Batch, Core, Queued, Said};
use super::route::route;
use super::served::Directory;
use crate::command;
use crate::connect::{Commands, Connection, Cure, Pauses, cure};
use crate::entry;
use crate::presence::BEAT;
use crate::session::{self, Written, kind};
use mynah_protocol::{DeliveryStatus, ErrorCode, Undelivered};
use redis::{Pipeline, RedisError, RedisResult, Value, cmd};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long the last words of a client may take.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// How long nothing is written after Redis has refused what may pass, because it loads or has no room.
const AGAIN: Duration = Duration::from_millis(100);

/// How long servers that lost Redis as well have to say that they are alive: until their next beat, and to connect again.
const RETURN: Duration = BEAT.saturating_add(Duration::from_secs(2));

/// Writes until the client is closed, and leaves nothing behind.
pub(super) async fn write_all(core: Arc<Core>, connection: Connection, reading: JoinHandle<()>) {
    let mut connection = Some(connection);
    let mut pauses = Pauses::new();
    let mut served = Directory::default();
    let mut expires = Instant::now();
    let mut closing_since = None;
    // When servers have had time to come back, too.
    let mut back_at = Instant::now();
    // Used again each time.
    let mut room = Vec::new();
    loop {
        let mut batch = core.take_batch(std::mem::take(&mut room));
        if batch.calls.is_empty() && batch.read.is_none() {
            if batch.closing {
                break;
            }
            core.writable.notified().await;
            continue;
        }
        let now = Instant::now();
        // A client that closes does not try for ever to say what Redis does not take.
        if batch.closing && *closing_since.get_or_insert(now) + LAST_WORDS < now {
            break;
        }
        // Nobody waits for these any more.
        batch.calls.retain(|queued| {
            // The first frame of a session that was ended before it was written.
            let ended = matches!(&queued.said, Said::Note(_, first) if first.number == 1 && !core.has_session(first.call));
            let alive = !ended && queued.until.is_none_or(|until| until > now);
            if let (false, Some(id)) = (alive, &queued.id) {
                core.was_not_written(id);
            }
            alive
        });
        let open = match &mut connection {
            Some(open) => open,
            None => match reconnect(&core).await {
                Ok(opened) => {
                    core.set_connected();
                    back_at = Instant::now() + RETURN;
                    served.doubt_until(back_at);
                    core.wait_for_servers(back_at);
                    connection.insert(opened)
                }
                Err(error) => {
                    let closing = batch.closing;
                    core.put_back(batch);
                    if closing {
                        break;
                    }
                    tracing::warn!(%error, "no connection to write calls on");
                    pauses.wait().await;
                    continue;
                }
            },
        };
        if Instant::now() < back_at {
            batch.calls.retain(|queued| {
                let Said::TakeBack(_, number, entry) = queued.said else {
                    return true;
                };
                core.was_not_asked(number, entry);
                false
            });
        }
        let routed = match served.sift(&core, open, &mut batch).await {
            Ok(()) => route(&core, &mut served, open, &mut batch).await,
            lost => lost,
        };
        // Nothing of it was written.
        if let Err(error) = routed {
            tracing::warn!(%error, "it cannot be seen who serves");
            connection = None;
            core.put_back(batch);
            pauses.wait().await;
            continue;
        }
        match write(&core, open, &batch, &mut expires).await {
            Ok(answers) => {
                let outcome = answered(&core, &mut batch, answers);
                room = batch.calls;
                if outcome.elsewhere {
                    // It is no primary any more, or never was: who is will be asked for.
                    connection = None;
                }
                // Nor is it asked again and again where that stays so.
                match (outcome.elsewhere, outcome.again) {
                    (true, _) => pauses.wait().await,
                    // Others wait as long.
                    (false, true) => sleep(AGAIN).await,
                    (false, false) => pauses.reset(),
                }
            }
            Err(error) => {
                core.keep_read(batch.read);
                // Whether they were written nobody knows: an answer may come, or their time will be over.
                let doubtful = batch.calls.iter().filter_map(|queued| queued.id.clone());
                core.report(doubtful, DeliveryStatus::Doubtful);
                for queued in &batch.calls {
                    if let Said::TakeBack(_, number, entry) = queued.said {
                        core.was_not_asked(number, entry);
                    }
                }
                let calls = batch.calls.len();
                core.write_again(batch.calls);
                tracing::warn!(%error, calls, "calls may not have been written");
                connection = None;
                pauses.wait().await;
            }
        }
    }
    reading.abort();
    if let Some(open) = &mut connection {
        drop(timeout(LAST_WORDS, leave(&core, open)).await);
    }
    core.set_closed();
}

/// Leaves nothing behind. A server of clamator that answers late would make the stream again, without an end: then what is
/// left is an empty stream that expires.
async fn leave(core: &Core, connection: &mut Connection) -> RedisResult<()> {
    for (inbox, sessions) in core.session_beats() {
        let calls: Vec<u64> = sessions.into_iter().map(|(call, _)| call).collect();
        for calls in calls.chunks(session::MOST_IN_BEAT) {
            let gone = Written {
                kind: kind::GONE,
                call: 0,
                number: 0,
                body: session::gone_body(calls),
            };
            connection
                .tell_one(|add| command::to_server(add, &inbox, &core.reply_to, &gone))
                .await?;
        }
    }
    if !core.awaits_answers() && !core.offers.has_notes() {
        let mut delete = cmd("DEL");
        delete.arg(&*core.reply_to);
        connection.run(&delete).await?;
        return Ok(());
    }
    // In one step: whoever closes may be killed.
    let mut empty = Pipeline::with_capacity(2);
    empty.atomic().cmd("XADD").arg(&*core.reply_to);
    empty.arg("MAXLEN").arg(0).arg("*").arg("type").arg("end");
    empty.add_command(command::expire(&core.reply_to, core.options.reply_ttl));
    command::all_well(connection.run_all(&empty).await?).map(drop)
}

async fn reconnect(core: &Core) -> RedisResult<Connection> {
    core.connector.open().await
}

async fn write(
    core: &Core,
    connection: &mut Connection,
    batch: &Batch,
    expires: &mut Instant,
) -> RedisResult<Vec<Value>> {
    let mut commands = connection.commands();
    let now = Instant::now();
    for queued in &batch.calls {
        if matches!(&queued.said, Said::Note(_, first) if first.number == 1) {
            // Where it stands, so that it can be taken back.
            commands.with_texts();
        }
        add(core, queued, now, &mut commands);
    }
    if let Some(last) = batch.read {
        commands.add_command(command::trim_to(&core.reply_to, last));
        // Servers of clamator do not let it expire.
        if *expires <= now {
            let ttl = core.options.reply_ttl;
            commands.add_command(command::expire(&core.reply_to, ttl));
            *expires = now + ttl / 4;
        }
    }
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    if core.options.wait_replicas > 0 && !batch.calls.is_empty() {
        commands.add_command(command::wait(&core.options));
    }
    connection.tell(commands).await
}

/// How something is written now. Its caller waits for no longer than before, however long it was not written.
pub(super) fn add(core: &Core, queued: &Queued, now: Instant, commands: &mut Commands) {
    match &queued.said {
        Said::Call(call) => {
            let left = queued
                .until
                .map(|until| until.saturating_duration_since(now));
            commands.add(|add| call.add(add, left, queued.unserved));
        }
        Said::Cancel(number) => {
            let cancel = command::cancel(&core.keys.control(), &core.reply_to, *number);
            commands.add_command(cancel);
        }
        Said::Note(inbox, written) => {
            commands.add(|add| command::to_server(add, inbox, &core.reply_to, written));
        }
        Said::Event(said) => commands.add_command(core.event(said)),
        Said::TakeBack(inbox, _, entry) => {
            commands.add(|add| command::delete(add, inbox, &[*entry]));
        }
        // All of them have been given to somebody.
        Said::Open(_) => commands.add_command(cmd("PING")),
    }
}

/// The inbox that something was for is gone, and its server with it. `lost`: inboxes whose sessions are to end once all that
/// was not written is with somebody else.
fn not_there(core: &Core, said: &Said, lost: &mut Vec<Arc<str>>) {
    match said {
        Said::Note(_, first) if first.number == 1 => core.was_not_taken(first.call),
        Said::Note(inbox, _) => lost.extend((!lost.contains(inbox)).then(|| Arc::clone(inbox))),
        _ => {}
    }
}

/// What is to be done once Redis has answered.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Something is to be written again, after a while.
    pub(super) again: bool,
    /// Redis says that it is not the one to write to.
    pub(super) elsewhere: bool,
}

/// Calls that Redis refused end.
pub(super) fn answered(core: &Core, batch: &mut Batch, mut answers: Vec<Value>) -> Outcome {
    let mut doubtful = false;
    let mut elsewhere = false;
    let mut again = Vec::new();
    if core.options.wait_replicas > 0 && !batch.calls.is_empty() {
        let replicas = answers.pop().and_then(entry::integer);
        // A failover may lose them.
        doubtful = replicas.unwrap_or(0) < u64::from(core.options.wait_replicas);
    }
    let mut lost = Vec::new();
    for (queued, answer) in batch.calls.drain(..).zip(answers) {
        let Value::ServerError(error) = answer else {
            match &queued.said {
                Said::TakeBack(_, number, _) if answer == Value::Int(1) => {
                    core.was_taken_back(*number);
                }
                Said::Note(_, first) if first.number == 1 => core.was_put(first.call, &answer),
                _ => {}
            }
            match queued.id {
                _ if answer == Value::Nil => not_there(core, &queued.said, &mut lost),
                Some(id) if doubtful => core.report([id], DeliveryStatus::Doubtful),
                // A call that was routed more than once may have been told with an earlier frame.
                Some(id) if queued.told || matches!(queued.said, Said::Note(..)) => {
                    core.report([id], DeliveryStatus::Written);
                }
                _ => {}
            }
            continue;
        };
        let error = RedisError::from(error);
        tracing::warn!(%error, "a call was not written");
        elsewhere |= cure(&error) == Cure::Reconnect;
        let passes = matches!(cure(&error), Cure::Wait | Cure::Reconnect);
        match &queued.said {
            Said::Event(..) if passes => {
                again.push(queued);
                continue;
            }
            Said::Event(..) => continue,
            // Heard once however often it is written. One behind it that was written all the same is a gap: its server says so.
            Said::Note(_, note) if passes && note.number > 1 => {
                if core.has_session(note.call) {
                    again.push(queued);
                }
                continue;
            }
            Said::TakeBack(_, number, entry) => {
                if passes {
                    core.was_not_asked(*number, *entry);
                }
                continue;
            }
            _ => {}
        }
        if let Said::Note(_, note) = &queued.said {
            // What was to be said in a session is missing now.
            match note.number {
                0 => {}
                1 => core.lose_session(note.call, Undelivered::Busy),
                _ => core.lose_session(note.call, Undelivered::PeerGone),
            }
            continue;
        }
        let Some(id) = queued.id else { continue };
        // What may work after a while may be tried again by whoever made the call.
        if passes {
            core.report([id], DeliveryStatus::Failed(Undelivered::Busy));
            continue;
        }
        let what = format!("redis did not take the call: {}", error.category());
        core.fail(id, ErrorCode::UNSUPPORTED, what);
    }
    for inbox in lost {
        core.lost_inbox(&inbox);
    }
    let outcome = Outcome {
        again: !again.is_empty(),
        elsewhere,
    };
    core.write_again(again);
    outcome
}
