//! One contract for both sides and both languages.

use mynah::Value;
use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Sum {
    pub(crate) sum: i64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Echoed {
    pub(crate) value: Value,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Notes {
    pub(crate) notes: Vec<String>,
}

#[mynah::service(name = "arith", rename_all = "camelCase")]
pub(crate) trait Arith {
    async fn add(&self, a: i64, b: i64) -> Result<Sum, RpcError>;
    async fn echo(&self, #[default] value: Value) -> Result<Echoed, RpcError>;
    async fn fail_with(
        &self,
        code: i64,
        message: String,
        data: Option<Value>,
    ) -> Result<Sum, RpcError>;
    async fn boom(&self) -> Result<Sum, RpcError>;
    /// On the Python side, whose result does not pass its own contract.
    async fn bad_result(&self) -> Result<Sum, RpcError>;
    #[notification]
    async fn note(&self, text: String);
    async fn notes(&self) -> Result<Notes, RpcError>;
    async fn sleep(&self, milliseconds: u64) -> Result<Sum, RpcError>;
    /// Nowhere on the Python side.
    async fn nowhere(&self) -> Result<Sum, RpcError>;
}

#[derive(Debug, Default)]
pub(crate) struct Here {
    heard: Mutex<Vec<String>>,
}

impl Arith for Here {
    async fn add(&self, a: i64, b: i64) -> Result<Sum, RpcError> {
        Ok(Sum { sum: a + b })
    }

    async fn echo(&self, value: Value) -> Result<Echoed, RpcError> {
        Ok(Echoed { value })
    }

    async fn fail_with(
        &self,
        code: i64,
        message: String,
        data: Option<Value>,
    ) -> Result<Sum, RpcError> {
        let error = RpcError::new(ErrorCode::from_wire(code), message);
        Err(match data {
            Some(data) => error.with_data(data),
            None => error,
        })
    }

    async fn boom(&self) -> Result<Sum, RpcError> {
        panic!("boom")
    }

    async fn bad_result(&self) -> Result<Sum, RpcError> {
        Ok(Sum { sum: 0 })
    }

    async fn note(&self, text: String) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(text);
    }

    async fn notes(&self) -> Result<Notes, RpcError> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Notes {
            notes: heard.clone(),
        })
    }

    async fn sleep(&self, milliseconds: u64) -> Result<Sum, RpcError> {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        Ok(Sum {
            sum: milliseconds.try_into().expect("small"),
        })
    }

    async fn nowhere(&self) -> Result<Sum, RpcError> {
        Ok(Sum { sum: 0 })
    }
}
