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

/// Reads until it is dropped, and deletes what was read.
pub(super) async fn listen(core: Arc<Core>, connection: Connection) {
    let mut connection = Some(connection);
    let mut pauses = Pauses::new();
    let mut last = EntryId::default();
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
        match timeout(core.options.longest_read(), read(&core, open, last)).await {
            Ok(Ok(entries)) => {
                pauses.reset();
                core.sessions.set_pulse(true);
                for entry in &entries {
                    last = entry.id;
                    if let Some(note) = &entry.note {
                        hear(&core, entry, note);
                    }
                    core.set_heard(last);
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
async fn read(core: &Core, connection: &mut Connection, last: EntryId) -> RedisResult<Vec<Entry>> {
    let inbox = core.keys.inbox(&core.instance);
    if last != EntryId::default() {
        connection.run(&command::trim_to(&inbox, last)).await?;
    }
    let mut read = cmd("XREAD");
    read.arg("COUNT").arg(MOST);
    read.arg("BLOCK").arg(millis(core.options.block));
    read.arg("STREAMS").arg(&inbox).arg(last.to_string());
    connection.entries(&read).await
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
