//! Tests of the client's parts without Redis.

use super::core::{Core, Queued, Said};
use super::write::command_of;
use crate::command::Call;
use crate::connect::Connector;
use crate::entry::field;
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::session::{Written, kind};
use mynah_protocol::{ErrorCode, WireId};
use redis::Arg;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn core(reply_max_len: usize) -> Arc<Core> {
    let mut options = RedisOptions::new("redis://127.0.0.1:1/0");
    options.reply_max_len = reply_max_len;
    let connector = Connector::new(&options).unwrap();
    Core::new(options, connector, Keys::new("app"), "c")
}

fn queued(id: Option<u64>, until: Option<Instant>) -> Queued {
    Queued {
        said: Said::Call(Call {
            stream: "app:cmds:arith".to_owned(),
            envelope: b"{}".to_vec(),
            reply_to: None,
            metadata: None,
            operation: None,
            frame: None,
        }),
        bytes: 2,
        id: id.map(WireId::Uint),
        service: "arith".to_owned(),
        until,
        unserved: false,
        told: false,
    }
}

/// The time that a call is written with, in milliseconds.
fn written(queued: &Queued, now: Instant) -> Option<String> {
    let command = command_of(&core(8192), queued, now);
    let mut arguments = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    });
    arguments.find(|name| name == field::TIMEOUT_MS)?;
    arguments.next()
}

#[test]
fn a_call_is_written_with_the_time_that_it_has_left() {
    let said = Instant::now();
    let after = |seconds| said + Duration::from_secs(seconds);
    let timely = queued(None, Some(after(30)));
    assert_eq!(written(&timely, said).as_deref(), Some("30000"));
    assert_eq!(written(&timely, after(29)).as_deref(), Some("1000"));
    assert_eq!(written(&timely, after(31)).as_deref(), Some("0"));
    assert_eq!(written(&queued(None, None), after(29)), None);
}

#[test]
fn no_more_calls_are_written_than_answers_are_kept_for() {
    let core = core(4);
    for id in 1..=5 {
        core.write(queued(Some(id), None));
    }
    core.write(queued(None, None));
    let take = || {
        let batch = core.take_batch();
        let ids = batch.calls.iter().map(|queued| queued.id.clone());
        ids.collect::<Vec<_>>()
    };
    let call = |id| Some(WireId::Uint(id));
    assert_eq!(take(), [call(1), call(2)]);
    assert_eq!(take(), []);
    // An answer makes room, to whatever was asked; one that nobody waits for does not.
    core.fail(WireId::Uint(77), ErrorCode::INTERNAL, "forged");
    assert_eq!(take(), []);
    core.fail(WireId::Uint(1), ErrorCode::INTERNAL, "answered");
    assert_eq!(take(), [call(3)]);
    // So does a call that is not waited for any more.
    assert!(!core.withdraw(&WireId::Uint(2)));
    let batch = core.take_batch();
    assert_eq!(batch.calls.len(), 1);
    core.put_back(batch);
    assert_eq!(take(), [call(4)]);
    core.close();
    assert_eq!(take(), [call(5), None]);
}

#[test]
fn what_is_said_in_sessions_waits_for_no_answers() {
    let core = core(2);
    core.write(queued(Some(1), None));
    core.write(queued(Some(2), None));
    let note = |number| Queued {
        said: Said::Note(
            "app:inbox:s".into(),
            Written {
                kind: kind::FRAME,
                call: 9,
                number,
                body: Vec::new(),
            },
        ),
        ..queued(None, None)
    };
    core.write(note(2));
    core.write(note(3));
    let take = || {
        let of = |queued: &Queued| match &queued.said {
            Said::Note(_, written) => (None, written.number),
            _ => (queued.id.clone(), 0),
        };
        core.take_batch().calls.iter().map(of).collect::<Vec<_>>()
    };
    // One answer is kept room for: the second call waits, and what ends streams does not.
    assert_eq!(take(), [(None, 2), (None, 3), (Some(WireId::Uint(1)), 0)]);
    core.write(note(4));
    assert_eq!(take(), [(None, 4)]);
    core.fail(WireId::Uint(1), ErrorCode::INTERNAL, "answered");
    assert_eq!(take(), [(Some(WireId::Uint(2)), 0)]);
}
