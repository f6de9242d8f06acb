use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const ONE: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICx7hWFzJ2blzQJzLisSx5NCPIk8cOcs5YotWWTYoZoS";
const TWO: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOPTfB1S8mlHPFbjbY0ZHv4giqTGjCZIjqTR2Ns5CN/d";
const OTHER_TYPE: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOboHOMZn1ceb6U+wsF0pRYRXWbI+KjbxPLGoPTIG/9wXMdWQUgyVNUcfgHhqYDki+AqWnhpJIJa3DaAT1If7Dw=";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

async fn check(keys: &HostKeys, of: &str) -> Result<HostKey, String> {
    let check = keys.load("h", 22).await.map_err(|error| error.chain())?;
    let checked = check.check(&key(of)).await;
    checked.map_err(|refused| refused.to_string())
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_no_empty_file() {
    let directory = tempfile::tempdir().unwrap();
    let missing = HostKeys::known_hosts_in([directory.path().join("missing")]);
    let error = check(&missing, ONE).await.unwrap_err();
    assert!(error.contains("cannot read the known hosts"), "{error}");
    // A directory opens, and cannot be read.
    for keys in [
        HostKeys::known_hosts_in([directory.path()]),
        HostKeys::known_hosts_in([directory.path()]).accept_new(),
    ] {
        let error = check(&keys, ONE).await.unwrap_err();
        assert!(error.contains("cannot read the known hosts"), "{error}");
    }
    let file = directory.path().join("wrong");
    fs::write(&file, format!("h {ONE}\n@revokd h {ONE}\n")).unwrap();
    let error = check(&HostKeys::known_hosts_in([&file]), ONE)
        .await
        .unwrap_err();
    assert!(
        error.contains("wrong:2: there is no such marker"),
        "{error}"
    );
    let none = HostKeys::known_hosts_in(Vec::<PathBuf>::new());
    assert!(check(&none, ONE).await.is_err());
}

#[tokio::test]
async fn several_files_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    fs::write(&one, format!("h {ONE}\n")).unwrap();
    fs::write(&two, format!("h {TWO}\n@revoked * {ONE}\n")).unwrap();
    let keys = HostKeys::known_hosts_in([one, two]);
    check(&keys, TWO).await.unwrap();
    let error = check(&keys, ONE).await.unwrap_err();
    assert!(
        error.contains("is revoked at") && error.contains("two:2"),
        "{error}"
    );
}

#[tokio::test]
async fn a_new_host_is_learnt_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new").join("known_hosts");
    let strict = HostKeys::known_hosts_in([&file]);
    assert!(check(&strict, ONE).await.is_err());
    let keys = strict.clone().accept_new();
    check(&keys, ONE).await.unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("h {ONE}\n"));
    // From then on it is known, and nothing else is.
    check(&strict, ONE).await.unwrap();
    check(&keys, ONE).await.unwrap();
    let error = check(&keys, TWO).await.unwrap_err();
    assert!(error.contains("another one is known for it"), "{error}");
    let error = check(&keys, OTHER_TYPE).await.unwrap_err();
    assert!(
        error.contains("known by a key of another type, ssh-ed25519"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("h {ONE}\n"));
}

#[tokio::test]
async fn what_is_learnt_is_a_line_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    fs::write(&file, format!("g {TWO}")).unwrap();
    let keys = HostKeys::known_hosts_in([&file]).accept_new();
    check(&keys, ONE).await.unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("g {TWO}\nh {ONE}\n"));
}

/// Two programs meet a new host at once, and see two keys.
#[tokio::test]
async fn what_was_learnt_meanwhile_counts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    let keys = HostKeys::known_hosts_in([&file]).accept_new();
    let (one, two) = (
        keys.load("h", 22).await.unwrap(),
        keys.load("h", 22).await.unwrap(),
    );
    one.check(&key(ONE)).await.unwrap();
    let error = two.check(&key(OTHER_TYPE)).await.unwrap_err();
    assert!(error.to_string().contains("cannot be added"), "{error}");
    let again = keys.load("h", 22).await.unwrap();
    again.check(&key(ONE)).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("h {ONE}\n"));
}

#[tokio::test]
async fn a_revoked_key_is_not_learnt() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    fs::write(&file, format!("@revoked * {ONE}\n")).unwrap();
    let keys = HostKeys::known_hosts_in([&file]).accept_new();
    assert!(check(&keys, ONE).await.unwrap_err().contains("is revoked"));
    check(&keys, TWO).await.unwrap();
}

/// Whoever is on the way would have a plain key where the host has a certificate.
#[tokio::test]
async fn a_host_of_an_authority_is_not_learnt() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    let text = format!("@cert-authority h {ONE}\n");
    fs::write(&file, &text).unwrap();
    let keys = HostKeys::known_hosts_in([&file]).accept_new();
    for of in [ONE, TWO] {
        let error = check(&keys, of).await.unwrap_err();
        assert!(error.contains("of the authority at"), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn fingerprints() {
    let one = key(ONE).fingerprint(HashAlg::Sha256).to_string();
    let keys = HostKeys::fingerprints([one.as_str()]);
    assert_eq!(check(&keys, ONE).await.unwrap().fingerprint, one);
    let error = check(&keys, TWO).await.unwrap_err();
    assert!(error.contains("not the one that is asked for"), "{error}");
    for wrong in [
        "",
        "SHA256:",
        "MD5:aa",
        one.strip_prefix("SHA256:").unwrap(),
        &format!("{one}="),
        one.get(..49).unwrap(),
    ] {
        let error = check(&HostKeys::fingerprints([wrong]), ONE)
            .await
            .unwrap_err();
        assert!(error.contains("is no fingerprint"), "{error}");
    }
    let nobody = HostKeys::fingerprints(Vec::<String>::new());
    assert!(check(&nobody, ONE).await.is_err());
}

#[tokio::test]
async fn whoever_gives_up_the_check_says_so() {
    let keys = HostKeys::dangerous().accept_any();
    check(&keys, ONE).await.unwrap();
}
