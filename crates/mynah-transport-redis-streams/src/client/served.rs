//! Who is served, as far as a client knows: a call that nobody would answer ends at once.

use super::core::{Batch, Core, Said};
use crate::coding::Coding;
use crate::connect::Connection;
use crate::presence::{self, Abilities, Living, Served};
use mynah_protocol::ErrorCode;
use redis::{RedisError, RedisResult};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long it is believed that a service is served.
const FRESH: Duration = Duration::from_secs(1);

/// Services that are remembered.
const MOST: usize = 4096;

/// How long it is believed what a server says that it can do: another version may run under its name.
const BELIEVED: Duration = Duration::from_secs(30);

/// Servers, and when they were seen.
type Seen = (Instant, Arc<[Living]>);

/// When it was last seen that a service is served.
#[derive(Debug, Default)]
pub(super) struct Directory {
    seen: HashMap<String, Instant>,
    /// The servers of ours that serve a service, and when they were seen.
    living: HashMap<Box<str>, Seen>,
    /// What servers can do, and when they said so.
    abilities: HashMap<Arc<str>, (Instant, Abilities)>,
    /// Before that it is not believed that nobody serves: Redis was away, for servers as well.
    doubts_until: Option<Instant>,
}

impl Directory {
    /// Redis is back, and servers may not have said yet that they are alive.
    pub(super) const fn doubt_until(&mut self, until: Instant) {
        self.doubts_until = Some(until);
    }

    /// Ends those calls of a batch that nobody would answer. Notifications are kept for whoever comes, though not without
    /// bound.
    pub(super) async fn sift(
        &mut self,
        core: &Core,
        connection: &mut Connection,
        batch: &mut Batch,
    ) -> RedisResult<()> {
        let now = Instant::now();
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < FRESH;
        let mut asked: Vec<String> = Vec::new();
        let mut last = None;
        for queued in &batch.calls {
            let service = &*queued.service;
            // Mostly they are all of one service.
            if !matches!(queued.said, Said::Call(_)) || last.replace(service) == Some(service) {
                continue;
            }
            let known = self.seen.get(service).is_some_and(fresh);
            if !known && !asked.iter().any(|asked| asked == service) {
                asked.push(service.to_owned());
            }
        }
        let doubts = self.doubts_until.is_some_and(|until| now < until);
        let alive = match asked.len() {
            // One by itself is asked for below, with all that there is to know.
            0 | 1 => Ok(Vec::new()),
            _ => presence::alive(&core.keys, &asked, connection).await,
        };
        if let Err(error) = &alive {
            stands(error)?;
        }
        let mut alive = alive.unwrap_or_default().into_iter();
        for service in asked {
            if alive.next() == Some(true) {
                self.saw(service, now);
                continue;
            }
            match presence::look(&core.keys, &service, connection).await {
                Ok(Served::Maybe) => self.saw(service, now),
                Ok(Served::ByNobody) if doubts => {}
                Ok(Served::ByNobody) => end(core, batch, &service),
                Err(error) => {
                    stands(&error)?;
                    // Without permission to look the time of the call decides.
                    tracing::debug!(%error, service, "it cannot be seen who serves");
                    self.saw(service, now);
                }
            }
        }
        if core.coding != Coding::Json {
            self.sift_formats(core, connection, batch).await?;
        }
        Ok(())
    }

    /// Whether it is too early to believe that nobody serves.
    pub(super) fn doubts(&self) -> bool {
        self.doubts_until
            .is_some_and(|until| Instant::now() < until)
    }

    /// Looks for the servers of ours that serve these services, where it is not known: in one round trip. What Redis refuses
    /// for one of them is not known still.
    pub(super) async fn look_for(
        &mut self,
        core: &Core,
        services: impl Iterator<Item = &str>,
        connection: &mut Connection,
    ) -> RedisResult<()> {
        let unknown: HashSet<&str> = services.filter(|it| self.known(it).is_none()).collect();
        let unknown: Vec<&str> = unknown.into_iter().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        let found = presence::living(&core.keys, &unknown, connection).await?;
        if self.living.len() + unknown.len() > MOST {
            self.living.clear();
        }
        for (service, living) in unknown.into_iter().zip(found) {
            if let Ok(living) = living {
                self.living.insert(service.into(), (now, living.into()));
            }
        }
        Ok(())
    }

    fn known(&self, service: &str) -> Option<&Arc<[Living]>> {
        let (seen, living) = self.living.get(service)?;
        (seen.elapsed() < FRESH && !living.is_empty()).then_some(living)
    }

    /// The servers of ours that serve a service.
    pub(super) async fn living(
        &mut self,
        core: &Core,
        service: &str,
        connection: &mut Connection,
    ) -> RedisResult<Arc<[Living]>> {
        if let Some(living) = self.known(service) {
            return Ok(Arc::clone(living));
        }
        // That nobody serves is believed only of a look that was made for the call.
        let found = presence::living(&core.keys, &[service], connection).await?;
        let living: Arc<[Living]> = match found.into_iter().next() {
            Some(living) => living?.into(),
            None => Arc::default(),
        };
        if self.living.len() >= MOST {
            self.living.clear();
        }
        let known = (Instant::now(), Arc::clone(&living));
        self.living.insert(service.into(), known);
        Ok(living)
    }

    /// Asks servers what they can do, where it is not known: in one round trip.
    pub(super) async fn ask(
        &mut self,
        core: &Core,
        living: &[Living],
        connection: &mut Connection,
    ) -> RedisResult<()> {
        let now = Instant::now();
        let fresh = |at: Instant| now.saturating_duration_since(at) < BELIEVED;
        let is_new = |one: &&Living| match self.abilities.get(&one.instance) {
            Some((at, _)) => !fresh(*at),
            // One that had said nothing may have by now.
            None => true,
        };
        let unknown: Vec<Arc<str>> = (living.iter().filter(is_new))
            .map(|one| Arc::clone(&one.instance))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        if self.abilities.len() + unknown.len() > MOST {
            self.abilities.retain(|_, (at, _)| fresh(*at));
        }
        if self.abilities.len() + unknown.len() > MOST {
            self.abilities.clear();
        }
        let said = presence::abilities(&core.keys, &unknown, connection).await?;
        for (instance, said) in unknown.into_iter().zip(said) {
            match said {
                Some(said) => drop(self.abilities.insert(instance, (now, said))),
                // It may say it yet, and is asked again before long.
                None => match now.checked_sub(BELIEVED.saturating_sub(FRESH)) {
                    Some(at) => drop(self.abilities.insert(instance, (at, Abilities::UNKNOWN))),
                    None => drop(self.abilities.remove(&instance)),
                },
            }
        }
        Ok(())
    }

    /// What a server can do, as far as it was asked.
    pub(super) fn abilities(&self, server: &str) -> Abilities {
        let known = self.abilities.get(server);
        known.map_or(Abilities::UNKNOWN, |(_, abilities)| *abilities)
    }

    /// Has them be looked for again: those that were known have no room, or are gone.
    pub(super) fn forget(&mut self, service: &str) {
        // Others of the same batch have just looked.
        const NEW: Duration = Duration::from_millis(100);
        let old = |(seen, _): &Seen| seen.elapsed() > NEW;
        if self.living.get(service).is_some_and(old) {
            self.living.remove(service);
        }
    }

    fn saw(&mut self, service: String, now: Instant) {
        if self.seen.len() >= MOST {
            self.seen.clear();
        }
        self.seen.insert(service, now);
    }
}

/// Whether the connection stands: Redis has said something, and be it no. Nothing of a batch was written when it does not.
pub(super) fn stands(error: &RedisError) -> RedisResult<()> {
    match error.code() {
        Some(_) => Ok(()),
        None => Err(error.clone()),
    }
}

fn end(core: &Core, batch: &mut Batch, service: &str) {
    batch.calls.retain_mut(|queued| {
        // Those with streams are ended where they are routed.
        if queued.service != service || matches!(queued.said, Said::Open(_)) {
            return true;
        }
        let Some(id) = queued.id.take() else {
            queued.unserved = true;
            return true;
        };
        let what = format!("nobody serves {service} now");
        core.fail(id, ErrorCode::NO_SERVERS, what);
        false
    });
}
