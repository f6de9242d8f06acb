//! The service of the Redis tests whose calls are more than a question and an answer.

use futures::{Stream, StreamExt as _, stream};
use mynah::{Callback, Incoming, RpcError};
use std::time::Duration;

/// The contract.
#[mynah::service(name = "fleet-flow", rename_all = "camelCase")]
pub trait Flow {
    /// The numbers from zero, each after a pause.
    fn count(&self, to: u64, milliseconds: u64)
    -> impl Stream<Item = Result<u64, RpcError>> + Send;
    /// What comes in, added.
    async fn sum(&self, numbers: Incoming<u64>) -> Result<u64, RpcError>;
    /// Asks so often, and adds what it is told.
    async fn ask(&self, times: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError>;
    /// Who answers.
    async fn who(&self) -> Result<String, RpcError>;
}

/// One server.
#[derive(Clone, Debug)]
pub struct Flows {
    /// Its name.
    pub instance: Box<str>,
}

impl Flow for Flows {
    fn count(
        &self,
        to: u64,
        milliseconds: u64,
    ) -> impl Stream<Item = Result<u64, RpcError>> + Send {
        stream::iter(0..to).then(move |number| async move {
            if milliseconds > 0 {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            Ok(number)
        })
    }

    async fn sum(&self, mut numbers: Incoming<u64>) -> Result<u64, RpcError> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    }

    async fn ask(&self, times: u64, asked: Callback<u64, u64>) -> Result<u64, RpcError> {
        let mut sum = 0;
        for time in 0..times {
            sum += asked.call(time).await?;
        }
        Ok(sum)
    }

    async fn who(&self) -> Result<String, RpcError> {
        Ok(self.instance.to_string())
    }
}
