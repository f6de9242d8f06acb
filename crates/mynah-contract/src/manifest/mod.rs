//! Manifests: the contracts of a program as stable JSON, with one hash for each method.

pub(crate) mod canonical;
mod read;
mod write;

use crate::{Contract, ContractError, json};
use mynah_protocol::Value;
use std::fmt;
use std::str::FromStr;

/// The contracts of a program, in the order of their names.
///
/// As text it is JSON in two-space indent with services, methods and events in the order of their names, so a change is a
/// few lines in a review. It says each method's hash, which is checked when it is read.
///
/// ```
/// use mynah_contract::{Contract, Manifest, Method, MethodKind};
///
/// let contract = Contract::new("clock").with_method(Method::new("now", MethodKind::Unary))?;
/// let manifest = Manifest::new([contract])?;
/// let read: Manifest = manifest.to_json()?.parse()?;
/// assert_eq!(read, manifest);
/// # Ok::<(), mynah_contract::ContractError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    contracts: Vec<Contract>,
}

impl Manifest {
    /// A manifest of these contracts.
    ///
    /// # Errors
    /// [`ContractError::Duplicate`] when two have one name.
    pub fn new(contracts: impl IntoIterator<Item = Contract>) -> Result<Self, ContractError> {
        let mut contracts: Vec<Contract> = contracts.into_iter().collect();
        contracts.sort_by(|one, other| one.name().cmp(other.name()));
        let mut pairs = contracts.iter().zip(contracts.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(one, other)| one.name() == other.name()) {
            return Err(ContractError::Duplicate {
                what: "service",
                name: twice.name().to_owned(),
            });
        }
        Ok(Self { contracts })
    }

    pub(crate) fn of_one(contract: Contract) -> Self {
        Self {
            contracts: vec![contract],
        }
    }

    /// Its contracts, in the order of their names.
    #[must_use]
    pub fn contracts(&self) -> &[Contract] {
        &self.contracts
    }

    /// The contract of a service.
    #[must_use]
    pub fn contract(&self, name: &str) -> Option<&Contract> {
        self.contracts
            .iter()
            .find(|contract| contract.name() == name)
    }

    /// Its text, with a new line at the end.
    ///
    /// # Errors
    /// [`ContractError::TooComplex`] when the schemas are too large to be hashed.
    pub fn to_json(&self) -> Result<String, ContractError> {
        let mut text = json::pretty(&self.to_value()?);
        text.push('\n');
        Ok(text)
    }

    /// The same as a value.
    ///
    /// # Errors
    /// [`ContractError::TooComplex`] when the schemas are too large to be hashed.
    pub fn to_value(&self) -> Result<Value, ContractError> {
        write::manifest(self)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// Whatever is wrong with it; the error says where.
    pub fn from_value(value: &Value) -> Result<Self, ContractError> {
        read::manifest(value)
    }
}

impl FromStr for Manifest {
    type Err = ContractError;

    fn from_str(text: &str) -> Result<Self, ContractError> {
        Self::from_value(&json::parse(text)?)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.contracts.iter().map(Contract::name).collect();
        write!(f, "manifest of {}", names.join(", "))
    }
}
