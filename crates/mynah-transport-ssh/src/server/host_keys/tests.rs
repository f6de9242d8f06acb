use super::*;
use russh::keys::HashAlg;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

#[tokio::test]
async fn a_key_is_made_once_and_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("host_key");
    let made = load(&path).await.unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let again = load(&path).await.unwrap();
    assert_eq!(fingerprint(&made), fingerprint(&again));
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[tokio::test]
async fn many_that_make_it_at_once_have_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("host_key");
    let many: Vec<_> = (0..16)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { fingerprint(&load(&path).await.unwrap()) })
        })
        .collect();
    let mut seen = Vec::new();
    for one in many {
        seen.push(one.await.unwrap());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("host_key");
    load(&path).await.unwrap();
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = load(&path).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Denied);
        assert!(
            error.to_string().contains(&format!("{mode:04o}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_key_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("host_key");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    load(&path).await.unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"");
    let nowhere = directory.path().join("none/host_key");
    let error = load(&nowhere).await.unwrap_err();
    assert!(
        error.chain().contains("cannot be made"),
        "{}",
        error.chain()
    );
    // A link to nothing is no key, and is not followed to where one would be made.
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
    load(&link).await.unwrap_err();
    assert!(!directory.path().join("elsewhere").exists());
}
