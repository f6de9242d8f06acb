//! What a shell prints before the command begins.

use super::start::Remote;
use super::stream::SshStream;
use crate::command::RemoteCommand;
use mynah_protocol::{TransportError, TransportErrorKind};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::AsyncReadExt as _;

/// A line that nobody else prints.
pub(super) struct Marker(String);

/// How much of what came in its place an error shows.
const SHOWN_BYTES: usize = 120;

impl Marker {
    pub(super) fn new() -> Result<Self, TransportError> {
        let mut random = [0; 16];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_unspecified| {
                TransportError::new(
                    TransportErrorKind::Other,
                    "the system has no random numbers",
                )
            })?;
        let random = data_encoding::HEXLOWER.encode(&random);
        Ok(Self(format!("mynah-begins-{random}")))
    }

    /// The command, behind a line that says it begins. What was printed before need not have ended its line.
    pub(super) fn before(&self, command: &RemoteCommand) -> RemoteCommand {
        RemoteCommand::shell(format!("printf '\\n%s\\n' {}; {command}", self.0))
    }

    /// Reads up to the line, at most `most` bytes; they become lines beside the connection.
    pub(super) async fn skip(
        &self,
        stream: &mut SshStream,
        most: usize,
    ) -> Result<(), TransportError> {
        let line = format!("\n{}\n", self.0);
        let mut seen = Vec::new();
        // Where the line may begin: not before what was searched already.
        let mut from = 0;
        loop {
            if let Some(at) = find(&seen, line.as_bytes(), from) {
                let behind = seen.split_off(at + line.len());
                stream.unread(behind);
                seen.truncate(at);
                stream.note(&seen);
                return Ok(());
            }
            from = (seen.len() + 1).saturating_sub(line.len());
            if seen.len() > most.saturating_add(line.len()) {
                return Err(fail(&format!("more than {most} bytes came"), &seen));
            }
            match stream.read_buf(&mut seen).await {
                Ok(1..) => {}
                Ok(0) => return Err(fail("the end came", &seen)),
                Err(error) => return Err(fail("the end came", &seen).with_source(error)),
            }
        }
    }
}

fn fail(what: &str, seen: &[u8]) -> TransportError {
    let shown = seen.get(..SHOWN_BYTES).unwrap_or(seen).escape_ascii();
    let what = format!("{what} before the remote command began; what came began \"{shown}\"");
    TransportError::new(TransportErrorKind::Broken, what)
}

/// Where a part begins, if not before `from`.
fn find(all: &[u8], part: &[u8], from: usize) -> Option<usize> {
    let mut windows = all.get(from..)?.windows(part.len());
    windows
        .position(|window| window == part)
        .map(|at| from + at)
}

impl Remote {
    /// The same with a line before it, when it is a command.
    pub(super) fn marked(&self, marker: &Marker) -> Option<Self> {
        match self {
            Self::Command(command) => Some(Self::Command(marker.before(command))),
            Self::Subsystem(_) | Self::Socket(_) => None,
        }
    }
}
