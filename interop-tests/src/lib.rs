//! Real peers in other languages against Mynah.
