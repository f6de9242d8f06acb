//! Commands that go to Redis together, in the form that their connection takes.
//!
//! Connections of our own take them as they go over the wire, so that they are written once and in one place; those of the
//! library take the library's.

use crate::entry::EntryId;
use redis::{Cmd, Pipeline};

/// What begins a transaction. It is there always, and sent where there is one.
const BEGIN: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// The room for how many words a command has: most have a number of two digits.
const COUNT: &[u8] = b"*00\r\n";
const END: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Takes the words of a command, its name first.
pub(crate) trait Words {
    fn word(&mut self, word: &[u8]);

    /// A number in decimal digits.
    fn number(&mut self, number: u64) {
        self.word(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A field of an entry.
    fn field(&mut self, name: &str, value: &[u8]) {
        self.word(name.as_bytes());
        self.word(value);
    }

    /// About how many entries a stream may have.
    fn at_most(&mut self, entries: u64) {
        self.word(b"MAXLEN");
        self.word(b"~");
        self.number(entries);
    }

    /// A word of so many bytes, which `put` adds.
    fn parts(&mut self, bytes: usize, put: &mut dyn FnMut(&mut Vec<u8>)) {
        let mut word = Vec::with_capacity(bytes);
        put(&mut word);
        self.word(&word);
    }

    /// The id of an entry.
    fn id(&mut self, id: EntryId) {
        self.word(id.spelled().as_bytes());
    }
}

impl Words for Cmd {
    fn word(&mut self, word: &[u8]) {
        self.arg(word);
    }
}

/// Commands that go together.
#[derive(Debug)]
pub(crate) enum Commands {
    Packed(Packed),
    Library(Pipeline),
}

impl Commands {
    /// For connections of the library.
    pub(crate) fn of_library() -> Self {
        Self::Library(Pipeline::new())
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len,
            Self::Library(commands) => commands.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the command that is made of the words which `say` says.
    pub(crate) fn add(&mut self, say: impl FnOnce(&mut dyn Words)) {
        match self {
            Self::Packed(packed) => {
                packed.start();
                say(packed);
                packed.finish();
            }
            Self::Library(commands) => {
                let mut command = Cmd::new();
                say(&mut command);
                commands.add_command(command);
            }
        }
    }

    /// Adds one that was made before.
    pub(crate) fn add_command(&mut self, command: Cmd) {
        match self {
            Self::Packed(packed) => {
                command.write_packed_command(&mut packed.bytes);
                packed.len += 1;
            }
            Self::Library(commands) => {
                commands.add_command(command);
            }
        }
    }

    /// Each by itself. Of those that are packed: none.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Cmd> {
        let commands = match self {
            Self::Packed(_) => None,
            Self::Library(commands) => Some(commands.cmd_iter()),
        };
        commands.into_iter().flatten()
    }

    /// Has texts among the answers be answered with, as those of commands for the library are.
    pub(crate) const fn with_texts(&mut self) {
        if let Self::Packed(packed) = self {
            packed.texts = true;
        }
    }

    /// Has Redis do all of it or nothing.
    pub(crate) fn atomic(&mut self) {
        match self {
            Self::Packed(packed) => packed.atomic = true,
            Self::Library(commands) => {
                commands.atomic();
            }
        }
    }
}

/// Commands as they go over the wire.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    len: usize,
    atomic: bool,
    texts: bool,
    /// Where the command that is being said begins, and how many words it has until now.
    start: usize,
    words: u64,
}

impl Packed {
    /// In the room of others that were sent.
    pub(super) fn within(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend_from_slice(BEGIN);
        Self {
            bytes,
            ..Self::default()
        }
    }

    fn start(&mut self) {
        self.start = self.bytes.len();
        self.words = 0;
        self.bytes.extend_from_slice(COUNT);
    }

    /// What stands in front of a word.
    fn head(&mut self, bytes: usize) {
        self.words += 1;
        // Most are short, and need no arithmetic.
        if let Ok(digit @ 0..=9) = u8::try_from(bytes) {
            self.bytes.reserve(bytes + 6);
            self.bytes
                .extend_from_slice(&[b'$', b'0' + digit, b'\r', b'\n']);
            return;
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(bytes).as_bytes();
        self.bytes.reserve(bytes + digits.len() + 5);
        self.bytes.push(b'$');
        self.bytes.extend_from_slice(digits);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn finish(&mut self) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(self.words).as_bytes();
        let room = self.start + 1..self.start + 3;
        match self.bytes.get_mut(room.clone()) {
            Some(room) if room.len() == digits.len() => room.copy_from_slice(digits),
            _ => drop(self.bytes.splice(room, digits.iter().copied())),
        }
        self.len += 1;
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_atomic(&self) -> bool {
        self.atomic
    }

    /// Whether texts among the answers are wanted.
    pub(super) const fn wants_texts(&self) -> bool {
        self.texts
    }

    /// What is sent, and from which byte on.
    pub(super) fn into_bytes(mut self) -> (Vec<u8>, usize) {
        if self.atomic {
            self.bytes.extend_from_slice(END);
            return (self.bytes, 0);
        }
        (self.bytes, BEGIN.len())
    }
}

impl Words for Packed {
    fn word(&mut self, word: &[u8]) {
        self.head(word.len());
        self.bytes.extend_from_slice(word);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn parts(&mut self, bytes: usize, put: &mut dyn FnMut(&mut Vec<u8>)) {
        self.head(bytes);
        let start = self.bytes.len();
        put(&mut self.bytes);
        debug_assert_eq!(self.bytes.len(), start + bytes, "as many as were said");
        self.bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(atomic: bool) -> Vec<u8> {
        let mut commands = Commands::Packed(Packed::within(b"of before".to_vec()));
        commands.add(|words| {
            words.word(b"XADD");
            words.word(b"");
            words.number(0);
            words.word(&[b'x'; 1234]);
            words.number(u64::MAX);
        });
        let mut ping = Cmd::new();
        ping.arg("PING").arg(12);
        commands.add_command(ping);
        for words in [9, 10, 99, 100, 1000] {
            commands.add(|many| (0..words).for_each(|word| many.number(word)));
        }
        if atomic {
            commands.atomic();
        }
        assert_eq!(commands.len(), 7);
        let Commands::Packed(packed) = commands else {
            panic!("it was made so");
        };
        let (bytes, from) = packed.into_bytes();
        bytes[from..].to_vec()
    }

    #[test]
    fn they_are_written_as_the_library_writes_them() {
        for atomic in [false, true] {
            let mut commands = Pipeline::new();
            let long = [b'x'; 1234];
            let add = commands.cmd("XADD").arg("").arg(0);
            add.arg(&long).arg(u64::MAX);
            commands.cmd("PING").arg(12);
            for words in [9, 10, 99, 100, 1000] {
                let mut many = Cmd::new();
                for word in 0..words {
                    many.arg(word);
                }
                commands.add_command(many);
            }
            if atomic {
                commands.atomic();
            }
            assert_eq!(packed(atomic), commands.get_packed_pipeline());
        }
    }
}
