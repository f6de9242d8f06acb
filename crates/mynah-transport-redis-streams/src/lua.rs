//! Scripts that Redis runs as one step.

use crate::connect::Connection;
use redis::{RedisResult, Script, Value, cmd};
use std::sync::OnceLock;

/// A script on one key, so that it works in a cluster.
#[derive(Debug)]
pub(crate) struct Lua {
    text: &'static str,
    hash: OnceLock<String>,
}

impl Lua {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self {
            text,
            hash: OnceLock::new(),
        }
    }

    /// Runs it; Redis is sent its text only when it does not know it.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        key: &str,
        arguments: &[String],
    ) -> RedisResult<Value> {
        let hash = self
            .hash
            .get_or_init(|| Script::new(self.text).get_hash().to_owned());
        let mut by_hash = cmd("EVALSHA");
        by_hash.arg(hash).arg(1).arg(key).arg(arguments);
        match connection.run(&by_hash).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                let mut by_text = cmd("EVAL");
                by_text.arg(self.text).arg(1).arg(key).arg(arguments);
                connection.run(&by_text).await
            }
            answer => answer,
        }
    }
}
