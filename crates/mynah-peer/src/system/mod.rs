//! What every peer answers without registering it: the system namespace `$sys`, which some wires call `#sys`.

mod check;
mod contracts;
mod serve;

pub use check::{CheckError, Contracted};
pub(crate) use contracts::Contracts;
pub use contracts::Shown;
pub(crate) use serve::{built_in, is_system};

use crate::call::CallBuilder;
use crate::error::CallError;
use crate::peer::Peer;
use mynah_contract::{Comparison, Hash, Manifest};
use mynah_protocol::{Opaque, Value};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The service of the system namespace.
pub(crate) const SYSTEM_SERVICE: &str = "$sys";
const DESCRIBE: &str = "describe";
const PING: &str = "ping";

impl Peer {
    /// Asks the other side what it offers: its services with their methods and events, docs, and schemas where it knows
    /// them. It says what this side may see, which is for it to decide.
    ///
    /// # Errors
    /// - [`CallError::Remote`] with -32601 from a peer that does not describe itself.
    /// - [`CallError::Remote`] with -32603 when what it says is no manifest; the text names the place.
    /// - As for any call.
    ///
    /// Cancel safety: dropping it cancels the call.
    pub async fn describe(&self) -> Result<Manifest, CallError> {
        self.described(None).await
    }

    /// The same for one service.
    ///
    /// # Errors
    /// As for [`Self::describe`].
    ///
    /// Cancel safety: dropping it cancels the call.
    pub async fn describe_service(&self, service: &str) -> Result<Manifest, CallError> {
        self.described(Some(service)).await
    }

    /// Asks the other side for an answer to nothing, and says how long it took. Unlike the pings of a connection it goes
    /// the way of a call.
    ///
    /// # Errors
    /// As for any call.
    ///
    /// Cancel safety: dropping it cancels the call.
    pub async fn ping(&self) -> Result<Duration, CallError> {
        let start = Instant::now();
        if self.local_server().is_none() {
            let answer = self.system(PING).result::<String>().await;
            let answer = answer.map_err(|error| error.typed(true))?;
            if answer != serve::PONG {
                return Err(CallError::Remote(serve::no_answer("a pong")));
            }
        }
        Ok(start.elapsed())
    }

    /// Whether this program's contract of a service still fits what the other side has. `K` is what the macro made:
    /// `peer.check::<ArithClient>()`.
    ///
    /// A server that announces its contracts ([`Server::announce_contracts`](crate::Server::announce_contracts)) has said
    /// the hash in its hello: if it is equal, nothing is asked. Otherwise it is asked to describe the service. What is
    /// different and does no harm to this client is given back.
    ///
    /// # Errors
    /// - [`CheckError::Drift`] when this client fails at that server, with the method, the field and the reason.
    /// - [`CheckError::Absent`] when it has no such service, or does not show it.
    /// - [`CheckError::Call`] when it cannot be asked.
    ///
    /// Cancel safety: dropping it cancels the call.
    pub async fn check<K: Contracted>(&self) -> Result<Comparison, CheckError> {
        let own = K::contract();
        if let (Some(announced), Ok(hash)) = (self.announced(own.name()).await, own.whole_hash())
            && is_hash(&announced, hash)
        {
            return Ok(Comparison::default());
        }
        let theirs = self.describe_service(own.name()).await?;
        check::held_against(&own, &theirs)
    }

    /// A call of the system namespace. Where services are not said, both names stand in that of the method.
    fn system(&self, method: &'static str) -> CallBuilder<Self> {
        if self.says_services() {
            self.call(SYSTEM_SERVICE, method)
        } else {
            self.call("", format!("{SYSTEM_SERVICE}.{method}"))
        }
    }

    async fn described(&self, service: Option<&str>) -> Result<Manifest, CallError> {
        let value = if let Some(server) = self.local_server() {
            let described = server.router.described(server.evidence(), service);
            let described = described.map_err(|error| CallError::Remote(*error))?;
            Arc::unwrap_or_clone(described)
        } else {
            let call = self.system(DESCRIBE).params(Asked { service });
            let answer = call.result::<Value>().await;
            answer.map_err(|error| error.typed(true))?
        };
        Manifest::from_value(&value).map_err(|error| {
            let text = format!("the other side describes itself with no manifest: {error}");
            CallError::Remote(serve::internal(text))
        })
    }
}

/// What `describe` takes.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
}

/// A hello in a format without bytes says hexadecimal digits.
fn is_hash(announced: &Opaque, hash: Hash) -> bool {
    match announced {
        Opaque::Bytes(bytes) => **bytes == *hash.as_bytes(),
        Opaque::Text(text) => Hash::from_hex(text) == Some(hash),
    }
}
