//! The rules of one connection, without I/O, clock or runtime.
