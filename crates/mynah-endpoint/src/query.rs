//! What stands behind the `?`.

use crate::error::EndpointError;
use crate::hide;

/// The options of a URL, until somebody takes them.
#[derive(Debug)]
pub(crate) struct Query<'u> {
    url: &'u str,
    left: Vec<(&'u str, &'u str)>,
    /// The names that were asked for, taken or not: what an unknown option is held against.
    known: Vec<&'static str>,
}

impl<'u> Query<'u> {
    pub(crate) fn read(url: &'u str, query: &'u str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self {
            url,
            left: pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .collect(),
            known: Vec::new(),
        }
    }

    /// Takes an option, and reads its value; `known` says what would be understood.
    pub(crate) fn take<T>(
        &mut self,
        option: &'static str,
        known: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, EndpointError> {
        let taken = self.take_next(option, known, read)?;
        if taken.is_some() && self.left.iter().any(|(name, _)| *name == option) {
            return Err(EndpointError::Twice {
                url: hide::url(self.url),
                option: option.to_owned(),
            });
        }
        Ok(taken)
    }

    /// The same for an option that may be given more than once: the next one.
    fn take_next<T>(
        &mut self,
        option: &'static str,
        known: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, EndpointError> {
        if !self.known.contains(&option) {
            self.known.push(option);
        }
        let Some(at) = self.left.iter().position(|(name, _)| *name == option) else {
            return Ok(None);
        };
        let (_, value) = self.left.remove(at);
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.error(option, value, known.to_owned())),
        }
    }

    /// Takes an option as often as it is given.
    #[cfg(any(
        feature = "redis-streams",
        all(unix, any(feature = "ssh", feature = "stdio"))
    ))]
    pub(crate) fn take_all<T>(
        &mut self,
        option: &'static str,
        known: &str,
        mut read: impl FnMut(&str) -> Option<T>,
    ) -> Result<Vec<T>, EndpointError> {
        let mut all = Vec::new();
        while let Some(one) = self.take_next(option, known, &mut read)? {
            all.push(one);
        }
        Ok(all)
    }

    /// Takes an option whose value is one of a few words.
    pub(crate) fn choose<T: Copy>(
        &mut self,
        option: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, EndpointError> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let known = format!("known for {option}: {}", names.join(", "));
        self.take(option, &known, |value| {
            let found = words.iter().find(|(word, _)| *word == value);
            found.map(|(_, chosen)| *chosen)
        })
    }

    /// Refuses options that would have no effect here.
    pub(crate) fn refuse(&self, options: &[&'static str], why: &str) -> Result<(), EndpointError> {
        let refused = |(name, _): &&(&str, &str)| options.contains(name);
        match self.left.iter().find(refused) {
            Some((option, value)) => Err(self.error(option, value, why.to_owned())),
            None => Ok(()),
        }
    }

    /// When everybody has taken theirs: what is left is unknown.
    pub(crate) fn finish(self) -> Result<(), EndpointError> {
        let Some((option, value)) = self.left.first() else {
            return Ok(());
        };
        let known = if self.known.is_empty() {
            "there are no options here".to_owned()
        } else {
            format!("options are {}", self.known.join(", "))
        };
        Err(self.error(option, value, known))
    }

    fn error(&self, option: &str, value: &str, known: String) -> EndpointError {
        EndpointError::Option {
            url: hide::url(self.url),
            option: option.to_owned(),
            value: hide::value(option, value).into_owned(),
            known,
        }
    }
}
