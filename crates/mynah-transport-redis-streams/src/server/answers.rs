//! The answers that wait, as entries: for each client as few as its wire allows.

use super::core::Core;
use super::outbox::Step;
use super::write;
use crate::coding::Said;
use crate::command;
use crate::connect::Commands;
use std::collections::HashMap;

/// How much goes in one entry of answers. One that is bigger has an entry of its own.
const TOGETHER_BYTES: usize = 32 << 10;

/// The commands that write what is said to clients, and seal what is to be sealed.
pub(super) fn add_answers(core: &Core, steps: &[Step], commands: &mut Commands) {
    let max_len = core.options.reply_max_len;
    let mut streams: Vec<Answers<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for step in steps {
        write::add_seal(core, step, commands);
        let (Step::Reply { stream, .. } | Step::Note(stream, _)) = step else {
            continue;
        };
        // Mostly it is that of the step before.
        let at = match streams.last() {
            Some(last) if last.stream == &**stream => streams.len() - 1,
            _ => *places.entry(stream).or_insert(streams.len()),
        };
        if at == streams.len() {
            streams.push(Answers::to(stream));
        }
        let Some(answers) = streams.get_mut(at) else {
            continue;
        };
        match step {
            Step::Reply {
                envelope,
                together: true,
                ..
            } => {
                answers.add(None, envelope, max_len, commands);
            }
            Step::Reply { envelope, .. } => {
                commands.add(|add| command::reply(add, stream, envelope, max_len));
            }
            Step::Note(_, written)
                if Said::read("answer", written.kind.as_bytes()) != Said::Other =>
            {
                answers.add(Some(written.kind), &written.body, max_len, commands);
            }
            // What is said of a call stays ahead of its answer, and behind that of an earlier one.
            Step::Note(_, written) => {
                answers.write(max_len, commands);
                let from = &core.instance;
                commands.add(|add| command::to_client(add, stream, from, written, max_len));
            }
            _ => {}
        }
    }
    for mut answers in streams {
        answers.write(max_len, commands);
        // Nobody may ever read them.
        commands.add_command(command::expire(answers.stream, core.options.reply_ttl));
    }
}

/// The answers to one client, in order.
struct Answers<'s> {
    stream: &'s str,
    /// What they are, where they are not in JSON.
    kind: Option<&'static str>,
    /// Those that go in the next entry.
    together: Vec<&'s [u8]>,
    bytes: usize,
}

impl<'s> Answers<'s> {
    const fn to(stream: &'s str) -> Self {
        Self {
            stream,
            kind: None,
            together: Vec::new(),
            bytes: 0,
        }
    }

    fn add(
        &mut self,
        kind: Option<&'static str>,
        answer: &'s [u8],
        max_len: usize,
        commands: &mut Commands,
    ) {
        if self.kind != kind || self.bytes + answer.len() > TOGETHER_BYTES {
            self.write(max_len, commands);
        }
        self.kind = kind;
        self.bytes += answer.len();
        self.together.push(answer);
    }

    fn write(&mut self, max_len: usize, commands: &mut Commands) {
        match &*self.together {
            [] => return,
            [one] if self.kind.is_none() => {
                commands.add(|add| command::reply(add, self.stream, one, max_len));
            }
            several => commands.add(|add| {
                command::replies(add, self.stream, self.kind, several, max_len);
            }),
        }
        self.together.clear();
        self.bytes = 0;
    }
}
