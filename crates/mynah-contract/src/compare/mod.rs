//! What a change of contracts breaks, by method, with the field and the reason.

mod methods;
mod reason;
mod shapes;

pub use reason::Reason;

use crate::{Contract, Manifest};
use std::fmt;

/// What a change asks of those who are there already.
///
/// Ordered: the last is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Old and new programs understand each other, whichever side is replaced first.
    Compatible,
    /// What is deployed goes on working when the servers are replaced first; new clients need new servers.
    NeedsBothSides,
    /// Clients that are deployed fail at new servers, at least when they use what has changed.
    Breaking,
}

/// One difference between two contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub(crate) service: String,
    pub(crate) member: Option<String>,
    pub(crate) path: String,
    pub(crate) reason: Reason,
    pub(crate) breaks_old_clients: bool,
    pub(crate) breaks_new_clients: bool,
}

/// What is different between two manifests, an old and a new one.
///
/// ```
/// use mynah_contract::{Comparison, Contract, Method, MethodKind, Schema, Verdict};
///
/// let contract = |result: &str| {
///     let result: Schema = result.parse()?;
///     Contract::new("users").with_method(Method::new("find", MethodKind::Unary).with_result(result))
/// };
/// let old = contract(r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#)?;
/// let new = contract(r#"{"type":"object","properties":{}}"#)?;
/// let comparison = Comparison::of(&old.manifest(), &new.manifest());
/// assert_eq!(comparison.verdict(), Verdict::Breaking);
/// assert_eq!(
///     comparison.changes()[0].to_string(),
///     "breaking: users.find result.name: required field removed",
/// );
/// # Ok::<(), mynah_contract::ContractError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    changes: Vec<Change>,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::NeedsBothSides => "needs both sides",
            Self::Breaking => "breaking",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Change {
    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The name of the method or the topic of the event; `None` when the whole service is meant.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// Where in the method: `params.doc.title`, `result[].name`; empty for the method itself. `[]` is an element of a list,
    /// `{}` a value of a map, and `<name>` a variant.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is different.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Whether a client of the old contract fails at a server of the new one.
    #[must_use]
    pub const fn breaks_old_clients(&self) -> bool {
        self.breaks_old_clients
    }

    /// Whether a client of the new contract fails at a server of the old one.
    #[must_use]
    pub const fn breaks_new_clients(&self) -> bool {
        self.breaks_new_clients
    }

    /// What it asks of those who are there already.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match (self.breaks_old_clients, self.breaks_new_clients) {
            (true, _) => Verdict::Breaking,
            (false, true) => Verdict::NeedsBothSides,
            (false, false) => Verdict::Compatible,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict(), self.service.escape_debug())?;
        if let Some(member) = &self.member {
            // A topic has its service in it already.
            match member
                .strip_prefix(&self.service)
                .and_then(|rest| rest.strip_prefix('.'))
            {
                Some(rest) => write!(f, ".{}", rest.escape_debug())?,
                None => write!(f, ".{}", member.escape_debug())?,
            }
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path.escape_debug())?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Comparison {
    /// Holds two manifests against each other.
    #[must_use]
    pub fn of(old: &Manifest, new: &Manifest) -> Self {
        let mut changes = Vec::new();
        for contract in old.contracts() {
            match new.contract(contract.name()) {
                Some(new) => methods::contracts(contract, new, &mut changes),
                None => changes.push(Change::of_service(contract, Reason::ServiceRemoved)),
            }
        }
        for contract in new.contracts() {
            if old.contract(contract.name()).is_none() {
                changes.push(Change::of_service(contract, Reason::ServiceAdded));
            }
        }
        Self { changes }
    }

    /// Holds two contracts of one service against each other.
    #[must_use]
    pub fn of_contracts(old: &Contract, new: &Contract) -> Self {
        let mut changes = Vec::new();
        methods::contracts(old, new, &mut changes);
        Self { changes }
    }

    /// The worst of what is asked.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.changes.iter().map(Change::verdict);
        verdicts.max().unwrap_or(Verdict::Compatible)
    }

    /// The worst of what is asked for one method, or one topic.
    #[must_use]
    pub fn verdict_of(&self, service: &str, member: &str) -> Verdict {
        let changes = self.changes.iter().filter(|change| {
            change.service == service && change.member.as_deref().is_none_or(|name| name == member)
        });
        let verdicts = changes.map(Change::verdict);
        verdicts.max().unwrap_or(Verdict::Compatible)
    }

    /// Every difference, in the order of the services and their methods.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing is different.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("nothing is different");
        }
        write!(f, "{}", self.verdict())?;
        self.changes
            .iter()
            .try_for_each(|change| write!(f, "\n  {change}"))
    }
}

impl Change {
    fn of_service(contract: &Contract, reason: Reason) -> Self {
        let removed = reason == Reason::ServiceRemoved;
        Self {
            service: contract.name().to_owned(),
            member: None,
            path: String::new(),
            reason,
            breaks_old_clients: removed,
            breaks_new_clients: !removed,
        }
    }
}
