use super::*;
use std::ffi::OsStr;

fn path(bytes: &[u8]) -> UnixAddress {
    UnixAddress::from(Path::new(OsStr::from_bytes(bytes)))
}

fn name(bytes: &[u8]) -> UnixAddress {
    UnixAddress::Abstract(bytes.to_vec())
}

#[test]
fn addresses_are_written_and_read() {
    let check = |address: UnixAddress, text: &str| {
        assert_eq!(address.to_string(), text);
        assert_eq!(text.parse(), Ok(address));
    };
    check(path(b"/run/app.sock"), "unix:/run/app.sock");
    check(path(b"app.sock"), "unix:app.sock");
    check(path("/tmp/ü b".as_bytes()), "unix:/tmp/ü b");
    check(path(b"/100%?x=1"), "unix:/100%25%3Fx=1");
    check(path(b"@home"), "unix:%40home");
    check(path(b"//host/a"), "unix:%2F/host/a");
    check(path(b"/a\n\x1b[2J"), "unix:/a%0A%1B[2J");
    check(path(b"/\xff\xfe/a"), "unix:/%FF%FE/a");
    check(name(b"app"), "unix:@app");
    check(name(b"@/a%\0"), "unix:@@/a%25%00");
    assert_eq!("unix:///run/a".parse(), Ok(path(b"/run/a")));
    assert_eq!("unix:/%41%62".parse(), Ok(path(b"/Ab")));
}

#[test]
fn addresses_that_are_none_are_refused() {
    let check = |text: &str, error: AddressError| {
        assert_eq!(text.parse::<UnixAddress>(), Err(error), "{text}");
    };
    check("/run/a", AddressError::Scheme);
    check("unix:", AddressError::Empty);
    check("unix:@", AddressError::Empty);
    check("unix://run/a", AddressError::Host);
    check("unix://", AddressError::Host);
    check("unix:/a%", AddressError::Escape);
    check("unix:/a%4", AddressError::Escape);
    check("unix:/a%+1", AddressError::Escape);
    check("unix:/a%é", AddressError::Escape);
    check("unix:/a%00b", AddressError::Zero);
}

#[test]
fn u1_the_longest_address_is_named_in_the_error() {
    for address in [path, name] {
        assert_eq!(address(&[b'a'; MAX_ADDRESS_BYTES]).check(), Ok(()));
        for bytes in [MAX_ADDRESS_BYTES + 1, 5000] {
            let error = address(&vec![b'a'; bytes]).check().unwrap_err();
            assert_eq!(error, AddressError::TooLong { bytes });
            let text = error.to_string();
            assert!(text.contains(&bytes.to_string()), "{text}");
            assert!(text.contains(&MAX_ADDRESS_BYTES.to_string()), "{text}");
        }
    }
}
