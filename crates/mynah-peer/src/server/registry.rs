//! The books of a server: its connections by number and by name.

use crate::link::Link;
use crate::peer::Peer;
use mynah_protocol::Limits;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a server knows a connection by: a name that the program has set, or a number of the server's own, shown as `#7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerId(Repr);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Number(u64),
    Name(Arc<str>),
}

impl PeerId {
    pub(crate) const fn number(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// The name that the program has set, `None` for a number.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Repr::Number(_) => None,
            Repr::Name(name) => Some(name),
        }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "#{number}"),
            Repr::Name(name) => f.write_str(name),
        }
    }
}

/// `#7` is a number of the server's, anything else a name.
impl From<&str> for PeerId {
    fn from(text: &str) -> Self {
        let number = text.strip_prefix('#').and_then(|text| text.parse().ok());
        match number {
            // In its own spelling only: `#07` is a name.
            Some(number) if Self::number(number).to_string() == text => Self::number(number),
            _ => Self(Repr::Name(text.into())),
        }
    }
}

impl From<String> for PeerId {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for PeerId {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&Self> for PeerId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

/// Another connection of the server has this id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another connection has the id \"{}\"", .0.to_string().escape_debug())]
pub struct IdTaken(pub PeerId);

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Standing {
    /// It waits to be admitted.
    Waiting,
    /// It is told why it is not admitted, and is no peer.
    Refused(Arc<Link>),
    Admitted(Arc<Link>),
}

#[derive(Debug)]
struct Entry {
    standing: Standing,
    name: Option<Arc<str>>,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    entries: HashMap<u64, Entry>,
    names: HashMap<Arc<str>, u64>,
    next: u64,
    stopped: bool,
    /// Those of the last connection: as a rule all have the same.
    limits: Arc<Limits>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no new connections.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Limits that equal those of the last connection share their memory.
    pub(super) fn share(&self, limits: Limits) -> Arc<Limits> {
        let mut open = self.lock();
        if *open.limits != limits {
            open.limits = Arc::new(limits);
        }
        Arc::clone(&open.limits)
    }

    /// Notes a connection down, and gives it a number. `None`: none may come any more. `fits` is asked under the lock, so
    /// that two at once do not both find room.
    pub(super) fn enter<E>(&self, fits: impl FnOnce() -> Result<(), E>) -> Option<Result<u64, E>> {
        let mut open = self.lock();
        if open.stopped {
            return None;
        }
        if let Err(error) = fits() {
            return Some(Err(error));
        }
        let number = open.next;
        open.next += 1;
        let entry = Entry {
            standing: Standing::Waiting,
            name: None,
        };
        open.entries.insert(number, entry);
        Some(Ok(number))
    }

    /// Notes down how far a connection is. False: none may come any more, and this one had not begun.
    pub(super) fn advance(&self, number: u64, standing: Standing) -> bool {
        let mut open = self.lock();
        if open.stopped {
            return false;
        }
        if let Some(entry) = open.entries.get_mut(&number) {
            entry.standing = standing;
        }
        true
    }

    pub(super) fn forget(&self, number: u64) {
        let mut open = self.lock();
        let gone = open.entries.remove(&number);
        if let Some(Entry {
            name: Some(name), ..
        }) = &gone
        {
            open.names.remove(name);
        }
        drop(open);
        // Code of the user may go with it, which may ask who is connected.
        drop(gone);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Connections that run, those that are being refused included.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        let open = self.lock();
        let links = open
            .entries
            .values()
            .filter_map(|entry| match &entry.standing {
                Standing::Waiting => None,
                Standing::Refused(link) | Standing::Admitted(link) => Some(Arc::clone(link)),
            });
        links.collect()
    }

    /// Connections that were admitted, in the order of their arrival.
    pub(super) fn peers(&self) -> Vec<Peer> {
        let open = self.lock();
        let mut links: Vec<_> = open
            .entries
            .iter()
            .filter_map(|(number, entry)| match &entry.standing {
                Standing::Admitted(link) => Some((*number, Arc::clone(link))),
                Standing::Waiting | Standing::Refused(_) => None,
            })
            .collect();
        drop(open);
        links.sort_unstable_by_key(|(number, _)| *number);
        links
            .into_iter()
            .map(|(_, link)| Peer::linked(link))
            .collect()
    }

    /// How many connections were admitted and have not ended.
    pub(super) fn admitted(&self) -> usize {
        let open = self.lock();
        let admitted = |entry: &&Entry| matches!(entry.standing, Standing::Admitted(_));
        open.entries.values().filter(admitted).count()
    }

    /// The connection with this id, if it was admitted.
    pub(super) fn peer(&self, id: &PeerId) -> Option<Peer> {
        let open = self.lock();
        let number = match &id.0 {
            Repr::Number(number) => number,
            Repr::Name(name) => open.names.get(name)?,
        };
        let entry = open.entries.get(number)?;
        match &entry.standing {
            Standing::Admitted(link) => Some(Peer::linked(Arc::clone(link))),
            Standing::Waiting | Standing::Refused(_) => None,
        }
    }

    /// The name of a connection, if the program has set one.
    pub(super) fn name_of(&self, number: u64) -> Option<PeerId> {
        let open = self.lock();
        let name = open.entries.get(&number)?.name.clone()?;
        Some(PeerId(Repr::Name(name)))
    }

    /// Gives a connection this id, in place of the one before.
    pub(super) fn rename(&self, number: u64, id: PeerId) -> Result<(), IdTaken> {
        let mut open = self.lock();
        let Open { entries, names, .. } = &mut *open;
        let Some(entry) = entries.get_mut(&number) else {
            return Ok(());
        };
        let name = match &id.0 {
            Repr::Number(own) if *own == number => None,
            // A number belongs to the connection that the server gave it, whether it is still there or not.
            Repr::Number(_) => return Err(IdTaken(id)),
            Repr::Name(name) => Some(Arc::clone(name)),
        };
        if let Some(name) = &name {
            match names.get(name) {
                Some(known) if *known != number => return Err(IdTaken(id)),
                Some(_) => return Ok(()),
                None => names.insert(Arc::clone(name), number),
            };
        }
        if let Some(old) = std::mem::replace(&mut entry.name, name) {
            names.remove(&old);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
