//! Writing answers and acknowledgements: all that wait at once, each acknowledgement behind its answer.

use super::answers::add_answers;
use super::core::Core;
use super::desk::Desk;
use super::outbox::{Letter, Place, Sealing, Step};
use super::scripts;
use crate::command;
use crate::connect::{Commands, Connection, Cure, Pauses, cure};
use crate::entry::{self, EntryId, field};
use crate::events::{KEPT_MS, PUBLISH};
use redis::{RedisResult, Value, cmd};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How long a server that stops tries to write what is left while Redis does not answer.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(3);

/// Writes until everything is settled and nothing more can come.
pub(super) async fn write_all(core: Arc<Core>, connection: Connection) {
    let mut writer = Writer {
        one_step: core.connector.one_slot(),
        core,
        connection: Some(connection),
    };
    let core = Arc::clone(&writer.core);
    // Used again each time.
    let mut steps = Vec::new();
    loop {
        let filled = core.outbox.filled.notified();
        core.outbox.take(&mut steps);
        if steps.is_empty() {
            let mut filled = std::pin::pin!(filled);
            let mut ended = std::pin::pin!(core.wait_for_end());
            let more = std::future::poll_fn(|cx| match filled.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => ended.as_mut().poll(cx).map(|()| false),
            });
            if more.await {
                continue;
            }
            return;
        }
        let given_up = !writer.write(&steps).await;
        writer.settle(&steps);
        core.outbox.written(&steps);
        steps.clear();
        if given_up {
            tracing::error!("redis did not take what was left when the server stopped");
            core.give_up();
            return;
        }
    }
}

struct Writer {
    core: Arc<Core>,
    connection: Option<Connection>,
    /// Whether answers and acknowledgements may be one transaction.
    one_step: bool,
}

impl Writer {
    /// Writes all of it, however long that takes. `false`: it was given up, because the server stops.
    async fn write(&mut self, steps: &[Step]) -> bool {
        let mut pauses = Pauses::new();
        let mut failing_since: Option<Instant> = None;
        loop {
            let error = match self.attempt(steps).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            let since = *failing_since.get_or_insert_with(Instant::now);
            tracing::warn!(%error, steps = steps.len(), "answers cannot be written yet");
            if cure(&error) == Cure::Reconnect {
                self.connection = None;
            }
            if self.core.is_stopping() && since.elapsed() > LAST_WORDS {
                return false;
            }
            pauses.wait().await;
        }
    }

    /// Writes all of it, or says why it should be tried again. To write it again does no harm: an answer that comes twice is
    /// dropped by its caller, and what is acknowledged stays so.
    async fn attempt(&mut self, steps: &[Step]) -> RedisResult<()> {
        let connection = match &mut self.connection {
            Some(open) => open,
            None => self.connection.insert(self.core.connector.open().await?),
        };
        let core = &*self.core;
        if core.options.wait_replicas > 0 && steps.iter().any(|step| matches!(step, Step::Seal(..)))
        {
            replicate_seals(core, connection, steps).await?;
        }
        let written = if self.one_step {
            let mut commands = connection.commands();
            // A single command is a step by itself.
            add_answers(core, steps, &mut commands);
            add_acknowledgements(core, steps, &mut commands);
            if commands.len() > 1 {
                commands.atomic();
            }
            run(connection, commands).await
        } else {
            separately(core, connection, steps).await
        };
        match written {
            Err(error) if cure(&error) == Cure::None => {
                // Something in it cannot be done. The others must not suffer for it.
                for step in steps {
                    one_by_one(core, connection, step).await?;
                }
            }
            written => written?,
        }
        publish(core, connection, steps).await?;
        for step in steps {
            match step {
                Step::Release { place, attempts } => {
                    if let Some(desk) = core.desks().get(place.desk) {
                        let released = scripts::release(connection, desk, *place, *attempts);
                        tolerate(released.await.map(|()| Value::Nil))?;
                    }
                }
                Step::Bury(letter) => bury(core, connection, letter).await?,
                Step::Seal(..)
                | Step::Reply { .. }
                | Step::Note(..)
                | Step::Event(..)
                | Step::Done(_) => {}
            }
        }
        Ok(())
    }

    /// What was acknowledged makes room.
    fn settle(&self, steps: &[Step]) {
        for (desk, ids) in by_desk(steps.iter().filter_map(Step::place)) {
            if let Some(desk) = self.core.desks().get(desk) {
                desk.end(&ids);
            }
        }
    }
}

/// Has the replicas keep the outcomes of operations before anybody is told of them. They are written once more with the
/// answers; that changes nothing.
async fn replicate_seals(
    core: &Core,
    connection: &mut Connection,
    steps: &[Step],
) -> RedisResult<()> {
    let mut commands = connection.commands();
    for step in steps {
        add_seal(core, step, &mut commands);
    }
    commands.add_command(command::wait(&core.options));
    let Some(replicas) = connection
        .tell(commands)
        .await?
        .pop()
        .and_then(entry::integer)
    else {
        return Ok(());
    };
    let wanted = core.options.wait_replicas;
    if replicas < u64::from(wanted) {
        tracing::warn!(
            replicas,
            wanted,
            "outcomes of operations are on fewer replicas than was asked for"
        );
    }
    Ok(())
}

pub(super) fn add_seal(core: &Core, step: &Step, commands: &mut Commands) {
    if let Step::Seal(sealing, envelope) = step
        && let Some(desk) = core.desks().get(sealing.desk)
    {
        let Sealing {
            operation, digest, ..
        } = &**sealing;
        for command in desk.seals.seal(operation, digest, envelope) {
            commands.add_command(command);
        }
    }
}

fn add_acknowledgements(core: &Core, steps: &[Step], commands: &mut Commands) {
    let done = steps.iter().filter_map(|step| match step {
        Step::Done(place) => Some(*place),
        _ => None,
    });
    for (desk, ids) in by_desk(done) {
        if let Some(desk) = core.desks().get(desk) {
            acknowledge(desk, &ids, commands);
        }
    }
}

/// The entries of each service, in order.
fn by_desk(places: impl Iterator<Item = Place>) -> Vec<(usize, Vec<EntryId>)> {
    let mut places: Vec<Place> = places.collect();
    // One that is in order already costs one look: most servers have one service.
    places.sort_by_key(|place| place.desk);
    let mut groups: Vec<(usize, Vec<EntryId>)> = Vec::new();
    for place in places {
        match groups.last_mut() {
            Some((desk, ids)) if *desk == place.desk => ids.push(place.id),
            _ => groups.push((place.desk, vec![place.id])),
        }
    }
    groups
}

/// Acknowledges entries and deletes them: there is one group, and nobody needs them any more.
fn acknowledge(desk: &Desk, ids: &[EntryId], commands: &mut Commands) {
    commands.add(|add| command::acknowledge(add, &desk.stream, &desk.service, ids));
    commands.add(|add| command::delete(add, &desk.stream, ids));
}

/// Runs commands. What cannot be done to a key, for what the key is, is passed over.
async fn run(connection: &mut Connection, commands: Commands) -> RedisResult<()> {
    for answer in connection.tell(commands).await? {
        if let Value::ServerError(error) = answer {
            tolerate(Err(error.into()))?;
        }
    }
    Ok(())
}

/// Errors that trying again does not cure are said once, and passed over.
fn tolerate(answer: RedisResult<Value>) -> RedisResult<()> {
    match answer {
        Err(error) if matches!(cure(&error), Cure::Reconnect | Cure::Wait) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "redis refuses an answer or an acknowledgement");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Where the keys are in several slots: the answers first, and what they answer is acknowledged once they are written.
async fn separately(core: &Core, connection: &mut Connection, steps: &[Step]) -> RedisResult<()> {
    let mut commands = connection.commands();
    add_answers(core, steps, &mut commands);
    run(connection, commands).await?;
    let mut commands = connection.commands();
    add_acknowledgements(core, steps, &mut commands);
    run(connection, commands).await
}

async fn one_by_one(core: &Core, connection: &mut Connection, step: &Step) -> RedisResult<()> {
    let mut commands = Commands::of_library();
    add_answers(core, std::slice::from_ref(step), &mut commands);
    add_acknowledgements(core, std::slice::from_ref(step), &mut commands);
    for command in commands.each() {
        tolerate(connection.run(command).await)?;
    }
    Ok(())
}

/// Publishes the messages of topics. Written again after an error, they stand there twice, and are heard once.
async fn publish(core: &Core, connection: &mut Connection, steps: &[Step]) -> RedisResult<()> {
    let message = |step: &Step| match step {
        Step::Event(key, number, message) => {
            let arguments: Vec<Vec<u8>> = vec![
                core.options.event_len.to_string().into(),
                KEPT_MS.to_string().into(),
                message.clone(),
                core.publisher.clone().into(),
                number.to_string().into(),
                core.publishes_in().event().into(),
            ];
            Some((key.clone(), arguments))
        }
        _ => None,
    };
    let messages: Vec<_> = steps.iter().filter_map(message).collect();
    if messages.is_empty() {
        return Ok(());
    }
    for answer in PUBLISH.run_all(connection, &messages).await? {
        tolerate(answer)?;
    }
    Ok(())
}

/// Writes the dead letter, then acknowledges: a crash between the two writes it twice.
async fn bury(core: &Core, connection: &mut Connection, letter: &Letter) -> RedisResult<()> {
    let Some(desk) = core.desks().get(letter.place.desk) else {
        return Ok(());
    };
    let mut add = cmd("XADD");
    add.arg(core.keys.dead(&desk.service));
    add.arg("MAXLEN").arg("~").arg(core.options.dead_letters);
    add.arg("*").arg("envelope").arg(&*letter.envelope);
    add.arg("reply-to").arg(&*letter.reply_to);
    add.arg("entry").arg(letter.place.id.to_string());
    add.arg("deliveries").arg(letter.deliveries);
    add.arg("consumer").arg(&*desk.consumer);
    if let Some(note) = &letter.frame {
        add.arg(field::MYNAH).arg(&*note.kind);
        add.arg(field::BODY).arg(&*note.body);
    }
    tolerate(connection.run(&add).await)?;
    let mut commands = connection.commands();
    acknowledge(desk, &[letter.place.id], &mut commands);
    run(connection, commands).await
}

impl Step {
    /// The entry that is settled with it.
    fn place(&self) -> Option<Place> {
        match self {
            Self::Seal(..) | Self::Reply { .. } | Self::Note(..) | Self::Event(..) => None,
            Self::Done(place) | Self::Release { place, .. } => Some(*place),
            Self::Bury(letter) => Some(letter.place),
        }
    }
}
