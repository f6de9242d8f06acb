//! The #[service] attribute and the DomainError derive of Mynah.
