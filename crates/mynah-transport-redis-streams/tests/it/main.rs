//! The carrier with a real redis-server.

mod calls;
mod fleet;
mod presence;
mod robust;
mod topology;
