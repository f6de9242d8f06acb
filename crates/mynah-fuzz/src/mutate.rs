//! Changes to inputs that keep most of their structure, for runs without libFuzzer.

/// A generator of numbers that are the same for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero; the factor spreads seeds that are next to each other.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from(self.next() % bound).unwrap_or(0)
    }
}

/// What inputs of a target are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Bytes of a format, with so many bytes of choices before them.
    Bytes(usize),
    /// Steps of four bytes, with so many bytes of choices before them.
    Steps(usize),
    /// Frames behind their 32-bit length, with so many bytes of choices before them.
    Frames(usize),
}

/// What means something in one format or another.
const TOKENS: &[&[u8]] = &[
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\"",
    b"\\u",
    b"\\",
    b"\n",
    b"\r\n",
    b"-",
    b"0",
    b"e",
    b".",
    b"null",
    b"1e999",
    b"\"a\":",
    b"{\"$bytes\":[0,1]}",
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x9f",
    b"\xbf",
    b"\x5f",
    b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xf9\x7e\x00",
    b"\xc2\x41\x01",
    b"\xa1\x61a",
    b"\x82\x01",
    b"\xf7",
    b"\xc7\x01\x05\x00",
    b"\xd6\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\x00\x00\x00\x01",
    b"\x91",
    b"\x81\xa1a",
    b"Content-Length: 1\r\n\r\n",
];

/// A variant of `input`: a few changes, with parts of `other` among them.
#[must_use]
pub fn mutate(input: &[u8], other: &[u8], grain: Grain, random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        match grain {
            _ if random.below(8) == 0 => change(&mut bytes, other, 0, random),
            Grain::Bytes(head) => change(&mut bytes, other, head, random),
            Grain::Steps(head) => change_steps(&mut bytes, other, head, random),
            Grain::Frames(head) => change_frame(&mut bytes, other, head, random),
        }
    }
    bytes.truncate(4096);
    bytes
}

/// A place in `bytes` behind the head.
fn place(bytes: &[u8], head: usize, random: &mut Random) -> usize {
    let head = head.min(bytes.len());
    head + random.below(bytes.len() - head + 1)
}

/// A part of `bytes`.
fn part<'a>(bytes: &'a [u8], head: usize, random: &mut Random) -> &'a [u8] {
    let start = place(bytes, head, random);
    let len = random.below((bytes.len() - start).min(64) + 1);
    &bytes[start..start + len]
}

fn change(bytes: &mut Vec<u8>, other: &[u8], head: usize, random: &mut Random) {
    let at = place(bytes, head, random);
    let byte = random.below(256).to_le_bytes()[0];
    match random.below(8) {
        0 => bytes.insert(at, byte),
        1 => {
            let token = TOKENS[random.below(TOKENS.len())];
            drop(bytes.splice(at..at, token.iter().copied()));
        }
        2 => {
            let more = part(other, head, random).to_vec();
            drop(bytes.splice(at..at, more));
        }
        3 => {
            let twice = part(bytes, head, random).to_vec();
            drop(bytes.splice(at..at, twice));
        }
        4 => {
            let end = (at + 1 + random.below(8)).min(bytes.len());
            drop(bytes.drain(at..end));
        }
        5 if random.below(4) == 0 => bytes.truncate(at),
        6 => {
            if let Some(old) = bytes.get_mut(at) {
                *old ^= 1 << (byte % 8);
            }
        }
        _ => {
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
    }
}

/// Changes whole steps, so that those behind stay what they are.
fn change_steps(bytes: &mut Vec<u8>, other: &[u8], head: usize, random: &mut Random) {
    let step = |bytes: &[u8], random: &mut Random| {
        let steps = bytes.len().saturating_sub(head) / 4;
        head + 4 * random.below(steps + 1)
    };
    let at = step(bytes, random).min(bytes.len());
    match random.below(5) {
        0 => {
            let from = step(other, random).min(other.len());
            let len = (4 * (1 + random.below(16))).min(other.len() - from);
            drop(bytes.splice(at..at, other[from..from + len].iter().copied()));
        }
        1 => {
            let end = (at + 4 * (1 + random.below(3))).min(bytes.len());
            let taken: Vec<u8> = bytes.drain(at..end).collect();
            if random.below(2) == 0 {
                let to = step(bytes, random).min(bytes.len());
                drop(bytes.splice(to..to, taken));
            }
        }
        2 => {
            let new = [(); 4].map(|()| random.below(256).to_le_bytes()[0]);
            drop(bytes.splice(at..at, new));
        }
        _ => {
            let at = at + random.below(4);
            if let Some(old) = bytes.get_mut(at) {
                *old = random.below(256).to_le_bytes()[0];
            }
        }
    }
}

/// Changes the content of one frame and puts its length right, or moves whole frames.
fn change_frame(bytes: &mut Vec<u8>, other: &[u8], head: usize, random: &mut Random) {
    let mut frames = split(bytes, head);
    let others = split(other, head);
    let at = random.below(frames.len() + 1);
    match (random.below(4), frames.get_mut(at)) {
        (0, _) if !others.is_empty() => {
            let more = others[random.below(others.len())].clone();
            frames.insert(at, more);
        }
        (1, Some(frame)) => {
            let twice = frame.clone();
            frames.insert(at, twice);
        }
        (_, Some(frame)) => {
            let more = others.get(random.below(others.len()));
            change(frame, more.map_or(&[], Vec::as_slice), 0, random);
        }
        (_, None) => {}
    }
    bytes.truncate(head);
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&frame);
    }
}

/// The contents of the frames, as far as their lengths are right; what is left over is one more.
fn split(bytes: &[u8], head: usize) -> Vec<Vec<u8>> {
    let mut rest = bytes.get(head..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        let Some((frame, behind)) = behind.split_at_checked(len) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = behind;
    }
    if !rest.is_empty() {
        frames.push(rest.to_vec());
    }
    frames
}
