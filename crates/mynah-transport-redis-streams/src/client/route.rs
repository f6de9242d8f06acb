//! Which server a call with streams or callbacks goes to.

use super::core::{Batch, Core, Queued, Said};
use super::formats::UNSPOKEN;
use super::served::Directory;
use super::table::Candidate;
use crate::connect::{Connection, Cure, cure};
use crate::presence::{self, Living, Served};
use mynah_protocol::{ErrorCode, Undelivered};
use redis::RedisResult;
use std::sync::Arc;

/// Chooses a server for each such call of a batch. What cannot go to anybody now leaves the batch: it has ended, or waits.
pub(super) async fn route(
    core: &Arc<Core>,
    directory: &mut Directory,
    connection: &mut Connection,
    batch: &mut Batch,
) -> RedisResult<()> {
    let opened = |queued: &&Queued| matches!(queued.said, Said::Open(_));
    let mut services = batch.calls.iter().filter(opened).peekable();
    if services.peek().is_none() {
        return Ok(());
    }
    let services = services.map(|queued| &*queued.service);
    directory.look_for(core, services, connection).await?;
    let calls = std::mem::take(&mut batch.calls).into_iter();
    let mut calls = std::collections::VecDeque::from_iter(calls);
    while let Some(mut queued) = calls.pop_front() {
        let Said::Open(call) = queued.said else {
            batch.calls.push(queued);
            continue;
        };
        match choose(core, directory, connection, call).await {
            Ok(Some(server)) => {
                if let Some((inbox, written)) = core.begin_session(call, server) {
                    queued.said = Said::Note(inbox, written);
                    batch.calls.push(queued);
                }
            }
            // It has ended, or comes again.
            Ok(None) => {
                if let Some(id) = &queued.id {
                    core.was_not_written(id);
                }
            }
            // To ask again would not help, and others must not wait for it.
            Err(error) if !matches!(cure(&error), Cure::Reconnect | Cure::Wait) => {
                let what = format!("it cannot be seen who serves: {}", error.category());
                core.refuse_session(call, ErrorCode::UNSUPPORTED, what);
            }
            Err(error) => {
                batch.calls.push(queued);
                batch.calls.extend(calls);
                return Err(error);
            }
        }
    }
    Ok(())
}

async fn choose(
    core: &Arc<Core>,
    directory: &mut Directory,
    connection: &mut Connection,
    call: u64,
) -> RedisResult<Option<Candidate>> {
    let Some(wanted) = core.to_route(call) else {
        return Ok(None);
    };
    let service = &*wanted.service;
    let living = directory.living(core, service, connection).await?;
    if living.is_empty() {
        if directory.doubts() {
            core.try_later(call);
            return Ok(None);
        }
        match presence::look(&core.keys, service, connection).await? {
            // Servers of clamator may be there, and none of ours.
            Served::Maybe => core.fail_session(call, Undelivered::Unsupported(wanted.needs)),
            Served::ByNobody => {
                let what = format!("nobody serves {service} now");
                core.refuse_session(call, ErrorCode::NO_SERVERS, what);
            }
        }
        return Ok(None);
    }
    directory.ask(core, &living, connection).await?;
    let speaks = |server: &&Living| {
        directory.abilities(&server.instance).speaks(core.coding)
            && !wanted.deaf.contains(&server.instance)
    };
    let able: Vec<&Living> = living.iter().filter(speaks).collect();
    if able.is_empty() {
        match directory.doubts() {
            true => core.try_later(call),
            false => core.fail_session(call, Undelivered::Unsupported(UNSPOKEN)),
        }
        return Ok(None);
    }
    let is_untried = |server: &&Living| !wanted.tried.contains(&server.instance);
    let untried = able.into_iter().filter(is_untried);
    // Whoever has the fewest of this client's; those with as many by chance.
    if let Some(server) = core.least_loaded(untried) {
        return Ok(Some(Candidate {
            server: Arc::clone(&server.instance),
            until_ms: server.until_ms,
            claims: directory.abilities(&server.instance).claims,
        }));
    }
    directory.forget(service);
    match wanted.is_late {
        true => core.fail_session(call, Undelivered::Busy),
        false => core.try_later(call),
    }
    Ok(None)
}
