use super::*;
use std::net::Ipv4Addr;

/// Made for these tests: nobody has their private halves any more.
const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINR+VLHXWHwtaIEcSVctmu5joscCXl39w3jeDXqDP/zs";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn key() -> PublicKey {
    PublicKey::from_openssh(ED25519).unwrap()
}

fn permit_at(text: &str, user: &str, remote: IpAddr, now: u64) -> Result<String, String> {
    let keys = AuthorizedKeys::parse(text.as_bytes());
    let key = key();
    let users = ["mynah".to_owned()];
    let asked = Asked {
        key: &key,
        user,
        remote,
        now,
        users: &users,
    };
    match keys.permit(asked) {
        Ok(None) => Ok("all".to_owned()),
        Ok(Some(methods)) => Ok(methods.to_string()),
        Err(fault) => Err(fault.what),
    }
}

fn permit(text: &str) -> Result<String, String> {
    permit_at(text, "mynah", LOCALHOST, 1_000_000)
}

/// A line that lets the key in.
fn opens(options: &str) {
    let line = format!("{options} {ED25519} somebody@somewhere");
    assert_eq!(permit(&line), Ok("all".to_owned()), "{options}");
}

/// A line that is not understood, or not meant for this server.
fn refuses(options: &str, why: &str) {
    let line = format!("{options} {ED25519}");
    let error = permit(&line).unwrap_err();
    assert!(error.contains(why) || why.is_empty(), "{options}: {error}");
    // Whatever else lists the key.
    let with_another = format!("{ED25519}\n{line}\n{ED25519}\n");
    assert!(permit(&with_another).is_err(), "{options}");
}

#[test]
fn lines_of_every_form_are_read() {
    for text in [
        ED25519.to_owned(),
        format!("  \t{ED25519}"),
        format!("{ED25519} a comment with \"quotes\" and, commas"),
        format!("{ED25519}\r\n"),
        format!("\n# a comment\n   # another\n\n{ED25519}\n"),
        ED25519.replace(' ', "\t"),
        ED25519.replace(' ', "   "),
        // A line that is wrong does not disturb the others.
        format!("nonsense\nssh-ed25519 AAAA\n{ED25519}"),
        format!("\u{fffd}\n{ED25519}"),
    ] {
        assert_eq!(permit(&text), Ok("all".to_owned()), "{text:?}");
    }
    assert_eq!(permit(""), Err("the key is in no line".to_owned()));
    assert!(permit(&format!("#{ED25519}")).is_err());
}

#[test]
fn what_takes_away_what_is_never_given_is_no_matter() {
    opens("restrict");
    opens("RESTRICT");
    opens("no-pty,no-X11-forwarding,no-agent-forwarding,no-port-forwarding,no-user-rc");
    opens("restrict,from=\"127.0.0.1\",expiry-time=\"20380119Z\"");
}

#[test]
fn what_is_not_understood_refuses_the_key() {
    refuses("command=\"/bin/date\"", "command is not understood");
    refuses("environment=\"A=B\"", "");
    refuses("permitopen=\"host:22\"", "");
    refuses("permitlisten=\"8080\"", "");
    refuses("principals=\"a\"", "list each key itself");
    refuses("tunnel=\"0\"", "");
    refuses("cert-authority", "certificates of users");
    refuses("restrict,cert-authority,principals=\"a\"", "cert-authority");
    refuses("verify-required", "");
    refuses("no-touch-required", "");
    refuses("pty", "");
    refuses("port-forwarding", "");
    refuses("agent-forwarding", "");
    refuses("restrict,something-new", "something-new");
    refuses("mynah-method=\"a\"", "mynah-method ");
    refuses("restrict=\"yes\"", "takes no value");
    refuses("from", "needs a value");
    refuses("mynah-methods", "needs a value");
    refuses("restrict,", "no name");
    refuses(",restrict", "no name");
    refuses("restrict,,no-pty", "no name");
    refuses("from=127.0.0.1", "quotes");
    refuses("from=\"127.0.0.1\"x", "behind");
    refuses("from=\"127.0.0.1\",from=\"10.0.0.1\"", "twice");
    refuses("mynah-methods=\"a.b\",mynah-methods=\"*\"", "twice");
    refuses("mynah-methods=\"\"", "empty");
    refuses("mynah-methods=\"a b\"", "blank");
    refuses("mynah-methods=\"*.a\"", "end of a pattern");
    refuses("mynah-user=\"\"", "");
    refuses("mynah-user=\"a,,b\"", "");
    refuses("mynah-user=\"a/b\"", "");
}

#[test]
fn faults_are_told_with_their_lines() {
    let long = "x".repeat(MAX_LINE_BYTES + 1);
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== old";
    let hardware = "sk-ssh-ed25519@openssh.com AAAA token";
    let certificate = "ssh-ed25519-cert-v01@openssh.com AAAA";
    let other = ED25519.replace("ssh-ed25519", "ecdsa-sha2-nistp256");
    let command = format!("command=\"x\" {ED25519}");
    let open = format!("from=\"127.0.0.1 {ED25519}");
    let text = [
        "# fine",
        &long,
        rsa,
        hardware,
        certificate,
        &other,
        "ssh-ed25519",
        "restrict",
        "ssh-ed25519 !!!",
        &command,
        &open,
        "restrict nonsense AAAA",
        ED25519,
    ]
    .join("\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"\n\xff\xfe");
    let keys = AuthorizedKeys::parse(&bytes);
    let lines: Vec<usize> = keys.faults().iter().map(|fault| fault.line).collect();
    assert_eq!(
        lines,
        [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14],
        "{:?}",
        keys.faults()
    );
    assert!(
        keys.faults()[1]
            .to_string()
            .contains("line 3: keys of type ssh-rsa")
    );
    let told = keys.faults()[3].to_string();
    assert!(told.contains("certificates are not spoken here"), "{told}");
}

#[test]
fn quotes_may_hold_anything() {
    opens("from=\"127.0.0.1\",mynah-user=\"mynah\"");
    refuses("command=\"echo \\\"a b\\\" # c\"", "command");
    refuses("from=\"127.0.0.1\\\"\"", "from");
}

#[test]
fn a_key_expires() {
    let at = |time: &str, now| {
        let line = format!("expiry-time=\"{time}\" {ED25519}");
        permit_at(&line, "mynah", LOCALHOST, now)
    };
    // 2026-03-01T00:00:00Z, and what OpenSSH's own date says of others.
    for (time, seconds) in [
        ("20260301Z", 1_772_323_200),
        ("202603010000Z", 1_772_323_200),
        ("20260301123456Z", 1_772_368_496),
        ("20240229Z", 1_709_164_800),
        ("20000301Z", 951_868_800),
        ("19700101Z", 0),
        ("21000228Z", 4_107_456_000),
        ("99991231235959Z", 253_402_300_799),
    ] {
        if seconds > 0 {
            assert!(at(time, seconds - 1).is_ok(), "{time}");
        }
        let error = at(time, seconds).unwrap_err();
        assert!(error.contains("expired"), "{time}: {error}");
    }
    for wrong in [
        "",
        "Z",
        "20260301",
        "2026030112",
        "2026-03-01Z",
        "20260230Z",
        "20261301Z",
        "20260300Z",
        "20250229Z",
        "21000229Z",
        "19691231Z",
        "202603012400Z",
        "202603011260Z",
        "2026030112Z",
        "20260301 Z",
        "always",
        "+1Z",
        "20260301123461Z",
    ] {
        assert!(at(wrong, 0).is_err(), "{wrong}");
    }
    // A clock that is wrong lets nobody in.
    assert!(at("99991231235959Z", u64::MAX).is_err());
}

#[test]
fn a_key_is_for_some_addresses() {
    let check = |from: &str, remote: &str, allowed: bool| {
        let line = format!("from=\"{from}\" {ED25519}");
        let permitted = permit_at(&line, "mynah", remote.parse().unwrap(), 0);
        assert_eq!(permitted.is_ok(), allowed, "{from} {remote}: {permitted:?}");
    };
    check("127.0.0.1", "127.0.0.1", true);
    check("127.0.0.1", "127.0.0.2", false);
    check("10.0.0.0/8", "10.255.0.1", true);
    check("10.0.0.0/8", "11.0.0.1", false);
    check("10.0.0.0/8", "::ffff:10.1.2.3", true);
    check("::ffff:10.1.2.3", "10.1.2.3", true);
    check("0.0.0.0/0", "1.2.3.4", true);
    check("0.0.0.0/0", "2001:db8::1", false);
    check("::/0", "2001:db8::1", true);
    check("2001:db8::/32", "2001:db8:1::2", true);
    check("2001:db8::/32", "2001:db9::", false);
    check("192.168.1.*", "192.168.1.77", true);
    check("192.168.1.*", "192.168.11.7", false);
    check("192.168.?.1", "192.168.7.1", true);
    check("192.168.?.1", "192.168.77.1", false);
    check("*", "203.0.113.9", true);
    check("2001:DB8:*", "2001:db8::5", true);
    check("*.*.*.*.*.*.*.*.*.*.*.*x", "1.2.3.4", false);
    check("10.0.0.0/8,!10.6.6.6", "10.6.6.5", true);
    check("10.0.0.0/8,!10.6.6.6", "10.6.6.6", false);
    check("!10.6.6.6,10.0.0.0/8", "10.6.6.6", false);
    check("*,!::ffff:10.0.0.0/104", "10.6.6.6", false);
    check("*,!::ffff:10.0.0.0/104", "11.6.6.6", true);
    check("*,!::ffff:0:0/96", "10.6.6.6", false);
    check("*,!::ffff:0:0/96", "2001:db8::1", true);
    check("*,!10.6.*", "10.6.6.6", false);
    for wrong in [
        "",
        "example.com",
        "*.example.com",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0.0/",
        "::/129",
        "10.0.0.0/8,",
        "!10.0.0.1",
        "10.0.0",
        "localhost",
        "fe80::1%eth0",
        "*,!::ffff:10.*",
        "*,!010.*",
        "*,!10.06.*",
        "*,!2001:db8:0:0:*",
        "2001:0db8:*",
        "a.*",
    ] {
        let line = format!("from=\"{wrong}\" {ED25519}");
        assert!(permit(&line).is_err(), "{wrong}");
    }
}

#[test]
fn a_pattern_takes_no_more_than_the_product_of_lengths() {
    let stars = "*1".repeat(1000);
    let line = format!("from=\"{stars}\" {ED25519}");
    let remote = "1111:1111:1111:1111:1111:1111:1111:1111".parse().unwrap();
    assert!(permit_at(&line, "mynah", remote, 0).is_err());
}

#[test]
fn a_key_is_for_some_users() {
    let plain = |user| permit_at(ED25519, user, LOCALHOST, 0);
    assert!(plain("mynah").is_ok());
    assert!(plain("root").is_err());
    let bound = format!("mynah-user=\"ann,bob\" {ED25519}");
    let bound = |user| permit_at(&bound, user, LOCALHOST, 0);
    assert!(bound("ann").is_ok() && bound("bob").is_ok());
    assert!(bound("mynah").is_err() && bound("an").is_err() && bound("ann,bob").is_err());
}

#[test]
fn the_first_line_that_fits_says_what_may_be_called() {
    let methods = |list: &str, more: &str| format!("{more}mynah-methods=\"{list}\" {ED25519}\n");
    assert_eq!(permit(&methods("arith.*", "")), Ok("arith.*".to_owned()));
    let both = methods("a.*", "from=\"10.0.0.1\",") + &methods("b.*,c.d", "");
    assert_eq!(permit(&both), Ok("b.*,c.d".to_owned()));
    let expired = methods("a.*", "expiry-time=\"19700102Z\",") + &methods("b.*", "");
    assert_eq!(permit(&expired), Ok("b.*".to_owned()));
    let first = methods("a.*", "") + ED25519;
    assert_eq!(permit(&first), Ok("a.*".to_owned()));
}
