//! What clients say to whichever server has their call: so far that it is not wanted any more.

use super::core::Core;
use crate::command::{self, millis};
use crate::connect::{Connection, Pauses};
use crate::entry::{self, Entry, EntryId};
use redis::{RedisResult, cmd};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The most entries of one reading.
const MOST: usize = 256;

/// How long the control stream is kept when nobody serves.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Makes the stream, and says behind which entry this server begins to read.
pub(super) async fn open(core: &Core, connection: &mut Connection) -> RedisResult<EntryId> {
    let control = core.keys.control();
    let open = command::open_control(&control, KEPT);
    let answers = command::all_well(connection.run_all(&open).await?)?;
    let id = answers.into_iter().next().and_then(entry::text);
    let id = id.and_then(|id| EntryId::parse(&id));
    Ok(id.unwrap_or_default())
}

/// Keeps the stream, and makes it again when it is gone.
pub(super) async fn keep(core: &Core, connection: &mut Connection) -> RedisResult<()> {
    let control = core.keys.control();
    let kept = connection.run(&command::expire(&control, KEPT)).await?;
    if entry::integer(kept) == Some(0) {
        open(core, connection).await?;
    }
    Ok(())
}

/// Reads until it is dropped: no entry is taken from anybody by a reading that nobody hears.
pub(super) async fn listen(core: Arc<Core>, connection: Connection, mut last: EntryId) {
    let mut connection = Some(connection);
    let mut pauses = Pauses::new();
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
                for entry in entries {
                    last = entry.id;
                    hear(&core, &entry);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "clients cannot be heard");
                connection = None;
                pauses.wait().await;
            }
            Err(_elapsed) => connection = None,
        }
    }
}

async fn read(core: &Core, connection: &mut Connection, last: EntryId) -> RedisResult<Vec<Entry>> {
    let mut read = cmd("XREAD");
    read.arg("COUNT").arg(MOST);
    read.arg("BLOCK").arg(millis(core.options.block));
    read.arg("STREAMS")
        .arg(core.keys.control())
        .arg(last.to_string());
    connection.entries(&read).await
}

fn hear(core: &Core, entry: &Entry) {
    let instance = entry.reply_to.as_deref();
    let instance = instance.and_then(|reply_to| core.keys.instance_of(reply_to));
    if let (Some(instance), Some(call)) = (instance, entry.cancel) {
        core.cancel(instance, call);
    }
}

/// Calls that were cancelled before they came here: they do not begin. Old ones are forgotten.
#[derive(Debug, Default)]
pub(super) struct Unwanted {
    calls: HashSet<(Box<str>, u64)>,
    order: VecDeque<(Box<str>, u64)>,
}

impl Unwanted {
    const MOST: usize = 1024;

    pub(super) fn add(&mut self, instance: &str, call: u64) {
        if self.order.len() >= Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.calls.remove(&oldest);
        }
        let key = (Box::from(instance), call);
        if self.calls.insert(key.clone()) {
            self.order.push_back(key);
        }
    }

    pub(super) fn has(&self, instance: &str, call: u64) -> bool {
        !self.calls.is_empty() && self.calls.contains(&(Box::from(instance), call))
    }
}
