use super::*;

const ONE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICx7hWFzJ2blzQJzLisSx5NCPIk8cOcs5YotWWTYoZoS";
const TWO: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOPTfB1S8mlHPFbjbY0ZHv4giqTGjCZIjqTR2Ns5CN/d";
const OTHER_TYPE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOboHOMZn1ceb6U+wsF0pRYRXWbI+KjbxPLGoPTIG/9wXMdWQUgyVNUcfgHhqYDki+AqWnhpJIJa3DaAT1If7Dw=";

/// A name as `ssh-keygen -H` of OpenSSH 9.2 hashes it.
const HASHED_PORT: &str = "|1|7blMu03RHq6Aqe9uRTdNMvPkm88=|wnwkKig5tOyfBFN6btS8zG3sxO8=";
/// A name from OpenSSH's own tests: sisyphus.example.com.
const HASHED_SISYPHUS: &str = "|1|z3xOIdT5ue3Vuf3MzT67kaioqjw=|GZhhe5uwDOBQrC9N4cCjpbLpSn4=";

fn key(text: &str) -> KeyBlob {
    let line = format!("x {text}");
    parse(line.as_bytes()).unwrap().unwrap().key
}

/// What lines say about a key of a host. ONE, TWO and OTHER stand for keys.
fn check(lines: &str, host: &str, port: u16, of: &str) -> Verdict {
    let text = lines
        .replace("ONE", ONE)
        .replace("TWO", TWO)
        .replace("OTHER", OTHER_TYPE);
    let mut known = KnownHosts::default();
    known.add("f", text.as_bytes()).unwrap();
    known.look_up(&lookup_name(host, port), &key(of))
}

fn at(line: usize) -> Place {
    Place {
        file: "f".to_owned(),
        line,
    }
}

#[test]
fn plain_names() {
    for (lines, host, port) in [
        ("h ONE", "h", 22),
        ("h,192.0.2.10 ONE", "192.0.2.10", 22),
        ("H.Example.COM ONE", "h.example.com", 22),
        ("h.example.com ONE", "H.EXAMPLE.com", 22),
        ("[h]:2222 ONE", "h", 2222),
        ("[::1]:2222 ONE", "::1", 2222),
        ("::1 ONE", "::1", 22),
        (
            "# a comment\n\n   \n\t# another\nh ONE a comment of the key",
            "h",
            22,
        ),
        ("h\tONE", "h", 22),
        (" \t h  \t ONE", "h", 22),
        ("h ONE\r\n", "h", 22),
        ("h TWO\nh ONE", "h", 22),
        ("h OTHER\nh ONE", "h", 22),
        ("h 1024 35 123456789 of SSH 1\nh ONE", "h", 22),
    ] {
        assert_eq!(check(lines, host, port, ONE), Verdict::Known, "{lines:?}");
    }
    for (lines, host, port) in [
        ("", "h", 22),
        ("h ONE", "g", 22),
        ("h ONE", "h.example.com", 22),
        ("h ONE", "h", 2222),
        ("[h]:2222 ONE", "h", 22),
        ("[h]:2222 ONE", "h", 2223),
        ("#h ONE", "h", 22),
    ] {
        assert_eq!(check(lines, host, port, ONE), Verdict::Unknown, "{lines:?}");
    }
}

#[test]
fn hashed_names() {
    let check = |name: &str, host, port| check(&format!("{name} ONE"), host, port, ONE);
    assert_eq!(check(HASHED_PORT, "h.example.com", 2222), Verdict::Known);
    assert_eq!(check(HASHED_PORT, "H.Example.com", 2222), Verdict::Known);
    assert_eq!(check(HASHED_PORT, "h.example.com", 22), Verdict::Unknown);
    assert_eq!(
        check(HASHED_SISYPHUS, "sisyphus.example.com", 22),
        Verdict::Known
    );
    assert_eq!(
        check(HASHED_SISYPHUS, "prometheus.example.com", 22),
        Verdict::Unknown
    );
}

#[test]
fn wildcards_and_negation() {
    for (names, host, port, about) in [
        ("*", "h", 22, true),
        ("*", "h", 2222, true),
        ("*.example.com", "h.example.com", 22, true),
        ("*.example.com", "example.com", 22, false),
        ("*.EXAMPLE.com", "a.b.example.com", 22, true),
        ("h?", "h1", 22, true),
        ("h?", "h", 22, false),
        ("h?", "h12", 22, false),
        ("h*1*2", "hx1yy2", 22, true),
        ("h*1*2", "hx2yy1", 22, false),
        ("192.0.2.*", "192.0.2.77", 22, true),
        ("[*]:2222", "h", 2222, true),
        ("[h]:*", "h", 2222, true),
        ("*,!h", "h", 22, false),
        ("!h,*", "h", 22, false),
        ("*,!h", "g", 22, true),
        ("!h", "g", 22, false),
        (
            "*.example.com,!*.dev.example.com",
            "a.dev.example.com",
            22,
            false,
        ),
        (
            "*.example.com,!*.dev.example.com",
            "a.example.com",
            22,
            true,
        ),
        (
            "!*.Dev.example.com,*.example.com",
            "a.dev.EXAMPLE.com",
            22,
            false,
        ),
    ] {
        let verdict = check(&format!("{names} ONE"), host, port, ONE);
        let expected = if about {
            Verdict::Known
        } else {
            Verdict::Unknown
        };
        assert_eq!(verdict, expected, "{names} for {host}:{port}");
    }
}

/// Takes time in proportion to both lengths, whatever the pattern.
#[test]
fn a_pattern_of_many_stars_is_not_slow() {
    let pattern = "*a".repeat(10_000);
    let name = "a".repeat(9_999);
    assert_eq!(
        check(&format!("{pattern}b ONE"), &name, 22, ONE),
        Verdict::Unknown
    );
}

#[test]
fn other_keys() {
    for (lines, verdict) in [
        ("h TWO", Verdict::Changed(at(1))),
        ("\nh TWO\nh OTHER", Verdict::Changed(at(2))),
        ("h OTHER\nh TWO", Verdict::Changed(at(2))),
        (
            "g ONE\nh OTHER",
            Verdict::OtherType(at(2), "ecdsa-sha2-nistp256".to_owned()),
        ),
    ] {
        assert_eq!(check(lines, "h", 22, ONE), verdict, "{lines:?}");
    }
}

#[test]
fn revoked_keys() {
    for lines in [
        "@revoked * ONE",
        "@revoked h ONE\nh ONE",
        "h ONE\n@revoked h ONE",
        "h ONE\n@revoked\t* ONE",
        "h ONE\n  @revoked *,!g ONE",
    ] {
        assert!(
            matches!(check(lines, "h", 22, ONE), Verdict::Revoked(_)),
            "{lines:?}"
        );
    }
    for lines in [
        "h ONE\n@revoked * TWO",
        "h ONE\n@revoked g ONE",
        "h ONE\n@revoked *,!h ONE",
    ] {
        assert_eq!(check(lines, "h", 22, ONE), Verdict::Known, "{lines:?}");
    }
}

#[test]
fn an_authority_is_no_key_of_a_host() {
    // Nor is such a host a new one.
    for key in [ONE, TWO] {
        let verdict = check("@cert-authority * ONE", "h", 22, key);
        assert!(matches!(verdict, Verdict::Authority(_)), "{verdict:?}");
    }
    assert_eq!(
        check("@cert-authority g ONE", "h", 22, ONE),
        Verdict::Unknown
    );
    assert_eq!(
        check("@cert-authority * ONE\nh TWO", "h", 22, TWO),
        Verdict::Known
    );
    let verdict = check("@cert-authority * ONE\nh TWO", "h", 22, ONE);
    assert!(matches!(verdict, Verdict::Changed(_)), "{verdict:?}");
    let mut known = KnownHosts::default();
    let text =
        format!("@cert-authority *.example.org,*.example.com {ONE}\n@cert-authority g {TWO}\n");
    known.add("f", text.as_bytes()).unwrap();
    let of = |name: &str| known.authorities(name).cloned().collect::<Vec<_>>();
    assert_eq!(of("h.example.com"), [key(ONE)]);
    assert_eq!(of("h"), []);
}

#[test]
fn what_is_no_line_is_an_error() {
    for (line, error) in [
        ("h", ParseError::NoKey),
        ("h ssh-ed25519", ParseError::NoKey),
        ("@unknown h ONE", ParseError::Marker),
        ("@revoked", ParseError::Hosts),
        ("@revoked @cert-authority h ONE", ParseError::Marker),
        ("@REVOKED h ONE", ParseError::Marker),
        (",h ONE", ParseError::Hosts),
        ("h,, ONE", ParseError::Hosts),
        ("! ONE", ParseError::Hosts),
        ("|1|abc ONE", ParseError::Hosts),
        (
            "|2|7blMu03RHq6Aqe9uRTdNMvPkm88=|wnwkKig5tOyfBFN6btS8zG3sxO8= ONE",
            ParseError::Hosts,
        ),
        (
            "|1|AAAA|wnwkKig5tOyfBFN6btS8zG3sxO8= ONE",
            ParseError::Hosts,
        ),
        (
            "h,|1|7blMu03RHq6Aqe9uRTdNMvPkm88=|wnwkKig5tOyfBFN6btS8zG3sxO8= ONE",
            ParseError::Hosts,
        ),
        (
            "|1|7blMu03RHq6Aqe9uRTdNMvPkm88=|wnwkKig5tOyfBFN6btS8zG3sxO8=,h ONE",
            ParseError::Hosts,
        ),
        ("h ssh-ed25519 AAAA-", ParseError::Base64),
        (
            "h ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAICx7hWFzJ2blzQJzLisSx5NCPIk8cOcs5YotWWTYoZoS",
            ParseError::Blob,
        ),
        ("h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", ParseError::Blob),
        ("h ssh-ed25519 ====", ParseError::Base64),
    ] {
        let line = line.replace("ONE", ONE);
        assert_eq!(parse(line.as_bytes()), Err(error), "{line:?}");
    }
    assert_eq!(parse(b"h \xff"), Err(ParseError::NotText));
    assert_eq!(parse(&vec![b'a'; 1 << 20]), Err(ParseError::TooLong));
    // It says where.
    let mut known = KnownHosts::default();
    let error = known.add("f", format!("h {ONE}\n\n@revok h {ONE}\n").as_bytes());
    assert_eq!(error, Err((at(3), ParseError::Marker)));
}

/// Nothing that stands in a file does any harm.
#[test]
fn arbitrary_bytes() {
    let mut dice = mynah_testkit::Dice::new(7);
    let words = [
        "@revoked", "@", "!", "|1|", "|", ",", "*", "?", "h", " ", "\t", "[h]:2", ONE, "=", "\r",
        "#", "\u{e4}",
    ];
    for _ in 0..20_000 {
        let mut line = String::new();
        for _ in 0..dice.index_below(8) {
            line.push_str(words[dice.index_below(words.len())]);
        }
        let mut known = KnownHosts::default();
        if known.add("f", line.as_bytes()).is_ok() {
            let _verdict = known.look_up("h", &key(ONE));
        }
    }
}

/// What our reader says about names is what OpenSSH's says.
#[test]
fn the_same_lines_are_about_a_host_as_for_openssh() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("lines");
    let mut dice = mynah_testkit::Dice::new(11);
    let parts = [
        "*", "?", "a", "b", "A", ".", "a.b", "!", ",", "[a]:2", "[*]:2", ",!", "*,",
    ];
    let hosts = ["a", "b", "a.b", "ab", "aab", "b.a"];
    let mut checked = [0, 0];
    for _ in 0..200 {
        let mut names = String::new();
        for _ in 0..=dice.index_below(5) {
            names.push_str(parts[dice.index_below(parts.len())]);
        }
        let lines = format!("{names} {ONE}\n");
        let mut known = KnownHosts::default();
        // Empty names are no line for us; OpenSSH passes over them.
        if known.add("f", lines.as_bytes()).is_err() || names.contains("!!") {
            continue;
        }
        let host = hosts[dice.index_below(hosts.len())];
        let name = lookup_name(host, if dice.index_below(3) == 0 { 2 } else { 22 });
        let ours = known.look_up(&name, &key(ONE)) == Verdict::Known;
        std::fs::write(&file, lines).unwrap();
        let theirs = std::process::Command::new("ssh-keygen")
            .args(["-F", &name, "-f"])
            .arg(&file)
            .output()
            .expect("there is no ssh-keygen: apt-get install openssh-client");
        assert_eq!(ours, theirs.status.success(), "{names:?} for {name}");
        checked[usize::from(ours)] += 1;
    }
    assert!(checked.iter().all(|count| *count > 20), "{checked:?}");
}
