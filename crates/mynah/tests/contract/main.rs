//! Contracts of services: what the macro says of them, what a peer is told, and what a client makes of it.

mod described;
mod drift;
mod emitted;
mod support;
