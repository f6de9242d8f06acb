//! What contracts that were given say of methods made by hand.

use super::{RegisterError, Route};
use crate::method::MethodKind;
use mynah_contract::{Contract, MethodKind as Kind, Validator};
use std::collections::HashMap;
use std::sync::Arc;

/// What is promised of methods by name: which kind each is, and how its values look where that is known.
#[derive(Debug, Default)]
pub(super) struct Promises {
    services: HashMap<Box<str>, HashMap<Box<str>, Promise>>,
}

#[derive(Clone, Debug)]
struct Promise {
    streams: bool,
    validator: Option<Arc<Validator>>,
}

impl Promises {
    /// Notes down what a contract says. Of two that tell of one method the first counts.
    pub(super) fn take(&mut self, contract: &Contract) -> Result<(), RegisterError> {
        let validators = contract
            .validators()
            .map_err(|error| RegisterError::Contract(contract.name().into(), error.to_string()))?;
        self.note(contract, validators.into_iter().collect());
        Ok(())
    }

    /// The same without what it says of values.
    pub(super) fn take_kinds(&mut self, contract: &Contract) {
        self.note(contract, HashMap::new());
    }

    fn note(&mut self, contract: &Contract, mut validators: HashMap<&str, Validator>) {
        let methods = self.services.entry(contract.name().into()).or_default();
        for method in contract.methods() {
            let streams = matches!(method.kind(), Kind::ServerStream | Kind::BothStreams);
            let validator = validators.remove(method.name()).map(Arc::new);
            let promise = Promise { streams, validator };
            methods.entry(method.name().into()).or_insert(promise);
        }
    }

    /// A route that keeps what is promised of it, if anything is: one that was made by hand is held to it.
    pub(super) fn hold(&self, route: Route) -> Result<Route, RegisterError> {
        let known = self.services.get(&route.service);
        let promise = known.and_then(|methods| methods.get(&route.method));
        let Some(promise) = promise.filter(|_| route.is_by_hand()) else {
            return Ok(route);
        };
        if promise.streams != (route.kind() == MethodKind::Stream) {
            let (says, gives) = if promise.streams {
                ("a stream of results", "one")
            } else {
                ("one result", "a stream")
            };
            let text = format!("it says {says}, and the handler gives {gives}");
            return Err(RegisterError::Contract(route.name().to_string(), text));
        }
        let Some(validator) = &promise.validator else {
            return Ok(route);
        };
        if let Some(unchecked) = validator.unchecked().into_iter().next() {
            return Err(RegisterError::Unchecked {
                method: route.name().to_string(),
                keyword: unchecked.keyword,
                place: unchecked.place,
            });
        }
        Ok(route.held_to(Arc::clone(validator)))
    }
}
