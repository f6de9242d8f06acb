//! Several answers in one entry: each behind its length in decimal digits and a colon.
//!
//! Only servers and clients of ours say so to each other. An answer may have any byte in it, so nothing is looked for.

use crate::entry::decimal;

/// The most digits of a length.
const MOST_DIGITS: usize = 10;

/// The bytes that they take.
pub(crate) fn bytes(answers: &[&[u8]]) -> usize {
    let of = |len: usize| len + 2 + usize::try_from(len.checked_ilog10().unwrap_or(0)).unwrap_or(0);
    answers.iter().map(|answer| of(answer.len())).sum()
}

/// Adds them to a text.
pub(crate) fn put(answers: &[&[u8]], text: &mut Vec<u8>) {
    for answer in answers {
        text.extend_from_slice(itoa::Buffer::new().format(answer.len()).as_bytes());
        text.push(b':');
        text.extend_from_slice(answer);
    }
}

/// The answers in an entry, in order. `Err` at what is none, and nothing after it.
pub(crate) fn each(all: &[u8]) -> impl Iterator<Item = Result<&[u8], &'static str>> {
    let mut rest = all;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match first(rest) {
            Some((answer, others)) => {
                rest = others;
                Some(Ok(answer))
            }
            None => {
                rest = &[];
                Some(Err("an entry of answers is cut, or is none"))
            }
        }
    })
}

fn first(all: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = all
        .iter()
        .take(MOST_DIGITS + 1)
        .position(|byte| *byte == b':')?;
    let (len, rest) = all.split_at_checked(colon)?;
    let len = usize::try_from(decimal(len)?).ok()?;
    rest.get(1..)?.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::{bytes, each, put};

    #[test]
    fn what_is_put_is_found() {
        let long = vec![b':'; 12_345];
        let ten = [b'1'; 10];
        let answers: [&[u8]; 7] = [b"", b"{}", b"3:abc", &long, b"\n\0", &ten, &ten[1..]];
        let mut all = Vec::new();
        put(&answers, &mut all);
        assert_eq!(all.len(), bytes(&answers));
        let found: Vec<_> = each(&all).collect();
        assert_eq!(found, answers.map(Ok));
        assert_eq!(all.get(..5), Some(&b"0:2:{"[..]));
    }

    #[test]
    fn what_is_none_ends_it() {
        for wrong in [
            &b"3"[..],
            b"3:ab",
            b":",
            b"-1:a",
            b"+1:a",
            b"1 :a",
            b"99999999999:a",
            b"18446744073709551616:a",
            b"a:b",
        ] {
            let mut all = b"2:{}".to_vec();
            all.extend_from_slice(wrong);
            let found: Vec<_> = each(&all).collect();
            assert_eq!(found.first(), Some(&Ok(&b"{}"[..])));
            assert!(matches!(found.get(1..), Some([Err(_)])), "{wrong:?}");
        }
    }
}
