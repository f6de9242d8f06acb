//! Names of keys, groups and consumers.

/// The most bytes of the name of an instance.
pub(crate) const MAX_INSTANCE_BYTES: usize = 128;

/// How the keys of one prefix are named.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Made for each call, and so without the ways of `format!`, which take ten times as long.
    fn key(&self, what: &str, whose: &str) -> String {
        [&*self.prefix, what, whose].concat()
    }

    /// The stream of the calls of a service.
    pub(crate) fn commands(&self, service: &str) -> String {
        self.key(":cmds:", service)
    }

    /// The stream of the answers to an instance.
    pub(crate) fn replies(&self, instance: &str) -> String {
        self.key(":replies:", instance)
    }

    /// The stream of calls that were delivered too often.
    pub(crate) fn dead(&self, service: &str) -> String {
        self.key(":dead:", service)
    }

    /// The instances that serve a service.
    pub(crate) fn servers(&self, service: &str) -> String {
        self.key(":servers:", service)
    }

    /// What an instance says of itself.
    pub(crate) fn server(&self, instance: &str) -> String {
        self.key(":server:", instance)
    }

    /// The stream of a topic.
    pub(crate) fn events(&self, topic: &str) -> String {
        self.key(":events:", topic)
    }

    /// The stream of what is said to one server.
    pub(crate) fn inbox(&self, instance: &str) -> String {
        self.key(":inbox:", instance)
    }

    /// The stream of what clients say to whichever server has their call.
    pub(crate) fn control(&self) -> String {
        self.key(":control", "")
    }

    /// The consumer of an instance in the group of a service.
    pub(crate) fn consumer(service: &str, instance: &str) -> String {
        format!("{service}:{instance}")
    }

    /// The instance to whose stream an answer is to go, if it is the stream of one: nothing is written to any other key.
    pub(crate) fn instance_of<'k>(&self, reply_to: &'k [u8]) -> Option<&'k str> {
        let reply_to = str::from_utf8(reply_to).ok()?;
        let instance = reply_to
            .strip_prefix(&*self.prefix)?
            .strip_prefix(":replies:")?;
        is_instance(instance).then_some(instance)
    }

    /// Whether all keys of the prefix are in one slot of a cluster.
    pub(crate) fn share_a_slot(&self) -> bool {
        let tag = self.prefix.split_once('{').map(|(_, rest)| rest);
        tag.and_then(|rest| rest.split_once('}'))
            .is_some_and(|(tag, _)| !tag.is_empty())
    }
}

/// Whether it may be the name of an instance.
pub(crate) fn is_instance(name: &str) -> bool {
    let plain = |name: &str| name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (1..=MAX_INSTANCE_BYTES).contains(&name.len())
        && (plain(name) || !name.chars().any(char::is_control))
}

/// Whether it may be the name of a service: `[a-z][a-z0-9-]*`, as clamator has it.
pub(crate) fn is_service(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
