//! The login: each identity in turn, until one is taken.

use super::handler::ClientHandler;
use crate::identity::{Identity, Proof, is_spoken, read_key, read_secret};
use mynah_protocol::{TransportError, TransportErrorKind};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use std::path::Path;
use std::sync::Arc;

/// How many keys of an agent are offered. Servers count each, and OpenSSH ends the connection at the sixth.
const AGENT_KEYS: usize = 16;

/// What was tried, and what came of it.
struct Login<'l> {
    session: &'l mut Handle<ClientHandler>,
    user: &'l str,
    tried: Vec<String>,
    /// What the server would take, as far as it has said.
    takes: Option<MethodSet>,
    /// It takes nothing any more.
    over: bool,
}

/// Logs a user in. The error says what was tried.
pub(super) async fn log_in(
    session: &mut Handle<ClientHandler>,
    user: &str,
    identities: &[Identity],
) -> Result<(), TransportError> {
    let usual;
    let (identities, strict) = if identities.is_empty() {
        usual = Identity::usual();
        (usual.as_slice(), false)
    } else {
        (identities, true)
    };
    let mut login = Login {
        session,
        user,
        tried: Vec::new(),
        takes: None,
        over: false,
    };
    for identity in identities {
        match login.try_one(identity).await {
            Ok(true) => return Ok(()),
            Ok(false) if login.over => break,
            Ok(false) => {}
            // What was asked for by name and cannot be used is an error; what is merely usual is passed over.
            Err(error) if strict => return Err(error),
            Err(error) => login.tried.push(error.chain()),
        }
    }
    Err(login.failure())
}

impl Login<'_> {
    async fn try_one(&mut self, identity: &Identity) -> Result<bool, TransportError> {
        match &identity.proof {
            Proof::File(path, passphrase) => {
                let key = read_key(path, passphrase.as_ref()).await?;
                let from = path.display().to_string();
                self.try_key(Arc::new(key), &from).await
            }
            Proof::Key(key) => self.try_key(Arc::clone(key), "memory").await,
            Proof::Agent(socket) => self.try_agent(socket.as_deref()).await,
            Proof::Password(password) => self.try_password(password.reveal()).await,
            Proof::PasswordFile(path) => {
                let text = read_secret(path).await?;
                self.try_password(text.lines().next().unwrap_or_default())
                    .await
            }
        }
    }

    async fn try_key(&mut self, key: Arc<PrivateKey>, from: &str) -> Result<bool, TransportError> {
        if !self.takes(MethodKind::PublicKey) {
            return Ok(false);
        }
        let what = format!("key {} of {from}", key.fingerprint(HashAlg::Sha256));
        let key = PrivateKeyWithHashAlg::new(key, None);
        let answer = self.session.authenticate_publickey(self.user, key).await;
        Ok(self.heard(what, answer))
    }

    async fn try_password(&mut self, password: &str) -> Result<bool, TransportError> {
        if !self.takes(MethodKind::Password) {
            self.tried
                .push("a password, which the server does not take".to_owned());
            return Ok(false);
        }
        let answer = self
            .session
            .authenticate_password(self.user, password)
            .await;
        Ok(self.heard("a password".to_owned(), answer))
    }

    async fn try_agent(&mut self, socket: Option<&Path>) -> Result<bool, TransportError> {
        let fail = |error: russh::keys::Error| {
            let what = "no agent can be asked for keys";
            TransportError::new(TransportErrorKind::Denied, what).with_source(error)
        };
        let mut agent = match socket {
            Some(path) => AgentClient::connect_uds(path).await,
            None => AgentClient::connect_env().await,
        }
        .map_err(fail)?;
        let identities = agent.request_identities().await.map_err(fail)?;
        let keys = identities.iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            AgentIdentity::Certificate { .. } => None,
        });
        let mut any = false;
        for key in keys
            .filter(|key| is_spoken(&key.algorithm()))
            .take(AGENT_KEYS)
        {
            any = true;
            if !self.takes(MethodKind::PublicKey) {
                return Ok(false);
            }
            let what = format!("key {} of the agent", key.fingerprint(HashAlg::Sha256));
            let signed = self
                .session
                .authenticate_publickey_with(self.user, key.clone(), None, &mut agent)
                .await;
            match signed {
                Ok(answer) => {
                    if self.heard(what, Ok(answer)) {
                        return Ok(true);
                    }
                }
                // It is locked, or whoever was asked said no.
                Err(error) => self
                    .tried
                    .push(format!("{what}, with which it does not sign: {error}")),
            }
            if self.over {
                return Ok(false);
            }
        }
        if !any {
            self.tried
                .push("the agent, which has no Ed25519 or ECDSA key".to_owned());
        }
        Ok(false)
    }

    fn takes(&self, method: MethodKind) -> bool {
        !self.over
            && self
                .takes
                .as_ref()
                .is_none_or(|takes| takes.contains(&method))
    }

    fn heard(&mut self, what: String, answer: Result<AuthResult, russh::Error>) -> bool {
        match answer {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                let more = if partial_success {
                    ", after which the server wants more"
                } else {
                    ""
                };
                // An empty list is what there is when the connection is gone, too.
                self.over = remaining_methods.is_empty() || self.session.is_closed();
                self.takes = Some(remaining_methods);
                self.tried.push(format!("{what}{more}"));
            }
            Err(error) => {
                self.over = true;
                self.tried.push(format!("{what}: {error}"));
            }
        }
        false
    }

    fn failure(self) -> TransportError {
        let mut what = format!("the server does not let {} in", self.user.escape_debug());
        if self.tried.is_empty() {
            what.push_str("; there was no key, no agent and no password to try");
        } else {
            what.push_str("; tried: ");
            what.push_str(&self.tried.join(", "));
        }
        if let Some(takes) = self.takes.filter(|takes| !takes.is_empty()) {
            let names: Vec<&str> = takes.iter().map(Into::into).collect();
            what.push_str("; it takes ");
            what.push_str(&names.join(", "));
        }
        TransportError::new(TransportErrorKind::Denied, what)
    }
}
