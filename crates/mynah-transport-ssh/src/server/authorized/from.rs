//! `from=`: where a key may be used.

use std::net::{IpAddr, Ipv6Addr};

/// The most patterns of one list.
const MAX_PATTERNS: usize = 64;

/// A list of patterns of addresses. One that begins with `!` refuses what it matches, whatever else matches.
///
/// Names of hosts are not understood: what an address is called is said by whoever has the address.
#[derive(Debug)]
pub(super) struct FromList(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    refuses: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    /// An address and how many of its first bits count.
    Network(IpAddr, u32),
    /// An address with `*` and `?` in its text.
    Text(String),
}

impl FromList {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let patterns = text.split(',').map(str::trim);
        let patterns: Vec<_> = patterns.map(Pattern::read).collect::<Result<_, _>>()?;
        if patterns.len() > MAX_PATTERNS {
            return Err(format!("from: more than {MAX_PATTERNS} patterns"));
        }
        if patterns.iter().all(|pattern| pattern.refuses) {
            return Err("from: allows no address at all".to_owned());
        }
        Ok(Self(patterns))
    }

    pub(super) fn matches(&self, remote: IpAddr) -> bool {
        let remote = remote.to_canonical();
        let (mut allowed, mut refused) = (false, false);
        for pattern in &self.0 {
            if pattern.what.matches(remote) {
                allowed |= !pattern.refuses;
                refused |= pattern.refuses;
            }
        }
        allowed && !refused
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        let (refuses, text) = match text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, text),
        };
        Ok(Self {
            refuses,
            what: What::read(text, refuses)?,
        })
    }
}

impl What {
    fn read(text: &str, refuses: bool) -> Result<Self, String> {
        let wrong = |why: &str| format!("from: \"{}\" {why}", text.escape_debug());
        if let Some((address, bits)) = text.split_once('/') {
            let address = address.parse::<IpAddr>();
            let address = address.map_err(|_error| wrong("is no network"))?;
            let bits = Some(bits).filter(|bits| bits.bytes().all(|byte| byte.is_ascii_digit()));
            let bits = bits.and_then(|bits| bits.parse::<u32>().ok());
            let bits = bits.filter(|bits| *bits <= width(address));
            let bits = bits.ok_or_else(|| wrong("has no number of bits that fits"))?;
            if masked(address, bits) != number(address) {
                return Err(wrong("has bits behind its network"));
            }
            let (address, bits) = unmapped(address, bits);
            return Ok(Self::Network(address, bits));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Ok(Self::Network(address, width(address)));
        }
        let of_address = |char: char| char.is_ascii_hexdigit() || ":.*?".contains(char);
        if text.contains(['*', '?']) && text.chars().all(of_address) {
            if let Some(why) = never_matches(text, refuses) {
                return Err(wrong(why));
            }
            return Ok(Self::Text(text.to_ascii_lowercase()));
        }
        Err(wrong(
            "is no address: names of hosts are not understood here",
        ))
    }

    fn matches(&self, remote: IpAddr) -> bool {
        match self {
            Self::Network(network, bits) => {
                network.is_ipv4() == remote.is_ipv4()
                    && masked(remote, *bits) == masked(*network, *bits)
            }
            Self::Text(pattern) => glob(pattern.as_bytes(), remote.to_string().as_bytes()),
        }
    }
}

/// A network of IPv4 addresses that are written as IPv6: as IPv4, which is how a peer's address is compared.
fn unmapped(address: IpAddr, bits: u32) -> (IpAddr, u32) {
    match (address.to_canonical(), bits.checked_sub(96)) {
        (canonical, Some(bits)) if canonical.is_ipv4() && address.is_ipv6() => (canonical, bits),
        _ => (address, bits),
    }
}

/// Why a text with `*` or `?` may match no address as it is written here. One that refuses would refuse nobody.
fn never_matches(text: &str, refuses: bool) -> Option<&'static str> {
    let parts = || text.split(['.', ':']);
    if text.contains('.') && text.contains(|char: char| char == ':' || char.is_ascii_alphabetic()) {
        Some("is neither IPv4 nor IPv6")
    } else if parts().any(|part| part.len() > 1 && part.starts_with('0')) {
        Some("has zeros before a number")
    } else if refuses && text.contains(':') {
        Some("refuses what can be written in many ways: write a network")
    } else {
        None
    }
}

const fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() {
        32
    } else {
        Ipv6Addr::BITS
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first bits, with zeros behind them.
fn masked(address: IpAddr, bits: u32) -> u128 {
    let behind = width(address).saturating_sub(bits);
    let number = number(address);
    number.checked_shr(behind).map_or(0, |kept| kept << behind)
}

/// Whether a text is one that the pattern means: `*` for any bytes, `?` for one. Takes no more than the product of
/// both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut pattern_at) = (0, 0);
    let mut retry = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(pattern_at) {
            Some(b'*') => {
                retry = Some((pattern_at, at));
                pattern_at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                pattern_at += 1;
            }
            _ => match retry {
                // The last star takes one byte more.
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (at, pattern_at) = (from + 1, star + 1);
                }
                None => return false,
            },
        }
    }
    let rest = pattern.get(pattern_at..).unwrap_or_default();
    rest.iter().all(|byte| *byte == b'*')
}
