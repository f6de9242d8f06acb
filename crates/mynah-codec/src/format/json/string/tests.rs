use super::*;

#[test]
fn the_first_special_byte_is_found() {
    for at in 0..8 {
        for byte in 0..=255_u8 {
            for around in [b'a', 0x7f, 0x80, 0xff, 0x21, 0x23, 0x5b, 0x5d, 0x20] {
                let mut bytes = [around; 8];
                bytes[at] = byte;
                let found = special_bytes(u64::from_le_bytes(bytes));
                if is_special(byte) {
                    assert_eq!(found.trailing_zeros() as usize / 8, at, "{bytes:?}");
                } else {
                    assert_eq!(found, 0, "{bytes:?}");
                }
            }
        }
    }
    let bytes = b"0123456789abcdef\"x\\";
    assert_eq!(next_special(bytes, 0), 16);
    assert_eq!(next_special(bytes, 17), 18);
    assert_eq!(next_special(bytes, 19), 19);
}

#[test]
fn halves_of_pairs() {
    assert_eq!(pair(0xD83E, 0xDD9C), Some('🦜'));
    assert_eq!(pair(0xD83E, 0xD83E), None);
    assert_eq!(pair(0xD83E, 0x41), None);
    assert_eq!(unescape(br"a\u0041\n\ud83e\udd9c\/"), "aA\n🦜/".as_bytes());
}
