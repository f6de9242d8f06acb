//! What is done to entries in one step.

use super::desk::Desk;
use super::outbox::Place;
use crate::connect::Connection;
use crate::entry::{self, EntryId, field};
use crate::lua::Lua;
use redis::{RedisResult, Value};

/// Renews the claims of entries that are still this consumer's; answers with those that are not.
static RENEW: Lua = Lua::new(
    r"
local lost = {}
for i = 3, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #pending == 1 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
",
);

/// Gives an entry back: it is added again, so that anybody may have it at once, and the one that was delivered is gone.
/// Only while it is still this consumer's. The time that its caller gave it goes on, and so does the count of deliveries.
/// Of its fields those that mean something are kept, the first of each: there may be more than a script can add.
static RELEASE: Lua = Lua::new(
    r"
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #pending == 0 then return 0 end
local found = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])
if #found == 1 then
  local now = redis.call('TIME')
  local age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(string.match(ARGV[3], '^%d+'))
  local fields, late, known = {}, false, {}
  for i = 7, #ARGV do known[ARGV[i]] = true end
  local old = found[1][2]
  for i = 1, #old, 2 do
    local name, value = old[i], old[i + 1]
    if name == ARGV[5] then
      if string.match(value, '^%d+$') then
        local left = tonumber(value) - age
        if left <= 0 then late = true end
        value = string.format('%.0f', left)
      else
        value = ''
      end
    end
    if known[name] and value ~= '' then
      known[name] = nil
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  fields[#fields + 1] = ARGV[6]
  fields[#fields + 1] = ARGV[4]
  if not late then redis.call('XADD', KEYS[1], '*', unpack(fields)) end
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
return 1
",
);

/// Renews claims. Answers with the entries that are somebody else's by now, or nobody's.
pub(super) async fn renew(
    connection: &mut Connection,
    desk: &Desk,
    ids: &[EntryId],
) -> RedisResult<Vec<EntryId>> {
    let mut arguments = vec![desk.service.to_string(), desk.consumer.clone()];
    arguments.extend(ids.iter().map(EntryId::to_string));
    let lost = RENEW.run(connection, &desk.stream, &arguments).await?;
    let Value::Array(lost) = lost else {
        return Ok(Vec::new());
    };
    let id = |value| EntryId::parse(&entry::text(value)?);
    Ok(lost.into_iter().filter_map(id).collect())
}

/// Gives one entry back.
pub(super) async fn release(
    connection: &mut Connection,
    desk: &Desk,
    place: Place,
    attempts: u32,
) -> RedisResult<()> {
    let arguments = [
        desk.service.to_string(),
        desk.consumer.clone(),
        place.id.to_string(),
        attempts.to_string(),
        field::TIMEOUT_MS.to_owned(),
        field::ATTEMPTS.to_owned(),
        field::TYPE.to_owned(),
        field::ENVELOPE.to_owned(),
        field::REPLY_TO.to_owned(),
        field::TIMEOUT_MS.to_owned(),
        field::METADATA.to_owned(),
        field::OPERATION.to_owned(),
        field::MYNAH.to_owned(),
        field::BODY.to_owned(),
    ];
    RELEASE.run(connection, &desk.stream, &arguments).await?;
    Ok(())
}
