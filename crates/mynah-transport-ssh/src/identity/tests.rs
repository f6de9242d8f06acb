use super::*;

#[test]
fn debug_shows_no_secret() {
    for identity in [
        Identity::password("hush"),
        Identity::file_with_passphrase("/k", "hush"),
    ] {
        assert!(!format!("{identity:?}").contains("hush"));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    for text in ["", "hush", "-----BEGIN OPENSSH PRIVATE KEY-----\n"] {
        let error = Identity::key(text, None).unwrap_err();
        assert!(error.to_string().contains("no private key"), "{error}");
        assert!(!error.chain().contains("hush"));
    }
}
