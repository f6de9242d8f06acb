//! The serving side.

mod accepted;
mod answers;
mod control;
mod core;
mod desk;
mod fetch;
mod guard;
mod inbox;
mod listen;
mod outbox;
mod publish;
mod reclaim;
mod remote;
mod scripts;
mod session;
mod settle;
mod upkeep;
mod write;

#[cfg(test)]
mod tests;

pub use accepted::RedisRemote;
pub use listen::RedisListener;

/// The names of facts in [`Evidence`](mynah_protocol::Evidence).
pub mod evidence {
    use mynah_protocol::EvidenceKey;

    /// The prefix of the fleet.
    pub const PREFIX: EvidenceKey = EvidenceKey::new("redis_prefix");
    /// The name of this side's instance.
    pub const OWN_INSTANCE: EvidenceKey = EvidenceKey::new("redis_own_instance");
    /// The name of the instance that called, as its reply stream has it. Whoever may write to Redis can write any.
    pub const INSTANCE: EvidenceKey = EvidenceKey::new("redis_instance");
    /// The stream that an entry was read from. Of one delivery.
    pub const STREAM: EvidenceKey = EvidenceKey::new("redis_stream");
    /// The id of the entry. Of one delivery.
    pub const ENTRY: EvidenceKey = EvidenceKey::new("redis_entry");
    /// The consumer that it was delivered to. Of one delivery.
    pub const CONSUMER: EvidenceKey = EvidenceKey::new("redis_consumer");
    /// True for the connection that stands for whoever reads topics.
    pub const TOPICS: EvidenceKey = EvidenceKey::new("redis_topics");
    /// How often it was delivered, this time included. Of one delivery.
    pub const DELIVERIES: EvidenceKey = EvidenceKey::new("redis_deliveries");
}
