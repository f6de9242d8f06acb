//! What the transport knows about the peer. A peer cannot send any of it.

use crate::Value;
use alloc::vec::Vec;
use core::fmt;

/// The name of one fact in [`Evidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvidenceKey(&'static str);

impl EvidenceKey {
    /// The kind of transport: `tcp`, `memory`, …
    pub const TRANSPORT: Self = Self("transport");
    /// The address of the remote end, as text.
    pub const REMOTE_ADDRESS: Self = Self("remote_address");
    /// The address of this end, as text.
    pub const LOCAL_ADDRESS: Self = Self("local_address");
    /// The user of the peer's process on this machine, as its number.
    pub const USER_ID: Self = Self("uid");
    /// The group of the peer's process on this machine, as its number.
    pub const GROUP_ID: Self = Self("gid");
    /// The peer's process on this machine, as its number.
    pub const PROCESS_ID: Self = Self("pid");
    /// The name under which the peer was let in, as text. Whoever let it in has checked it.
    pub const USER: Self = Self("user");
    /// The type of the key with which the peer was let in, as text: `ssh-ed25519`.
    pub const KEY_TYPE: Self = Self("key_type");
    /// The fingerprint of that key, as text: `SHA256:` and base64.
    pub const KEY_FINGERPRINT: Self = Self("key_fingerprint");
    /// The methods that the peer may call, as [`AllowedMethods`](crate::AllowedMethods) writes them; absent when it may
    /// call all. What is not allowed is refused before its handler.
    pub const METHODS: Self = Self("methods");
    /// The status with which the process at the other end exited: an integer. Among the facts of a
    /// [`PeerEnd`](crate::PeerEnd).
    pub const EXIT_STATUS: Self = Self("exit_status");
    /// The signal that ended the process at the other end: an integer. Among the facts of a
    /// [`PeerEnd`](crate::PeerEnd).
    pub const SIGNAL: Self = Self("signal");

    /// A key of a transport's own.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Facts about the peer that come from the transport and not from the peer: addresses, user ids,
/// certificates, keys.
///
/// Shape: a short list of named values in the order in which the transport found them, each name
/// once. Empty when the transport knows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    facts: Vec<(EvidenceKey, Value)>,
}

impl Evidence {
    /// No facts.
    #[must_use]
    pub const fn new() -> Self {
        Self { facts: Vec::new() }
    }

    /// Adds a fact, or replaces the one of the same name.
    #[must_use]
    pub fn with(mut self, key: EvidenceKey, value: impl Into<Value>) -> Self {
        let value = value.into();
        match self.facts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => {
                // A few facts for each connection, as long as it lives.
                self.facts.reserve_exact(1);
                self.facts.push((key, value));
            }
        }
        self
    }

    /// The value of a fact.
    #[must_use]
    pub fn fact(&self, key: EvidenceKey) -> Option<&Value> {
        self.facts
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// The value of a fact that is a text.
    #[must_use]
    pub fn text(&self, key: EvidenceKey) -> Option<&str> {
        self.fact(key).and_then(Value::as_str)
    }

    /// The value of a fact that is an integer.
    #[must_use]
    pub fn integer(&self, key: EvidenceKey) -> Option<i64> {
        self.fact(key).and_then(Value::as_i64)
    }

    /// All facts.
    pub fn iter(&self) -> impl Iterator<Item = (EvidenceKey, &Value)> {
        self.facts.iter().map(|(key, value)| (*key, value))
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut known = false;
        for key in [EvidenceKey::TRANSPORT, EvidenceKey::REMOTE_ADDRESS] {
            if let Some(text) = self.text(key) {
                write!(f, "{}{text}", if known { " " } else { "" })?;
                known = true;
            }
        }
        for key in [EvidenceKey::USER_ID, EvidenceKey::PROCESS_ID] {
            if let Some(number) = self.integer(key) {
                write!(f, "{}{}={number}", if known { " " } else { "" }, key.name())?;
                known = true;
            }
        }
        if known {
            return Ok(());
        }
        f.write_str("unknown peer")
    }
}
