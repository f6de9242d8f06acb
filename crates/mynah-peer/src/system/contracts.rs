//! What a router knows of the contracts of its services, and who may see it.

use crate::method::MethodKind;
use crate::router::MethodEntry;
use mynah_contract::{Contract, ContractError, Event, Manifest, Method, Param};
use mynah_protocol::{AllowedMethods, Evidence, MethodName, Opaque, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// One entry of a contract, about which somebody is asked whether a caller may see it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shown<'a> {
    /// A method of a service.
    Method {
        /// The name of the service.
        service: &'a str,
        /// The method.
        method: &'a Method,
    },
    /// An event of a service.
    Event {
        /// The name of the service.
        service: &'a str,
        /// The event.
        event: &'a Event,
    },
}

type Show = Arc<dyn Fn(&Evidence, Shown<'_>) -> bool + Send + Sync>;

/// Contracts of a router. Those of the macro are made when somebody asks.
#[derive(Default)]
pub(crate) struct Contracts {
    made: Vec<fn() -> Contract>,
    given: Vec<Contract>,
    show: Option<Show>,
    announced: bool,
    known: OnceLock<Result<Arc<Manifest>, ContractError>>,
    hashes: OnceLock<BTreeMap<Box<str>, Opaque>>,
    /// What everybody is told where nobody asks who may see it, and the methods that were there.
    told: Mutex<Option<(Vec<MethodEntry>, Arc<Value>)>>,
}

impl fmt::Debug for Contracts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contracts")
            .field("made", &self.made.len())
            .field("given", &self.given.len())
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}

impl Contracts {
    pub(crate) fn extend(&mut self, made: Vec<fn() -> Contract>) {
        self.made.extend(made);
    }

    pub(crate) fn give(&mut self, contract: Contract) {
        self.given.push(contract);
    }

    pub(crate) fn show(&mut self, show: Show) {
        self.show = Some(show);
    }

    pub(crate) const fn announce(&mut self) {
        self.announced = true;
    }

    /// Methods of contracts that were given, which somebody has to answer.
    pub(crate) fn promised(&self) -> impl Iterator<Item = MethodName<'_>> {
        self.given.iter().flat_map(|contract| {
            let methods = contract.methods().iter();
            methods.map(|method| MethodName::new(contract.name(), method.name()))
        })
    }

    /// Every contract, one for each service.
    fn manifest(&self) -> Result<Arc<Manifest>, ContractError> {
        let known = self.known.get_or_init(|| {
            let mut by_name: BTreeMap<String, Contract> = BTreeMap::new();
            let given = self.given.iter().cloned();
            for contract in given.chain(self.made.iter().map(|make| make())) {
                let contract = match by_name.remove(contract.name()) {
                    Some(known) => known.with_rest_of(&contract)?,
                    None => contract,
                };
                by_name.insert(contract.name().to_owned(), contract);
            }
            Ok(Arc::new(Manifest::new(by_name.into_values())?))
        });
        known.clone()
    }

    /// The manifest of what a caller may see. Made once where everybody sees the same: hashes are dear, and anybody asks.
    pub(crate) fn described(
        &self,
        caller: &Evidence,
        service: Option<&str>,
        all: Vec<MethodEntry>,
    ) -> Result<Arc<Value>, ContractError> {
        if self.show.is_some() || AllowedMethods::of(caller).is_some() {
            return Ok(Arc::new(self.seen(caller, service, all)?.to_value()?));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = match &*told {
            Some((methods, value)) if *methods == all => Arc::clone(value),
            _ => {
                let seen = self.seen(caller, None, all.clone())?;
                let value = Arc::new(seen.to_value()?);
                *told = Some((all, Arc::clone(&value)));
                value
            }
        };
        drop(told);
        Ok(match service {
            None => whole,
            Some(service) => Arc::new(only(service, &whole)),
        })
    }

    /// What a caller may see. `all`: the methods that are there, of which some may have no entry.
    pub(crate) fn seen(
        &self,
        caller: &Evidence,
        service: Option<&str>,
        all: Vec<MethodEntry>,
    ) -> Result<Manifest, ContractError> {
        let manifest = self.manifest()?;
        let wanted = |name: &str| service.is_none_or(|service| service == name);
        let contracts = manifest.contracts().iter();
        let mut by_name: BTreeMap<String, Contract> = contracts
            .filter(|contract| wanted(contract.name()))
            .map(|contract| (contract.name().to_owned(), contract.clone()))
            .collect();
        for entry in all {
            let name = &entry.name;
            if !wanted(&name.service) {
                continue;
            }
            let known = by_name.remove(&*name.service);
            let mut contract = known.unwrap_or_else(|| Contract::new(&*name.service));
            if contract.method(&name.method).is_none() {
                contract = contract.with_method(by_hand(&entry))?;
            }
            by_name.insert(contract.name().to_owned(), contract);
        }
        let allowed = AllowedMethods::of(caller);
        if self.show.is_none() && allowed.is_none() {
            return Manifest::new(by_name.into_values());
        }
        let shows = |shown: Shown<'_>| {
            let may = allowed.as_ref().is_none_or(|allowed| match shown {
                Shown::Method { service, method } => {
                    allowed.allows(&MethodName::new(service, method.name()))
                }
                Shown::Event { event, .. } => allowed.allows_topic(event.topic()),
            });
            may && self.show.as_ref().is_none_or(|show| show(caller, shown))
        };
        let seen = by_name.into_values().map(|contract| {
            let service = contract.name();
            contract.filtered(
                |method| shows(Shown::Method { service, method }),
                |event| shows(Shown::Event { service, event }),
            )
        });
        let something =
            |contract: &Contract| !contract.methods().is_empty() || !contract.events().is_empty();
        Manifest::new(seen.filter(something))
    }

    /// What a hello says of them: nothing unless it was asked for. Hashes are made once.
    pub(crate) fn hashes(&self) -> Option<&BTreeMap<Box<str>, Opaque>> {
        if !self.announced {
            return None;
        }
        let hashes = self.hashes.get_or_init(|| {
            let manifest = self.manifest().ok();
            let contracts = manifest.iter().flat_map(|manifest| manifest.contracts());
            contracts
                .filter_map(|contract| {
                    let hash = contract.whole_hash().ok()?;
                    Some((
                        contract.name().into(),
                        Opaque::Bytes((*hash.as_bytes()).into()),
                    ))
                })
                .collect()
        });
        Some(hashes)
    }
}

/// A manifest without the other services.
fn only(service: &str, manifest: &Value) -> Value {
    let entries = manifest.as_map().unwrap_or_default().iter();
    let entries = entries.map(|(name, value)| {
        let value = match (name.as_str(), value) {
            (Some("services"), Value::Map(services)) => {
                let wanted = services
                    .iter()
                    .filter(|(name, _)| name.as_str() == Some(service));
                Value::Map(wanted.cloned().collect())
            }
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Map(entries.collect())
}

/// What is known of a method that no contract names.
fn by_hand(entry: &MethodEntry) -> Method {
    let kind = match entry.kind {
        MethodKind::Unary => mynah_contract::MethodKind::Unary,
        MethodKind::Notification => mynah_contract::MethodKind::Notification,
        MethodKind::Stream => mynah_contract::MethodKind::ServerStream,
    };
    let method = Method::new(&*entry.name.method, kind);
    if entry.params.is_empty() {
        return method.with_unknown_params();
    }
    let params = entry.params.iter();
    params.fold(method, |method, name| method.with_param(Param::new(*name)))
}
