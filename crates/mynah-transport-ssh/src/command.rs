//! What is run on the other side.

use mynah_protocol::shell_word;
use std::fmt;

/// A command that the server hands to the user's login shell.
///
/// SSH carries one string, and a shell on the other side splits and expands it. A program and its arguments are quoted
/// for a POSIX shell, each for itself, so they arrive as they are.
///
/// Displayed, it is the string that goes to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteCommand {
    text: String,
}

impl RemoteCommand {
    /// A program without arguments. A name without a slash is looked for in the `PATH` of the other side.
    pub fn new(program: impl AsRef<str>) -> Self {
        Self {
            text: shell_word(program.as_ref()),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<str>) -> Self {
        self.text.push(' ');
        self.text.push_str(&shell_word(argument.as_ref()));
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(self, arguments: impl IntoIterator<Item: AsRef<str>>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// A text for the shell of the other side, as it is: it splits and expands it. Nothing that comes from elsewhere
    /// belongs into it.
    pub fn shell(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The string that goes to the server.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What keeps it from being sent.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.text.trim().is_empty() || self.text.starts_with("''") {
            Some("there is no command")
        } else if self.text.contains('\0') {
            Some("a command holds a NUL")
        } else {
            None
        }
    }
}

impl fmt::Display for RemoteCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RemoteCommand {
    /// Nothing of the text: it may hold what no log should, in its first word too (`TOKEN=… worker`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteCommand").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
