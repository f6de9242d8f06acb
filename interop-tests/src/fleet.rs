//! The service of the Redis tests: each run leaves a mark in Redis, so that runs can be counted from outside, whoever was
//! killed meanwhile.

use crate::store::{Place, Store};
use mynah::redis_streams::{
    Effect, EffectReply, OperationError, Operations, RedisDialer, RedisOptions,
};
use mynah::{Context, ErrorCode, Peer, RpcError};
use mynah_protocol::Dialer as _;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Who ran it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Marked {
    /// The name of the server.
    pub by: String,
}

/// What a deposit came to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Deposited {
    /// What the account has after it.
    pub balance: i64,
    /// Who ran it.
    pub by: String,
}

/// The contract; PyPI servers of the tests have its first method.
#[mynah::service(name = "fleet-work", rename_all = "camelCase")]
pub trait Fleet {
    /// Appends the name of the server to the list `marks:ID` before it waits, and to `done:ID` after it.
    async fn mark(&self, id: String, milliseconds: u64) -> Result<Marked, RpcError>;
    /// Appends `SERVER TIME` to the list `runs:OPERATION`, as a plain handler would do what it does, and then adds to the
    /// account and to `effects:OPERATION` in one step with the operation.
    async fn deposit(
        &self,
        cx: &Context,
        account: String,
        amount: i64,
    ) -> Result<Deposited, RpcError>;
}

/// One server.
#[derive(Clone)]
pub struct Node {
    instance: Box<str>,
    store: Arc<Store>,
    operations: Operations,
}

/// Between two attempts to reach Redis.
const PAUSE: Duration = Duration::from_millis(20);

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A server of this name that keeps its marks here.
    ///
    /// # Errors
    /// Redis is not there.
    pub async fn connect(
        options: RedisOptions,
        instance: &str,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let store = Store::connect(Place::of(&options)).await?;
        Ok(Self {
            instance: instance.into(),
            store: Arc::new(store),
            operations: Operations::connect(options).await?,
        })
    }

    /// Appends to a list, as often as it takes; the call's deadline ends it.
    async fn append(&self, key: String, value: &str) {
        loop {
            match self
                .store
                .run(redis::cmd("RPUSH").arg(&key).arg(value))
                .await
            {
                Ok(_length) => return,
                // It may have been appended: a mark too many says less than one too few.
                Err(_error) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// A client of a fleet.
///
/// # Errors
/// Redis is not there.
pub async fn dial(options: RedisOptions) -> Result<Peer, Box<dyn Error + Send + Sync>> {
    let accepted = RedisDialer::new(options)?.dial().await?;
    let peer = Peer::over_transport(accepted.connection).evidence(accepted.evidence);
    Ok(peer.start()?)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis()
}

impl Fleet for Node {
    async fn mark(&self, id: String, milliseconds: u64) -> Result<Marked, RpcError> {
        self.append(format!("marks:{id}"), &self.instance).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        self.append(format!("done:{id}"), &self.instance).await;
        Ok(Marked {
            by: self.instance.to_string(),
        })
    }

    async fn deposit(
        &self,
        cx: &Context,
        account: String,
        amount: i64,
    ) -> Result<Deposited, RpcError> {
        let Some(operation) = cx.operation_id() else {
            return Err(RpcError::new(
                ErrorCode::INVALID_REQUEST,
                "a deposit needs an operation id",
            ));
        };
        let run = format!("{} {}", self.instance, now());
        self.append(format!("runs:{operation}"), &run).await;
        loop {
            let effect = Effect::new()
                .command(["INCRBY", &format!("balance:{account}"), &amount.to_string()])
                .command(["INCR", &format!("effects:{operation}")]);
            match self.operations.once("deposit", operation, effect).await {
                Ok(committed) => {
                    let first = committed.replies.first();
                    let balance = first.and_then(EffectReply::as_integer);
                    let Some(balance) = balance else {
                        return Err(RpcError::new(ErrorCode::application(1), "no balance"));
                    };
                    return Ok(Deposited {
                        balance,
                        by: self.instance.to_string(),
                    });
                }
                // Asked for again it tells whether it has happened.
                Err(OperationError::Unknown(_)) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    return Err(RpcError::new(ErrorCode::application(2), error.to_string()));
                }
            }
        }
    }
}
