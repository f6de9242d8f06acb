//! Entries that were delivered and not acknowledged: taken over from whoever is gone, and given up after too many deliveries.

use super::core::Core;
use super::desk::Desk;
use super::guard::Guard;
use super::outbox::{Letter, Place, Step};
use crate::coding::{Coding, Said};
use crate::command::millis;
use crate::connect::{Connection, Raw};
use crate::entry::{self, Entry, EntryId, Pending};
use mynah_codec::dialect::jsonrpc::Read;
use mynah_protocol::{Envelope, ErrorCode, Response, RpcError};
use redis::{RedisResult, Value, cmd};
use std::time::Duration;

/// Entries of the pending list that are looked at in one turn.
pub(super) const MOST: usize = 128;

/// What was taken over.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Entries, and which delivery this is.
    pub(super) entries: Vec<(Entry, u32)>,
    /// There may be more.
    pub(super) more: bool,
}

/// Takes over what has lain too long with anybody. What runs here is never among it.
pub(super) async fn others(
    core: &Core,
    desk: &Desk,
    connection: &mut Connection,
    room: usize,
) -> RedisResult<Found> {
    let idle = core.options.claim_idle;
    let mut pending = cmd("XPENDING");
    pending.arg(&*desk.stream).arg(&*desk.service);
    pending.arg("IDLE").arg(millis(idle));
    pending.arg("-").arg("+").arg(MOST);
    let rows = Pending::of_list(connection.run(&pending).await?);
    claim(desk, connection, rows, idle, room).await
}

/// Takes what Redis has delivered to this consumer and what never arrived.
pub(super) async fn own(
    desk: &Desk,
    connection: &mut Connection,
    room: usize,
) -> RedisResult<Found> {
    let mut pending = cmd("XPENDING");
    pending.arg(&*desk.stream).arg(&*desk.service);
    pending.arg("-").arg("+").arg(desk.concurrency() + MOST);
    pending.arg(&*desk.consumer);
    let mut rows = Pending::of_list(connection.run(&pending).await?);
    rows.retain(|row| row.consumer == desk.consumer.as_bytes());
    claim(desk, connection, rows, Duration::ZERO, room).await
}

async fn claim(
    desk: &Desk,
    connection: &mut Connection,
    mut rows: Vec<Pending>,
    idle: Duration,
    room: usize,
) -> RedisResult<Found> {
    rows.retain(|row| !desk.runs(row.id));
    let more = rows.len() > room || rows.len() >= MOST;
    rows.truncate(room);
    if rows.is_empty() {
        return Ok(Found {
            entries: Vec::new(),
            more,
        });
    }
    let mut claim = cmd("XCLAIM");
    claim.arg(&*desk.stream).arg(&*desk.service);
    claim.arg(&*desk.consumer).arg(millis(idle));
    for row in &rows {
        claim.arg(row.id.to_string());
    }
    let Value::Array(claimed) = connection.run(&claim).await? else {
        return Ok(Found::default());
    };
    let gone = claimed.iter().filter(|one| **one == Value::Nil).count();
    let entries: Vec<Entry> = entry::of_list(&Raw::of(&Value::Array(claimed)));
    let missing: Vec<EntryId> = (rows.iter().map(|row| row.id))
        .filter(|id| !entries.iter().any(|entry| entry.id == *id))
        .collect();
    // Before 7.0 Redis keeps entries in the list that the stream does not have any more.
    if gone > 0 && gone == missing.len() {
        connection
            .tell_one(|add| {
                crate::command::acknowledge(add, &desk.stream, &desk.service, &missing);
            })
            .await?;
    }
    let attempt = |entry: &Entry| {
        let row = rows.iter().find(|row| row.id == entry.id);
        row.map_or(1, |row| row.deliveries.saturating_add(1))
    };
    for entry in &entries {
        if let Some(row) = rows.iter().find(|row| row.id == entry.id) {
            let from = String::from_utf8_lossy(&row.consumer);
            tracing::info!(entry = %row.id, from = %from.escape_debug(), idle_ms = row.idle_ms, "an entry is taken over");
        }
    }
    Ok(Found {
        entries: entries
            .into_iter()
            .map(|entry| {
                let attempt = attempt(&entry);
                (entry, attempt)
            })
            .collect(),
        more,
    })
}

/// Gives an entry up: it goes to the dead-letter stream, and its caller is told.
pub(super) fn bury(guard: &Guard, mut entry: Entry, attempt: u32) {
    let core = &guard.core;
    let place = Place {
        desk: guard.desk,
        id: entry.id,
    };
    let deliveries = attempt.saturating_sub(1);
    tracing::error!(entry = %entry.id, deliveries, "an entry was delivered too often, and is given up");
    let frame = entry.note.take();
    let frame = frame.filter(|note| Said::read("call", &note.kind) != Said::Other);
    let coding = frame.as_ref().map(|note| Said::read("call", &note.kind));
    let coding = match coding {
        Some(Said::In(coding)) => coding,
        _ => Coding::Json,
    };
    let reply_to = entry.reply_to.as_deref();
    if let Some(instance) = reply_to.and_then(|reply_to| core.keys.instance_of(reply_to))
        && let Some(envelope) = entry.envelope.as_deref()
    {
        let mut messages = mynah_codec::dialect::jsonrpc::Messages::new(
            mynah_codec::dialect::jsonrpc::JsonRpc::clamator(),
            &guard.limits,
        );
        if let Read::Envelope(Envelope::Request(request)) = messages.read(envelope) {
            let what = format!("the call was begun {deliveries} times and never finished");
            let error = RpcError::new(ErrorCode::INTERNAL, what);
            guard.answer(
                instance,
                coding,
                Response {
                    id: request.id,
                    result: Err(Box::new(error)),
                },
            );
        }
    }
    core.outbox.push(Step::Bury(Box::new(Letter {
        place,
        deliveries,
        envelope: entry.envelope.take().unwrap_or_default(),
        reply_to: entry.reply_to.take().unwrap_or_default(),
        frame,
    })));
}
