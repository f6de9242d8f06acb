//! Real peers in other languages against Mynah, and a server of Mynah's in a process of its own.

pub mod served;
