//! Events by topic: each topic is a stream, to which servers publish and from which clients read what came since.
//!
//! Its ids are consecutive numbers, so whoever reads knows how many messages it has missed. Each message has the name of
//! its publisher and a number of theirs, so that one that is written twice is heard once.

use crate::lua::Lua;

/// About how long the stream of a topic is kept after its last message: a day.
pub(crate) const KEPT_MS: u64 = 24 * 3600 * 1000;

/// What the field `mynah` of a message is, in JSON; in other formats it says so.
pub(crate) const EVENT: &str = "event";

/// Adds a message under the next number, or as many further as its publisher has let go of before it: so readers count these as
/// missed. A stream that is made anew begins behind all that it may have had before, and its
/// first message says so.
pub(crate) static PUBLISH: Lua = Lua::new(
    r"
local fields, next = {'mynah', ARGV[6], 'from', ARGV[4], 'call', ARGV[5], 'body', ARGV[3]}, nil
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then next = tonumber(string.match(info[i + 1], '^%d+')) + 1 + (ARGV[7] or 0) end
  end
else
  local now = redis.call('TIME')
  next = now[1] * 1000000 + now[2]
  fields[9], fields[10] = 'n', '1'
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', next), unpack(fields))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
",
);
