use super::{Answer, MOST_DEPTH, Raw, entries, read};
use crate::entry;
use redis::Value;

/// The value at the start, and its length.
fn value(input: &[u8]) -> (Value, usize) {
    match read(input) {
        Ok(Answer::Whole(raw, len)) => (raw.into_value().unwrap(), len),
        other => panic!("{other:?}"),
    }
}

/// What the library makes of it.
fn library(input: &[u8]) -> Value {
    redis::parse_redis_value(input).unwrap()
}

const ANSWERS: &[&[u8]] = &[
    b"+OK\r\n",
    b"+QUEUED\r\n",
    b"+\r\n",
    b":0\r\n",
    b":-1\r\n",
    b":9223372036854775807\r\n",
    b":-9223372036854775808\r\n",
    b"$-1\r\n",
    b"$0\r\n\r\n",
    b"$5\r\na\r\nb\xff\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n+x\r\n",
    b"*1\r\n*2\r\n$8\r\napp:cmds\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*4\r\n$4\r\ntype\r\n$3\r\nrpc\r\n$8\r\nenvelope\r\n$2\r\n{}\r\n",
    b"-ERR unknown command 'x'\r\n",
    b"-NOGROUP No such key\r\n",
    b"-OOM command not allowed\r\n",
    b"-ODD\r\n",
    b"*2\r\n:1\r\n-WRONGTYPE Operation\r\n",
];

#[test]
fn an_answer_is_what_the_library_makes_of_it() {
    for answer in ANSWERS {
        let mut input = answer.to_vec();
        let theirs = library(answer);
        assert_eq!(
            value(&input),
            (theirs.clone(), answer.len()),
            "{}",
            answer.escape_ascii()
        );
        // What the library has read is seen the same way.
        if !answer.contains(&b'-') {
            assert_eq!(Raw::of(&theirs).into_value().unwrap(), theirs);
        }
        // What stands behind it is left alone.
        input.extend_from_slice(b"garbage");
        assert!(matches!(read(&input), Ok(Answer::Whole(_, len)) if len == answer.len()));
    }
}

/// Readings that have the usual shape, and some that have not.
const READINGS: &[(&[u8], bool)] = &[
    (b"*1\r\n*2\r\n$3\r\na:b\r\n*0\r\n", true),
    (
        b"*1\r\n*2\r\n$3\r\na:b\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*4\r\n$8\r\nenvelope\r\n$4\r\na\r\nb\r\n$10\r\ntimeout-ms\r\n$3\r\n250\r\n*2\r\n$21\r\n18446744073709551615-7\r\n*-1\r\n",
        false,
    ),
    (
        b"*1\r\n*2\r\n$3\r\na:b\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*4\r\n$8\r\nenvelope\r\n$4\r\na\r\nb\r\n$10\r\ntimeout-ms\r\n$3\r\n250\r\n*2\r\n$22\r\n18446744073709551615-7\r\n*-1\r\n",
        true,
    ),
    (b"*-1\r\n", false),
    (b"*1\r\n*2\r\n$3\r\na:b\r\n*1\r\n$-1\r\n", false),
    (b"*1\r\n*2\r\n$3\r\na:b\r\n*1\r\n*2\r\n$3\r\n1-x\r\n*0\r\n", false),
    (b"*1\r\n*2\r\n$3\r\na:b\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*1\r\n$1\r\na\r\n", false),
    (b"*1\r\n*2\r\n$3\r\na:b\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$8\r\nenvelope\r\n$-1\r\n", false),
    (b"*1\r\n*2\r\n$3\r\na:b\r\n*99999999999\r\n", false),
    (b"-NOGROUP No such key\r\n", false),
];

#[test]
fn entries_are_those_that_any_answer_has() {
    for (reading, usual) in READINGS {
        let shown = reading.escape_ascii();
        let found = entries(reading);
        assert_eq!(found.is_some(), *usual, "{shown}");
        if let Some((found, len)) = found {
            let Ok(Answer::Whole(raw, whole)) = read(reading) else {
                panic!("{shown}");
            };
            assert_eq!((found, len), (entry::of_streams(raw), whole), "{shown}");
        }
        // A part of it is no answer, and what stands behind it is left alone.
        for len in 0..reading.len() {
            assert_eq!(entries(&reading[..len]), None, "{len} of {shown}");
        }
        let more = [*reading, b"*1\r\n"].concat();
        let len = entries(&more).map(|(_, len)| len);
        assert_eq!(len, usual.then_some(reading.len()), "{shown}");
    }
}

#[test]
fn a_part_of_an_answer_says_how_much_is_missing_at_the_least() {
    for answer in ANSWERS {
        for len in 0..answer.len() {
            let Ok(Answer::Part(missing)) = read(&answer[..len]) else {
                panic!("{} of {}", len, answer.escape_ascii());
            };
            assert!(missing > 0);
            assert!(
                len + missing <= answer.len(),
                "{} of {}",
                len,
                answer.escape_ascii()
            );
        }
    }
    let long = b"$1000000\r\nabc";
    assert_eq!(read(long), Ok(Answer::Part(999_999)));
}

#[test]
fn what_is_no_answer_is_an_error() {
    let deep = b"*1\r\n".repeat(MOST_DEPTH + 2);
    let long = [b"+".as_slice(), &[b'a'; 70_000]].concat();
    for wrong in [
        &b"?\r\n"[..],
        b"HTTP/1.1 200 OK\r\n",
        b"%1\r\n+a\r\n:1\r\n",
        b":\r\n",
        b":-\r\n",
        b":1a\r\n",
        b":+1\r\n",
        b": 1\r\n",
        b":9223372036854775808\r\n",
        b":1\rx",
        b"$-2\r\n",
        b"$9223372036854775807\r\n",
        b"$600000000\r\n",
        b"$1\r\nab\r\n",
        b"*-2\r\n",
        b"+\xff\r\n",
        &deep,
        &long,
    ] {
        assert!(read(wrong).is_err(), "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_length_alone_gets_no_memory() {
    // As many elements as there can be, and none of them there.
    assert_eq!(read(b"*9223372036854775807\r\n"), Ok(Answer::Part(3)));
    let nested = b"*9223372036854775807\r\n".repeat(MOST_DEPTH);
    assert_eq!(read(&nested), Ok(Answer::Part(3)));
}

/// Random bytes of the letters of the protocol: no panic, and where both read a value it is the same.
#[test]
fn whatever_comes_is_read_or_refused() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let letters: &[u8] = b"+:$*-0123456789\r\nOKa\xff";
    let pieces: &[&[u8]] = &[
        b"\r\n", b"*2\r\n", b"$3\r\n", b":1\r\n", b"+OK\r\n", b"$-1\r\n",
    ];
    for _ in 0..200_000 {
        let mut input = Vec::new();
        for _ in 0..next() % 8 {
            let pick = next();
            match pick % 3 {
                0 => input.push(letters[(pick >> 8) as usize % letters.len()]),
                _ => input.extend_from_slice(pieces[(pick >> 8) as usize % pieces.len()]),
            }
        }
        if let Ok(Answer::Whole(raw, len)) = read(&input) {
            let theirs = redis::parse_redis_value(&input[..len]).ok();
            assert_eq!(theirs, raw.into_value().ok(), "{}", input.escape_ascii());
        }
    }
}
