//! Which servers of ours are alive, and what they can do.

use super::{MARK, TTL, of_each, texts};
use crate::coding::{Coding, PerCoding};
use crate::command::millis;
use crate::connect::Connection;
use crate::entry;
use crate::keys::Keys;
use crate::lua::Lua;
use redis::{Pipeline, RedisResult, Value};
use std::sync::Arc;
use std::time::Duration;

/// A server that is heard says so every few seconds. Two times that it did not: others are asked rather than it.
pub(crate) const SUSPICION: Duration = Duration::from_secs(7);

/// What time it is, and those that are alive, each with until when.
static LIVING: Lua = Lua::new(
    r"
local now = redis.call('TIME')
local ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
local found = redis.call('ZRANGEBYSCORE', KEYS[1], ms, '+inf', 'WITHSCORES', 'LIMIT', 0, 1000)
table.insert(found, 1, ms)
return found
",
);

/// A server of ours that counts as alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Living {
    pub(crate) instance: Arc<str>,
    /// Until when, in milliseconds by the clock of Redis: later each time that it says so.
    pub(crate) until_ms: u64,
    /// It has not said so for [`SUSPICION`]: it may be gone.
    pub(crate) late: bool,
}

/// The servers of ours that serve these services now: a thousand at most of each. In one round trip.
pub(crate) async fn living(
    keys: &Keys,
    services: &[&str],
    connection: &mut Connection,
) -> RedisResult<Vec<RedisResult<Vec<Living>>>> {
    let found = LIVING.run_all(connection, &of_each(keys, services)).await?;
    let found = found.into_iter().map(|found| found.map(read_living));
    Ok(found.collect())
}

fn read_living(found: Value) -> Vec<Living> {
    // A time that is none, or that no clock shows, is one that has not come.
    let number = |text: &[u8]| str::from_utf8(text).ok()?.parse::<u64>().ok();
    let mut found = texts(found).into_iter();
    let now_ms = found.next().and_then(|now| number(&now)).unwrap_or(0);
    let mut living = Vec::with_capacity(found.len() / 2);
    while let (Some(instance), Some(until)) = (found.next(), found.next()) {
        let until_ms = number(&until).unwrap_or(u64::MAX);
        let left_ms = until_ms.saturating_sub(now_ms);
        match String::from_utf8(instance) {
            Ok(instance) if instance != MARK => living.push(Living {
                instance: instance.into(),
                until_ms,
                late: left_ms < millis(TTL.saturating_sub(SUSPICION)),
            }),
            _ => {}
        }
    }
    living
}

/// What a server can do, as it says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    speaks: PerCoding<bool>,
    /// It begins a call of its inbox only once it has taken the entry out: one that is still there has not begun.
    pub(crate) claims: bool,
}

impl Abilities {
    /// Of one that has said nothing yet: whether it can it says when it is asked.
    pub(crate) const UNKNOWN: Self = Self {
        speaks: PerCoding::all(true),
        claims: false,
    };

    pub(crate) const fn speaks(&self, coding: Coding) -> bool {
        *self.speaks.of(coding)
    }

    /// An earlier version says nothing of formats, and speaks JSON alone.
    fn read(card: &[u8]) -> Option<Self> {
        let card: serde_json::Value = serde_json::from_slice(card).ok()?;
        let mut speaks = PerCoding::all(false);
        *speaks.of_mut(Coding::Json) = true;
        let formats = card.get("formats").and_then(serde_json::Value::as_array);
        for format in formats.into_iter().flatten() {
            let known = |coding: &Coding| format.as_str() == Some(coding.name());
            if let Some(coding) = Coding::ALL.into_iter().find(known) {
                *speaks.of_mut(coding) = true;
            }
        }
        let claims = card.get("claims").and_then(serde_json::Value::as_bool);
        Some(Self {
            speaks,
            claims: claims == Some(true),
        })
    }
}

/// What these servers can do; `None` for those that say nothing of themselves, or may not be asked. In one round trip.
pub(crate) async fn abilities(
    keys: &Keys,
    instances: &[Arc<str>],
    connection: &mut Connection,
) -> RedisResult<Vec<Option<Abilities>>> {
    let mut commands = Pipeline::with_capacity(instances.len());
    for instance in instances {
        commands.cmd("GET").arg(keys.server(instance));
    }
    let cards = connection.run_all(&commands).await?;
    let read = |card| Abilities::read(&entry::text(card)?);
    Ok(cards.into_iter().map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::Card;

    #[test]
    fn a_card_says_which_formats_are_spoken() {
        let card = Card {
            instance: "one".to_owned(),
            services: Vec::new(),
            started_ms: 1,
            draining: false,
        };
        let own = Abilities::read(card.json().as_bytes()).unwrap();
        assert!(own.claims);
        assert!(Coding::ALL.into_iter().all(|coding| own.speaks(coding)));
        // One of a version that said nothing of them, and one that says what is not known here.
        for card in [
            r#"{"version":"0.0.9","started_ms":1,"draining":false,"services":{}}"#,
            r#"{"formats":["json","morse",7,null],"claims":"yes"}"#,
            r#"{"formats":"cbor"}"#,
            "7",
        ] {
            let read = Abilities::read(card.as_bytes()).unwrap();
            assert!(read.speaks(Coding::Json) && !read.claims, "{card}");
            assert!(!read.speaks(Coding::Cbor), "{card}");
        }
        assert_eq!(Abilities::read(b"no card"), None);
    }

    #[test]
    fn who_has_missed_two_beats_is_late() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let found = [
            "100000", "-", "0", "on time", "112000", "late", "104999", "odd", "inf",
        ];
        let living = read_living(Value::Array(found.map(text).to_vec()));
        let read: Vec<_> = (living.iter())
            .map(|one| (&*one.instance, one.until_ms, one.late))
            .collect();
        let all = [
            ("on time", 112_000, false),
            ("late", 104_999, true),
            ("odd", u64::MAX, false),
        ];
        assert_eq!(read, all);
        assert_eq!(read_living(Value::Nil), []);
    }
}
