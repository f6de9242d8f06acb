//! Checking a text that comes in pieces, each byte once.

/// What is open between two pieces of a text.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// Bytes that are missing of the last character.
    missing: u8,
    /// What the next of them may be.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Whether the text may end here.
    pub(super) const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Takes the next piece; false when the text is not valid UTF-8, whatever may follow.
    pub(super) fn check(&mut self, mut piece: &[u8]) -> bool {
        while self.missing > 0 {
            let Some((byte, rest)) = piece.split_first() else {
                return true;
            };
            if !(self.low..=self.high).contains(byte) {
                return false;
            }
            self.next();
            piece = rest;
        }
        match std::str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let open = piece.get(error.valid_up_to()..).unwrap_or_default();
                self.open(open);
                true
            }
        }
    }

    /// Begins with the first bytes of a character that were found valid.
    fn open(&mut self, character: &[u8]) {
        let Some((first, more)) = character.split_first() else {
            return;
        };
        // Unicode 16, table 3-7: some first bytes narrow the second, which keeps out overlong forms, surrogates and
        // what is beyond the last code point.
        (self.missing, self.low, self.high) = match first {
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            _ => (1, 0x80, 0xbf),
        };
        for _ in more {
            self.next();
        }
    }

    fn next(&mut self) {
        self.missing -= 1;
        (self.low, self.high) = (0x80, 0xbf);
    }
}
