//! In-memory transport: a pair of connected ends that carry envelopes.
