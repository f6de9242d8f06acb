//! Reading the answers, on a connection of its own.

use super::core::Core;
use crate::answers;
use crate::command::millis;
use crate::connect::{Connection, Pauses};
use crate::entry::{Entry, EntryId};
use mynah_codec::dialect::jsonrpc::{JsonRpc, Messages, Read};
use mynah_protocol::{Envelope, Limits};
use redis::{Cmd, RedisResult};
use std::sync::Arc;
use tokio::time::timeout;

/// The most answers of one reading.
const MOST: usize = 512;

/// Reads until it is told to end: dropping a read loses nothing, because answers are read again from the last on.
pub(super) async fn read_all(core: Arc<Core>, connection: Connection) {
    let mut messages = Messages::new(JsonRpc::clamator(), &Limits::default());
    let mut connection = Some(connection);
    let mut last = EntryId::default();
    let mut pauses = Pauses::new();
    while !core.is_closing() {
        let Some(open) = &mut connection else {
            match core.connector.open_blocking().await {
                Ok(opened) => connection = Some(opened),
                Err(error) => {
                    tracing::warn!(%error, "no connection to read answers on");
                    pauses.wait().await;
                }
            }
            continue;
        };
        match timeout(core.options.longest_read(), read(&core, open, last)).await {
            Ok(Ok(entries)) => {
                pauses.reset();
                core.set_pulse(true);
                match entries.last() {
                    Some(newest) => {
                        last = newest.id;
                        let bytes = entries.iter().map(Entry::bytes).sum();
                        core.was_read(last, entries.len(), bytes);
                        let mut all = Vec::with_capacity(entries.len());
                        for entry in &entries {
                            hear(&core, &mut messages, entry, &mut all);
                        }
                        core.hear(all);
                    }
                    None => core.delete_read(),
                }
                core.wait_for_room().await;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "answers cannot be read");
                core.set_pulse(false);
                connection = None;
                pauses.wait().await;
            }
            Err(_elapsed) => {
                tracing::warn!("redis says nothing, the connection is opened again");
                core.set_pulse(false);
                connection = None;
            }
        }
    }
}

async fn read(core: &Core, connection: &mut Connection, last: EntryId) -> RedisResult<Vec<Entry>> {
    let mut read = Cmd::with_capacity(8, 160);
    read.arg("XREAD").arg("COUNT").arg(MOST);
    read.arg("BLOCK").arg(millis(core.options.block));
    read.arg("STREAMS")
        .arg(&*core.reply_to)
        .arg(last.to_string());
    connection.entries(&read).await
}

/// What an entry says to a client.
fn hear(
    core: &Arc<Core>,
    messages: &mut Messages,
    entry: &Entry,
    all: &mut Vec<Envelope<'static>>,
) {
    let Some(several) = &entry.answers else {
        if let Some(note) = &entry.note {
            core.hear_note(note, all);
        } else if let Some(answer) = &entry.envelope {
            all.extend(answer_in(core, messages, answer));
        }
        return;
    };
    let kind = entry.note.as_ref().map(|note| &*note.kind);
    let framed = core.coding.answer().map(str::as_bytes);
    if kind.is_some() && kind != framed {
        return tracing::debug!("answers in another format");
    }
    for answer in answers::each(several) {
        match answer {
            Ok(answer) if kind.is_some() => core.hear_answer(answer, all),
            Ok(answer) => all.extend(answer_in(core, messages, answer)),
            Err(why) => tracing::debug!(why, "no answer"),
        }
    }
}

/// An answer, and nothing else.
fn answer_in(core: &Arc<Core>, messages: &mut Messages, text: &[u8]) -> Option<Envelope<'static>> {
    match messages.read(text) {
        Read::Envelope(Envelope::Response(mut response)) => {
            core.mix(&mut response.id);
            core.hear_json(response).map(Envelope::into_owned)
        }
        Read::Envelope(other) => {
            tracing::debug!(kind = other.kind(), "ignored among answers");
            None
        }
        Read::Ignored(why) | Read::Refused(_, why) => {
            tracing::debug!(why, "no answer");
            None
        }
    }
}
