//! References to definitions: `#/$defs/Name`.

/// Where definitions stand: in a contract, in draft 7, and in OpenRPC.
const PREFIXES: [&str; 3] = ["#/$defs/", "#/definitions/", "#/components/schemas/"];

/// The name of the definition that is referred to; `None` for a reference to something else.
pub(crate) fn name(reference: &str) -> Option<String> {
    let rest = PREFIXES
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix))?;
    if rest.contains('/') {
        return None;
    }
    let decoded = percent_decoded(rest)?;
    Some(decoded.replace("~1", "/").replace("~0", "~"))
}

/// The reference to a definition of a contract.
pub(crate) fn to(name: &str) -> String {
    within("#/$defs/", name)
}

/// The reference to a definition that stands elsewhere.
pub(crate) fn within(prefix: &str, name: &str) -> String {
    let mut reference = String::with_capacity(prefix.len() + name.len());
    reference.push_str(prefix);
    for byte in name.bytes() {
        match byte {
            b'~' => reference.push_str("~0"),
            b'/' => reference.push_str("~1"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'$' => {
                reference.push(char::from(byte));
            }
            other => {
                reference.push('%');
                for digit in [other >> 4, other & 15] {
                    let digit = char::from_digit(u32::from(digit), 16);
                    reference.extend(digit.map(|digit| digit.to_ascii_uppercase()));
                }
            }
        }
    }
    reference
}

fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_whole() {
        for text in ["Pair", "a/b~c", "Page<String>", "100%", "Länge 2", "~1", ""] {
            assert_eq!(name(&to(text)).as_deref(), Some(text));
        }
        assert_eq!(name("#/definitions/A").as_deref(), Some("A"));
        assert_eq!(name("#/$defs/A/properties/b"), None);
        assert_eq!(name("#"), None);
        assert_eq!(name("other.json#/$defs/A"), None);
        assert_eq!(name("#/$defs/%zz"), None);
    }
}
