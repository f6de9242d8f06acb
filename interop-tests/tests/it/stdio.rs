//! ST1 and D4 with a worker of this side: what it prints, how it ends, what its stdin and stdout are.

mod child;
mod own;

use crate::harness::within;
use crate::worker::WorkerClient;
use mynah::dialect::{Dialect, Native};
use mynah::stdio::{ChildHandle, Program};
use mynah::{CallError, Limits, Logs, Peer};

/// The worker of this side, to be started.
fn program(argument: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_stdio_worker")).arg(argument)
}

/// A child that is talked to.
struct Child {
    peer: Peer,
    api: WorkerClient<Peer>,
    handle: ChildHandle,
    stderr: Logs,
}

impl Child {
    fn native() -> Self {
        Self::start(&program("native"), &Native::new(), Limits::default())
    }

    fn start(program: &Program, dialect: &impl Dialect, limits: Limits) -> Self {
        let mut child = program.spawn().expect("the child starts");
        let handle = child.connection.handle();
        let lines = child.connection.take_stderr().expect("stderr is read");
        let mut builder = Peer::over(child.connection, dialect)
            .limits(limits)
            .side_lines(lines)
            .evidence(child.evidence);
        let stderr = builder.logs();
        let peer = builder.start().expect("nothing is registered");
        Self {
            api: peer.client(),
            peer,
            handle,
            stderr,
        }
    }

    /// The next line of stderr.
    async fn line(&mut self) -> Option<String> {
        let line = within("a line of stderr", self.stderr.next()).await?;
        Some(line.stderr().expect("it is of stderr").to_owned())
    }
}

async fn done<T, E>(
    call: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    within("a call ends", call.into_future()).await
}
