//! The floor in process: a bounded `mpsc` to one task, a `oneshot` back. No format, no rules.

use mynah_bench::{
    Address, Contender, Echo, Failure, Listening, Load, Tally, TypedEcho, echo_tasks,
};
use std::process::ExitCode;
use tokio::sync::{mpsc, oneshot};

const QUEUE: usize = 1024;

#[derive(Clone)]
struct Channel(mpsc::Sender<(Echo, oneshot::Sender<Echo>)>);

impl Contender for Channel {
    async fn serve(_: Listening, _: &str) -> Result<(), Failure> {
        Err("in process there is no server".into())
    }

    async fn connect(_: Option<Address>, _: &str) -> Result<Self, Failure> {
        let (sender, mut requests) = mpsc::channel::<(Echo, oneshot::Sender<Echo>)>(QUEUE);
        tokio::spawn(async move {
            while let Some((value, reply)) = requests.recv().await {
                // A caller that has gone wants no answer.
                let _ = reply.send(value);
            }
        });
        Ok(Self(sender))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }
}

impl TypedEcho for Channel {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send((value, reply))
            .await
            .map_err(|_| "the handler has gone")?;
        Ok(answer.await?)
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Channel>()
}
