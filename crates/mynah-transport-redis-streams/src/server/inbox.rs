//! The inbox of a server: what clients say in sessions.

use super::core::{Core, Standing};
use crate::coding::{Coding, Said};
use crate::command::{self, millis};
use crate::connect::{Connection, Pauses};
use crate::entry::{self, Entry, EntryId};
use crate::lua::Lua;
use crate::session::{self, Note, kind};
use mynah_protocol::{Envelope, Request, WireId};
use redis::{RedisResult, Value, cmd};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The most entries of one reading.
const MOST: usize = 512;

/// How long the inbox is kept when its server is gone.
const KEPT: Duration = Duration::from_secs(30);

/// Makes an empty inbox.
pub(super) async fn open(core: &Core, connection: &mut Connection) -> RedisResult<()> {
    let inbox = core.keys.inbox(&core.instance);
    let open = command::open_inbox(&inbox, KEPT);
    command::all_well(connection.run_all(&open).await?).map(drop)
}

/// Keeps the inbox, and makes it again when it is gone.
pub(super) async fn keep(core: &Core, connection: &mut Connection) -> RedisResult<()> {
    let inbox = core.keys.inbox(&core.instance);
    let kept = connection.run(&command::expire(&inbox, KEPT)).await?;
    if entry::integer(kept) == Some(0) {
        open(core, connection).await?;
    }
    Ok(())
}

/// Takes the inbox away: nothing more can be said to this server, and Redis tells whoever tries. Answers with the calls in
/// it that came behind the last entry that was heard, each with who made it.
static LEAVE: Lua = Lua::new(
    r"
local calls, from = {}, ARGV[1]
repeat
  local left = redis.call('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', 512)
  for _, entry in ipairs(left) do
    from = entry[1]
    local note = {}
    for i = 1, #entry[2], 2 do note[entry[2][i]] = entry[2][i + 1] end
    local kind = note['mynah'] or ''
    if kind:match('^frame%+?%l*$') and note['n'] == '1' and note['from'] and note['call'] then
      calls[#calls + 1] = note['from']
      calls[#calls + 1] = note['call']
    end
  end
until #left == 0
redis.call('DEL', KEYS[1])
return calls
",
);

/// Takes the inbox away once nobody reads it any more. Calls that were left unread have not begun: their clients are told so.
pub(super) async fn leave(core: &Core, connection: &mut Connection) -> RedisResult<()> {
    let mut standing = core.standing.lock().await;
    *standing = Standing::Leaves;
    let inbox = core.keys.inbox(&core.instance);
    let calls = LEAVE
        .run(connection, inbox, &[core.heard().to_string()])
        .await?;
    drop(standing);
    // Nor has what was being taken out of it.
    for (client, call) in core.set_claiming(Vec::new()) {
        core.say_note(client, kind::REFUSED, call, 0, Vec::new());
    }
    let Value::Array(calls) = calls else {
        return Ok(());
    };
    let mut calls = calls.into_iter().filter_map(entry::text);
    while let (Some(from), Some(call)) = (calls.next(), calls.next()) {
        let call = str::from_utf8(&call)
            .ok()
            .and_then(|call| call.parse().ok());
        if let (Some(client), Some(call)) = (core.keys.instance_of(&from), call) {
            let reply_to = core.keys.replies(client).into();
            core.say_note(reply_to, kind::REFUSED, call, 0, Vec::new());
        }
    }
    Ok(())
}

/// How far the inbox was read, and up to where what was read is deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    last: EntryId,
    deleted: EntryId,
}

/// Reads until it is dropped, and deletes what was read.
pub(super) async fn listen(core: Arc<Core>, connection: Connection) {
    let mut connection = Some(connection);
    let mut pauses = Pauses::new();
    let mut position = Position::default();
    while !core.has_ended() {
        let Some(open) = &mut connection else {
            match core.connector.open_blocking().await {
                Ok(opened) => connection = Some(opened),
                Err(error) => {
                    tracing::warn!(%error, "no connection to hear clients on");
                    pauses.wait().await;
                }
            }
            continue;
        };
        match timeout(core.options.longest_read(), read(&core, open, position)).await {
            Ok(Ok(entries)) => {
                pauses.reset();
                core.sessions.set_pulse(true);
                if let Err(error) = hear_all(&core, open, &entries, &mut position).await {
                    tracing::warn!(%error, "calls cannot be taken out of the inbox");
                    connection = None;
                    pauses.wait().await;
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "clients cannot be heard");
                core.sessions.set_pulse(false);
                connection = None;
                pauses.wait().await;
            }
            Err(_elapsed) => {
                core.sessions.set_pulse(false);
                connection = None;
            }
        }
    }
}

/// What came since, and nothing of what was there before is kept.
pub(super) async fn read(
    core: &Core,
    connection: &mut Connection,
    from: Position,
) -> RedisResult<Vec<Entry>> {
    let inbox = core.keys.inbox(&core.instance);
    if from.last != from.deleted {
        connection.run(&command::trim_to(&inbox, from.last)).await?;
    }
    let mut read = cmd("XREAD");
    read.arg("COUNT").arg(MOST);
    read.arg("BLOCK").arg(millis(core.options.block));
    read.arg("STREAMS").arg(&inbox).arg(from.last.to_string());
    connection.entries(&read).await
}

/// The client that a call begins for, if an entry is the first of a session.
fn opening(core: &Core, entry: &Entry) -> Option<(Arc<str>, u64)> {
    let note = entry.note.as_ref().filter(|note| note.number == 1)?;
    let client = core.keys.instance_of(&note.from)?;
    matches!(Said::read(kind::FRAME, &note.kind), Said::In(_)).then_some(())?;
    Some((core.keys.replies(client).into(), note.call))
}

/// Hears what was read. A call begins only if it could be taken out of the inbox before: whoever has written it may have taken
/// it back meanwhile, and given it to somebody else.
pub(super) async fn hear_all(
    core: &Arc<Core>,
    connection: &mut Connection,
    entries: &[Entry],
    position: &mut Position,
) -> RedisResult<()> {
    let Some(last) = entries.last() else {
        return Ok(());
    };
    let openings = entries.iter().filter_map(|entry| {
        let (client, call) = opening(core, entry)?;
        Some((entry.id, client, call))
    });
    let openings: Vec<_> = openings.collect();
    let mut claimed = Ok(HashSet::new());
    if !openings.is_empty() {
        let calls = openings.iter();
        let calls = calls.map(|(_, client, call)| (Arc::clone(client), *call));
        core.set_claiming(calls.collect());
        let ids: Vec<EntryId> = openings.iter().map(|(id, ..)| *id).collect();
        claimed = match timeout(
            core.options.response_timeout,
            claim(core, connection, &ids, last.id),
        )
        .await
        {
            Ok(claimed) => claimed,
            Err(_elapsed) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
    }
    let mine = claimed.as_ref().ok();
    let mut openings = openings.into_iter().peekable();
    for entry in entries {
        position.last = entry.id;
        match openings.next_if(|(id, ..)| *id == entry.id) {
            // Should it be known by that number still, nobody has begun it.
            Some((id, client, call)) if mine.is_none_or(|mine| !mine.contains(&id)) => {
                core.say_note(client, kind::REFUSED, call, 0, Vec::new());
            }
            _ => {
                if let Some(note) = &entry.note {
                    hear(core, entry, note);
                }
            }
        }
        core.set_heard(position.last);
    }
    drop(core.set_claiming(Vec::new()));
    if mine.is_some_and(|mine| !mine.is_empty()) {
        position.deleted = position.last;
    }
    claimed.map(|_| ())
}

/// The same as one command, for a Cluster in which commands go one behind the other.
static CLAIM: Lua = Lua::new(
    r"
local claimed = {}
for i = 2, #ARGV do claimed[i - 1] = redis.call('XDEL', KEYS[1], ARGV[i]) end
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
return claimed
",
);

/// Takes these entries out of the inbox, and lets go of all others up to the last. Those that were there still.
async fn claim(
    core: &Core,
    connection: &mut Connection,
    ids: &[EntryId],
    last: EntryId,
) -> RedisResult<HashSet<EntryId>> {
    let inbox = core.keys.inbox(&core.instance);
    let answers = if core.connector.one_slot() {
        let mut commands = connection.commands();
        for id in ids {
            commands.add(|add| command::delete(add, &inbox, &[*id]));
        }
        commands.add_command(command::trim_to(&inbox, last));
        if core.options.wait_replicas > 0 {
            // After a failover they would stand there again, for their clients to take back.
            commands.add_command(command::wait(&core.options));
        }
        connection.tell(commands).await?
    } else {
        let ids = [last.next()].into_iter().chain(ids.iter().copied());
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        match CLAIM.run(connection, &inbox, &ids).await? {
            Value::Array(answers) => answers,
            _ => Vec::new(),
        }
    };
    let mut claimed = HashSet::with_capacity(ids.len());
    for (id, answer) in ids.iter().zip(answers) {
        match answer {
            Value::ServerError(error) => return Err(error.into()),
            Value::Int(1) => drop(claimed.insert(*id)),
            _ => {}
        }
    }
    Ok(claimed)
}

fn hear(core: &Arc<Core>, entry: &Entry, note: &Note) {
    let Some(client) = core.keys.instance_of(&note.from) else {
        return;
    };
    let reply_to: Arc<str> = core.keys.replies(client).into();
    match Said::read(kind::FRAME, &note.kind) {
        Said::In(coding) => return hear_frame(core, entry, note, coding, client, reply_to),
        Said::Unknown if note.number == 1 => {
            return core.say_note(reply_to, kind::UNSPOKEN, note.call, 0, Vec::new());
        }
        Said::Unknown | Said::Other => {}
    }
    match str::from_utf8(&note.kind) {
        Ok(kind::BEAT) => {
            let unknown = core.hear_beat(client, session::read_beat(&note.body));
            if !unknown.is_empty() {
                core.say_note(reply_to, kind::GONE, 0, 0, session::gone_body(&unknown));
            }
        }
        Ok(kind::GONE) => {
            for call in session::read_gone(&note.body) {
                core.end_session(client, call);
            }
        }
        _ => {}
    }
}

fn hear_frame(
    core: &Arc<Core>,
    entry: &Entry,
    note: &Note,
    coding: Coding,
    client: &str,
    reply_to: Arc<str>,
) {
    if core.hear_frame(client, coding, note) {
        return;
    }
    match request(core, entry, note, coding) {
        Some(request) => {
            let entry = entry.id.to_string();
            core.open_session(client, coding, &reply_to, note.call, request, &entry);
        }
        None => core.say_note(reply_to, kind::GONE, 0, 0, session::gone_body(&[note.call])),
    }
}

/// The call that a session begins with; `None` when it is none, or late.
fn request(core: &Core, entry: &Entry, note: &Note, coding: Coding) -> Option<Request<'static>> {
    if note.number != 1 || note.call == 0 {
        return None;
    }
    let envelope = core.frames.of(coding).read(&note.body).ok()??;
    let Envelope::Request(mut request) = envelope.into_owned() else {
        return None;
    };
    if request.id != WireId::Uint(note.call) {
        return None;
    }
    if let Some(timeout) = &mut request.timeout {
        // From when it was written, by the clock of Redis.
        let age = core.redis_ms().saturating_sub(entry.id.ms);
        *timeout = timeout.saturating_sub(Duration::from_millis(age));
        if timeout.is_zero() {
            return None;
        }
    }
    Some(request)
}
