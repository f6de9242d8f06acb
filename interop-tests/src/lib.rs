//! Real peers in other languages against Mynah, what starts them, and a server of Mynah's in a process of its own.

pub mod chaos;
pub mod fleet;
pub mod flow;
pub mod python;
pub mod served;
pub mod soak;
pub mod store;
