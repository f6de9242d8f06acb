//! What a router knows of the contracts of its services, and who may see it.

use crate::method::MethodKind;
use crate::router::MethodEntry;
use mynah_contract::{Contract, ContractError, Event, Manifest, Method, Param};
use mynah_protocol::{AllowedMethods, Evidence, MethodName, Opaque, Value};
use std::collections::{BTreeMap, VecDeque};
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
    /// What callers were told.
    told: Mutex<Told>,
}

/// Everything that may be told, while these methods are there.
struct Every {
    methods: Vec<MethodEntry>,
    contracts: Vec<Contract>,
}

/// Which entries a caller sees: one answer for each method and event, in their order.
type Sees = Vec<bool>;

/// What was told while the same methods were there, the latest last: to everybody, or to those who see the same.
#[derive(Default)]
struct Told {
    every: Option<Arc<Every>>,
    list: VecDeque<(Option<Sees>, Arc<Value>)>,
}

/// Different views of one server that are kept. Beyond, the one that was asked for least lately is made again.
const MOST_VIEWS: usize = 32;

impl Told {
    /// What was told of these methods.
    fn of(&mut self, every: &Arc<Every>) -> Option<&mut Self> {
        let same = self
            .every
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, every));
        same.then_some(self)
    }

    fn find(&mut self, sees: &Option<Sees>) -> Option<Arc<Value>> {
        let place = self.list.iter().position(|(known, _)| known == sees)?;
        let (sees, value) = self.list.remove(place)?;
        self.list.push_back((sees, Arc::clone(&value)));
        Some(value)
    }

    fn keep(&mut self, every: &Arc<Every>, sees: Option<Sees>, value: Arc<Value>) {
        if self.of(every).is_none() {
            *self = Self {
                every: Some(Arc::clone(every)),
                list: VecDeque::new(),
            };
        }
        if self.list.len() >= MOST_VIEWS {
            self.list.pop_front();
        }
        self.list.push_back((sees, value));
    }
}

/// What a caller may see of everything.
fn seen(every: &Every, caller: &Evidence, show: &dyn Fn(&Evidence, Shown<'_>) -> bool) -> Sees {
    let mut sees = Vec::new();
    for contract in &every.contracts {
        let service = contract.name();
        let methods = contract.methods().iter();
        sees.extend(methods.map(|method| show(caller, Shown::Method { service, method })));
        let events = contract.events().iter();
        sees.extend(events.map(|event| show(caller, Shown::Event { service, event })));
    }
    sees
}

/// The manifest of what is seen; `None`: of everything.
fn manifest_of(every: &Every, sees: Option<&[bool]>) -> Result<Manifest, ContractError> {
    let contracts = every.contracts.iter();
    let Some(sees) = sees else {
        return Manifest::new(contracts.cloned());
    };
    let mut sees = sees.iter().copied();
    let mut next = || sees.next().unwrap_or(false);
    let seen = contracts.map(|contract| {
        let methods: Vec<bool> = contract.methods().iter().map(|_| next()).collect();
        let events: Vec<bool> = contract.events().iter().map(|_| next()).collect();
        let (mut methods, mut events) = (methods.into_iter(), events.into_iter());
        contract.filtered(
            |_| methods.next().unwrap_or(false),
            |_| events.next().unwrap_or(false),
        )
    });
    let something =
        |contract: &Contract| !contract.methods().is_empty() || !contract.events().is_empty();
    Manifest::new(seen.filter(something).collect::<Vec<_>>())
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

    /// Whether a contract that was given tells of a method.
    pub(crate) fn promises(&self, name: &MethodName<'_>) -> bool {
        self.promised().any(|promised| promised == *name)
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

    /// The manifest of what a caller may see. Made once for all who see the same: hashes are dear, and anybody asks.
    /// `all`: the methods that are there, of which some may have no entry.
    pub(crate) fn described(
        &self,
        caller: &Evidence,
        service: Option<&str>,
        all: Vec<MethodEntry>,
    ) -> Result<Arc<Value>, ContractError> {
        let every = self.every(all)?;
        // Code of the user: before any lock.
        let sees = self.sees(&every, caller);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = told.of(&every).and_then(|list| list.find(&sees));
        let whole = if let Some(value) = known {
            value
        } else {
            let value = Arc::new(manifest_of(&every, sees.as_deref())?.to_value()?);
            told.keep(&every, sees, Arc::clone(&value));
            value
        };
        drop(told);
        Ok(match service {
            None => whole,
            Some(service) => Arc::new(only(service, &whole)),
        })
    }

    /// What a caller sees, `None` for everything: no more than it may call, and of that what the program shows.
    fn sees(&self, every: &Every, caller: &Evidence) -> Option<Sees> {
        let allowed = AllowedMethods::of(caller);
        if self.show.is_none() && allowed.is_none() {
            return None;
        }
        let shows = |caller: &Evidence, shown: Shown<'_>| {
            let may = allowed.as_ref().is_none_or(|allowed| match shown {
                Shown::Method { service, method } => {
                    allowed.allows(&MethodName::new(service, method.name()))
                }
                Shown::Event { event, .. } => allowed.allows_topic(event.topic()),
            });
            may && self.show.as_ref().is_none_or(|show| show(caller, shown))
        };
        Some(seen(every, caller, &shows))
    }

    /// Every contract, with entries for the methods that have none, made once for the methods that are there.
    fn every(&self, all: Vec<MethodEntry>) -> Result<Arc<Every>, ContractError> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = told.every.as_ref().filter(|every| every.methods == all);
        if let Some(every) = known {
            return Ok(Arc::clone(every));
        }
        drop(told);
        let manifest = self.manifest()?;
        let contracts = manifest.contracts().iter();
        let mut by_name: BTreeMap<String, Contract> = contracts
            .map(|contract| (contract.name().to_owned(), contract.clone()))
            .collect();
        for entry in &all {
            let name = &entry.name;
            let known = by_name.remove(&*name.service);
            let mut contract = known.unwrap_or_else(|| Contract::new(&*name.service));
            if contract.method(&name.method).is_none() {
                contract = contract.with_method(by_hand(entry))?;
            }
            by_name.insert(contract.name().to_owned(), contract);
        }
        Ok(Arc::new(Every {
            methods: all,
            contracts: by_name.into_values().collect(),
        }))
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

#[cfg(test)]
mod tests;
