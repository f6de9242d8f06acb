//! The commands that are sent.

use crate::answers;
use crate::entry::{EntryId, field};
use crate::options::RedisOptions;
use crate::session::{Written, kind};
use redis::{Cmd, cmd};
use std::time::Duration;

/// What a client adds to the command stream of a service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) stream: String,
    pub(crate) envelope: Vec<u8>,
    pub(crate) reply_to: Option<std::sync::Arc<str>>,
    pub(crate) metadata: Option<Vec<u8>>,
    pub(crate) operation: Option<String>,
    /// The call itself, where it is not in JSON: what the entry is then, and the frame. The envelope is for servers that do
    /// not know.
    pub(crate) frame: Option<(&'static str, std::sync::Arc<[u8]>)>,
}

impl Call {
    /// Bytes of what it says.
    pub(crate) fn len(&self) -> usize {
        let frame = self.frame.as_ref().map_or(0, |(_, frame)| frame.len());
        self.envelope.len() + frame
    }

    /// `timeout`: what is left now of the time that its caller gives it. `unserved`: nobody takes entries from the stream,
    /// and it is kept from growing without an end.
    pub(crate) fn add(&self, timeout: Option<Duration>, unserved: bool) -> Cmd {
        let mut add = Cmd::with_capacity(21, self.len() + 256);
        add.arg("XADD").arg(&*self.stream);
        if unserved {
            add.arg("MAXLEN").arg("~").arg(UNSERVED_LEN);
        }
        add.arg("*");
        add.arg(field::TYPE).arg("rpc");
        add.arg(field::ENVELOPE).arg(&*self.envelope);
        if let Some(reply_to) = &self.reply_to {
            add.arg(field::REPLY_TO).arg(&**reply_to);
        }
        // What real clamator peers do not know stands behind what they do.
        if let Some(timeout) = timeout {
            add.arg(field::TIMEOUT_MS).arg(millis(timeout));
        }
        if let Some(operation) = &self.operation {
            add.arg(field::OPERATION).arg(&**operation);
        }
        if let Some(metadata) = &self.metadata {
            add.arg(field::METADATA).arg(&**metadata);
        }
        if let Some((kind, frame)) = &self.frame {
            add.arg(field::MYNAH)
                .arg(kind)
                .arg(field::BODY)
                .arg(&**frame);
            return add;
        }
        // A field that clamator does not write says that this client hears what is said beside its calls.
        let marked = timeout.is_some() || self.operation.is_some() || self.metadata.is_some();
        if !marked && self.reply_to.is_some() {
            add.arg(field::MYNAH).arg(kind::CLIENT);
        }
        add
    }
}

/// About how many entries a command stream has that nobody serves.
const UNSERVED_LEN: usize = 8192;

/// About how many entries the control stream has.
const CONTROL_LEN: usize = 1000;

/// Tells whichever server has a call that it is not wanted any more. Nothing, where no server of ours has made the stream.
pub(crate) fn cancel(control: &str, reply_to: &str, call: u64) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(control).arg("NOMKSTREAM");
    add.arg("MAXLEN").arg("~").arg(CONTROL_LEN).arg("*");
    add.arg(field::REPLY_TO).arg(reply_to);
    add.arg(field::CANCEL).arg(call);
    add
}

/// Makes the control stream.
pub(crate) fn open_control(control: &str) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(control).arg("MAXLEN").arg("~").arg(CONTROL_LEN);
    add.arg("*").arg(field::TYPE).arg("hello");
    add
}

pub(crate) fn reply(stream: &str, envelope: &[u8], max_len: usize) -> Cmd {
    let mut add = Cmd::with_capacity(10, envelope.len() + 128);
    add.arg("XADD").arg(stream);
    add.arg("MAXLEN").arg("~").arg(max_len).arg("*");
    add.arg(field::TYPE).arg("rpc");
    add.arg(field::ENVELOPE).arg(envelope);
    add
}

/// Several answers in one entry, for clients of ours: an entry costs a client and Redis more than most answers do.
pub(crate) fn replies(stream: &str, kind: Option<&str>, answers: &[&[u8]], max_len: usize) -> Cmd {
    let all = answers::all(answers);
    let mut add = Cmd::with_capacity(10, all.len() + 160);
    add.arg("XADD").arg(stream);
    add.arg("MAXLEN").arg("~").arg(max_len).arg("*");
    if let Some(kind) = kind {
        add.arg(field::MYNAH).arg(kind);
    }
    add.arg(field::ANSWERS).arg(&*all);
    add
}

/// About how many entries the inbox of a server has.
const INBOX_LEN: usize = 16_384;

/// Says something to a server. Nothing is written when there is no such inbox: the server is gone.
pub(crate) fn to_server(inbox: &str, from: &str, said: &Written) -> Cmd {
    let mut add = Cmd::with_capacity(16, said.body.len() + 192);
    add.arg("XADD").arg(inbox).arg("NOMKSTREAM");
    add.arg("MAXLEN").arg("~").arg(INBOX_LEN).arg("*");
    note(&mut add, from, said);
    add
}

/// Says something to a client.
pub(crate) fn to_client(replies: &str, from: &str, said: &Written, max_len: usize) -> Cmd {
    let mut add = Cmd::with_capacity(15, said.body.len() + 192);
    add.arg("XADD").arg(replies);
    add.arg("MAXLEN").arg("~").arg(max_len).arg("*");
    note(&mut add, from, said);
    add
}

fn note(add: &mut Cmd, from: &str, said: &Written) {
    add.arg(field::MYNAH).arg(said.kind);
    add.arg(field::FROM).arg(from);
    if said.call > 0 {
        add.arg(field::CALL).arg(said.call);
    }
    if said.number > 0 {
        add.arg(field::NUMBER).arg(said.number);
    }
    if !said.body.is_empty() {
        add.arg(field::BODY).arg(&*said.body);
    }
}

/// Makes an empty inbox, in place of what an earlier process of the same name has left.
pub(crate) fn open_inbox(inbox: &str) -> [Cmd; 2] {
    let mut delete = cmd("DEL");
    delete.arg(inbox);
    let mut add = cmd("XADD");
    add.arg(inbox).arg("*").arg(field::MYNAH).arg("hello");
    [delete, add]
}

pub(crate) fn expire(key: &str, after: Duration) -> Cmd {
    let mut expire = Cmd::with_capacity(3, key.len() + 32);
    expire.arg("PEXPIRE").arg(key).arg(millis(after));
    expire
}

pub(crate) fn acknowledge(stream: &str, group: &str, ids: &[Vec<u8>]) -> Cmd {
    let bytes = stream.len() + group.len() + ids.len() * 20 + 16;
    let mut acknowledge = Cmd::with_capacity(3 + ids.len(), bytes);
    acknowledge.arg("XACK").arg(stream).arg(group);
    for id in ids {
        acknowledge.arg(&**id);
    }
    acknowledge
}

pub(crate) fn delete(stream: &str, ids: &[Vec<u8>]) -> Cmd {
    let mut delete = Cmd::with_capacity(2 + ids.len(), stream.len() + ids.len() * 20 + 16);
    delete.arg("XDEL").arg(stream);
    for id in ids {
        delete.arg(&**id);
    }
    delete
}

/// Lets go of all entries up to this one.
pub(crate) fn trim_to(stream: &str, last: EntryId) -> Cmd {
    let mut trim = cmd("XTRIM");
    trim.arg(stream).arg("MINID").arg(last.next().to_string());
    trim
}

/// Waits until replicas have what was written on this connection.
pub(crate) fn wait(options: &RedisOptions) -> Cmd {
    let mut wait = cmd("WAIT");
    wait.arg(options.wait_replicas)
        .arg(millis(options.wait_timeout));
    wait
}

/// The longest time that is written: a script of Redis counts no further exactly, and no clock does.
const LONGEST_MS: u64 = 1 << 53;

/// Milliseconds, rounded up, so that something is never nothing.
pub(crate) fn millis(time: Duration) -> u64 {
    let whole = u64::try_from(time.as_millis()).unwrap_or(LONGEST_MS);
    let more = u64::from(!time.subsec_nanos().is_multiple_of(1_000_000));
    whole.min(LONGEST_MS - 1) + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_end_somewhere() {
        let nanos = |nanos| millis(Duration::from_nanos(nanos));
        assert_eq!([0, 1, 999_999, 1_000_000].map(nanos), [0, 1, 1, 1]);
        assert_eq!(nanos(1_000_001), 2);
        let year = Duration::from_secs(365 * 24 * 3600);
        assert_eq!(millis(year * 1000), 31_536_000_000_000);
        for long in [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            Duration::from_millis(u64::MAX),
        ] {
            let ms = millis(long);
            assert!((LONGEST_MS - 1..=LONGEST_MS).contains(&ms), "{ms}");
        }
    }
}
