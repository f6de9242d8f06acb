//! The commands that are sent.

use crate::answers;
use crate::connect::Words;
use crate::entry::{EntryId, field};
use crate::options::RedisOptions;
use crate::session::{Written, kind};
use redis::{Cmd, Pipeline, RedisResult, Value, cmd};
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
        let metadata = self.metadata.as_ref().map_or(0, Vec::len);
        let operation = self.operation.as_ref().map_or(0, String::len);
        self.envelope.len() + frame + metadata + operation
    }

    /// `timeout`: what is left now of the time that its caller gives it. `unserved`: nobody takes entries from the stream,
    /// and it is kept from growing without an end.
    pub(crate) fn add(&self, add: &mut dyn Words, timeout: Option<Duration>, unserved: bool) {
        add.word(b"XADD");
        add.word(self.stream.as_bytes());
        if unserved {
            add.at_most(UNSERVED_LEN);
        }
        add.word(b"*");
        add.field(field::TYPE, b"rpc");
        add.field(field::ENVELOPE, &self.envelope);
        if let Some(reply_to) = &self.reply_to {
            add.field(field::REPLY_TO, reply_to.as_bytes());
        }
        // What real clamator peers do not know stands behind what they do.
        if let Some(timeout) = timeout {
            add.word(field::TIMEOUT_MS.as_bytes());
            add.number(millis(timeout));
        }
        if let Some(operation) = &self.operation {
            add.field(field::OPERATION, operation.as_bytes());
        }
        if let Some(metadata) = &self.metadata {
            add.field(field::METADATA, metadata);
        }
        if let Some((kind, frame)) = &self.frame {
            add.field(field::MYNAH, kind.as_bytes());
            add.field(field::BODY, frame);
            return;
        }
        // A field that clamator does not write says that this client hears what is said beside its calls.
        let marked = timeout.is_some() || self.operation.is_some() || self.metadata.is_some();
        if !marked && self.reply_to.is_some() {
            add.field(field::MYNAH, kind::CLIENT.as_bytes());
        }
    }
}

/// About how many entries a command stream has that nobody serves.
const UNSERVED_LEN: u64 = 8192;

/// About how many entries the control stream has.
const CONTROL_LEN: u64 = 1000;

/// Tells whichever server has a call that it is not wanted any more. Nothing, where no server of ours has made the stream.
pub(crate) fn cancel(control: &str, reply_to: &str, call: u64) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(control).arg("NOMKSTREAM");
    add.arg("MAXLEN").arg("~").arg(CONTROL_LEN).arg("*");
    add.arg(field::REPLY_TO).arg(reply_to);
    add.arg(field::CANCEL).arg(call);
    add
}

/// Makes the control stream, and lets it expire: in one step, for whoever does it may be killed.
pub(crate) fn open_control(control: &str, kept: Duration) -> Pipeline {
    let mut open = Pipeline::with_capacity(2);
    open.atomic().cmd("XADD").arg(control);
    open.arg("MAXLEN").arg("~").arg(CONTROL_LEN);
    open.arg("*").arg(field::TYPE).arg("hello");
    open.add_command(expire(control, kept));
    open
}

/// One answer.
pub(crate) fn reply(add: &mut dyn Words, stream: &str, envelope: &[u8], max_len: usize) {
    add.word(b"XADD");
    add.word(stream.as_bytes());
    add.at_most(most(max_len));
    add.word(b"*");
    add.field(field::TYPE, b"rpc");
    add.field(field::ENVELOPE, envelope);
}

/// Several answers in one entry, for clients of ours: an entry costs a client and Redis more than most answers do.
pub(crate) fn replies(
    add: &mut dyn Words,
    stream: &str,
    kind: Option<&str>,
    answers: &[&[u8]],
    max_len: usize,
) {
    add.word(b"XADD");
    add.word(stream.as_bytes());
    add.at_most(most(max_len));
    add.word(b"*");
    if let Some(kind) = kind {
        add.field(field::MYNAH, kind.as_bytes());
    }
    add.word(field::ANSWERS.as_bytes());
    add.parts(answers::bytes(answers), &mut |text| {
        answers::put(answers, text);
    });
}

fn most(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// About how many entries the inbox of a server has.
const INBOX_LEN: u64 = 16_384;

/// Says something to a server. Nothing is written when there is no such inbox: the server is gone.
pub(crate) fn to_server(add: &mut dyn Words, inbox: &str, from: &str, said: &Written) {
    add.word(b"XADD");
    add.word(inbox.as_bytes());
    add.word(b"NOMKSTREAM");
    add.at_most(INBOX_LEN);
    add.word(b"*");
    note(add, from, said);
}

/// Says something to a client.
pub(crate) fn to_client(
    add: &mut dyn Words,
    replies: &str,
    from: &str,
    said: &Written,
    max_len: usize,
) {
    add.word(b"XADD");
    add.word(replies.as_bytes());
    add.at_most(most(max_len));
    add.word(b"*");
    note(add, from, said);
}

fn note(add: &mut dyn Words, from: &str, said: &Written) {
    add.field(field::MYNAH, said.kind.as_bytes());
    add.field(field::FROM, from.as_bytes());
    if said.call > 0 {
        add.word(field::CALL.as_bytes());
        add.number(said.call);
    }
    if said.number > 0 {
        add.word(field::NUMBER.as_bytes());
        add.number(said.number);
    }
    if !said.body.is_empty() {
        add.field(field::BODY, &said.body);
    }
}

/// Makes an empty inbox, in place of what an earlier process of the same name has left, and lets it expire: in one step, for
/// whoever does it may be killed.
pub(crate) fn open_inbox(inbox: &str, kept: Duration) -> Pipeline {
    let mut open = Pipeline::with_capacity(3);
    open.atomic().cmd("DEL").arg(inbox);
    open.cmd("XADD").arg(inbox);
    open.arg("*").arg(field::MYNAH).arg("hello");
    open.add_command(expire(inbox, kept));
    open
}

/// The answers to commands, or the first error among them.
pub(crate) fn all_well(answers: Vec<Value>) -> RedisResult<Vec<Value>> {
    for answer in &answers {
        if let Value::ServerError(error) = answer {
            return Err(error.clone().into());
        }
    }
    Ok(answers)
}

pub(crate) fn expire(key: &str, after: Duration) -> Cmd {
    let mut expire = Cmd::with_capacity(3, key.len() + 32);
    expire.arg("PEXPIRE").arg(key).arg(millis(after));
    expire
}

pub(crate) fn acknowledge(ack: &mut dyn Words, stream: &str, group: &str, ids: &[EntryId]) {
    ack.word(b"XACK");
    ack.word(stream.as_bytes());
    ack.word(group.as_bytes());
    for id in ids {
        ack.id(*id);
    }
}

pub(crate) fn delete(delete: &mut dyn Words, stream: &str, ids: &[EntryId]) {
    delete.word(b"XDEL");
    delete.word(stream.as_bytes());
    for id in ids {
        delete.id(*id);
    }
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
