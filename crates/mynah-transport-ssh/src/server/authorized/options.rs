//! The options in front of a key.

use super::{Asked, FromList, date};
use mynah_protocol::AllowedMethods;

/// What the options of a line say.
#[derive(Debug, Default)]
pub(super) struct Options {
    from: Option<FromList>,
    /// Seconds since 1970 from which on the key is refused.
    expires: Option<u64>,
    users: Option<Vec<String>>,
    pub(super) methods: Option<AllowedMethods>,
}

/// Options that take away what this server never gives.
const RESTRICTIONS: [&str; 6] = [
    "restrict",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-user-rc",
    "no-x11-forwarding",
];

/// The longest name of a user, in bytes.
pub(crate) const MAX_USER_BYTES: usize = 64;

impl Options {
    /// Whether the one who asks may use the key.
    pub(super) fn permit(&self, asked: Asked<'_>) -> Result<(), String> {
        if self.expires.is_some_and(|expires| asked.now >= expires) {
            return Err("the key has expired".to_owned());
        }
        if let Some(from) = &self.from
            && !from.matches(asked.remote)
        {
            return Err(format!("the key may not be used from {}", asked.remote));
        }
        let users = self.users.as_deref().unwrap_or(asked.users);
        if users.iter().any(|user| user == asked.user) {
            return Ok(());
        }
        Err("the key may not be used for this user".to_owned())
    }
}

/// Reads `name,name="value",…`. Names are told apart as OpenSSH does, in any case of letters.
pub(super) fn read(text: &str) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = text;
    loop {
        let name_len = rest
            .find(|char: char| !char.is_ascii_alphanumeric() && char != '-')
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at_checked(name_len).unwrap_or((rest, ""));
        let name = name.to_ascii_lowercase();
        let (value, behind) = match behind.strip_prefix('=') {
            Some(quoted) => {
                let (value, behind) = unquote(quoted)?;
                (Some(value), behind)
            }
            None => (None, behind),
        };
        options.set(&name, value)?;
        rest = match behind.strip_prefix(',') {
            Some(rest) => rest,
            None if behind.is_empty() => return Ok(options),
            None => return Err(format!("something stands behind the option {name}")),
        };
    }
}

impl Options {
    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        match (name, value) {
            ("", _) => Err("an option has no name".to_owned()),
            (name, None) if RESTRICTIONS.contains(&name) => Ok(()),
            ("expiry-time", Some(value)) => set(name, &mut self.expires, date::read(&value)?),
            ("from", Some(value)) => set(name, &mut self.from, FromList::read(&value)?),
            ("mynah-methods", Some(value)) => {
                let methods = value.parse::<AllowedMethods>();
                let methods = methods.map_err(|error| format!("mynah-methods: {error}"))?;
                set(name, &mut self.methods, methods)
            }
            ("mynah-user", Some(value)) => {
                let users: Vec<_> = value.split(',').map(str::to_owned).collect();
                if !users.iter().all(|user| is_user(user)) {
                    return Err("mynah-user: not a name of a user".to_owned());
                }
                set(name, &mut self.users, users)
            }
            ("expiry-time" | "from" | "mynah-methods" | "mynah-user", None) => {
                Err(format!("the option {name} needs a value"))
            }
            (name, Some(_)) if RESTRICTIONS.contains(&name) => {
                Err(format!("the option {name} takes no value"))
            }
            ("cert-authority" | "principals", _) => Err(format!(
                "the option {name} is about certificates of users, which are not spoken here: list each key itself"
            )),
            (name, _) => Err(format!("the option {name} is not understood here")),
        }
    }
}

/// Whether a text may be the name of a user: what systems allow, so that it can be logged and compared as it is.
pub(crate) fn is_user(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || "._-@+".contains(char);
    !name.is_empty() && name.len() <= MAX_USER_BYTES && name.chars().all(fits)
}

fn set<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), String> {
    if slot.replace(value).is_some() {
        return Err(format!("the option {name} is given twice"));
    }
    Ok(())
}

/// A value in quotes, in which `\"` is a quote, and what comes behind it.
fn unquote(text: &str) -> Result<(String, &str), String> {
    let inside = text.strip_prefix('"').ok_or("a value is not in quotes")?;
    let mut value = String::new();
    let mut chars = inside.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                value.push('"');
            }
            '"' => {
                let behind = inside.get(at + 1..).unwrap_or_default();
                return Ok((value, behind));
            }
            other => value.push(other),
        }
    }
    Err("a quote is not closed".to_owned())
}
