use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

#[test]
fn who_may_write_it() {
    for (uid, mode, own, expected) in [
        (0, 0o100_644, 1000, None),
        (1000, 0o100_600, 1000, None),
        (0, 0o040_755, 0, None),
        (1001, 0o100_644, 1000, Some(Fault::Owner(1001))),
        (1001, 0o100_644, 0, Some(Fault::Owner(1001))),
        (1000, 0o100_664, 1000, Some(Fault::Mode(0o664))),
        (0, 0o100_646, 1000, Some(Fault::Mode(0o646))),
        (0, 0o041_777, 1000, Some(Fault::Mode(0o1777))),
    ] {
        assert_eq!(fault(uid, mode, own), expected, "{uid} {mode:o} {own}");
    }
}

fn looked_at(path: &Path) -> io::Result<()> {
    let (_file, facts) = open(path)?;
    unchanged_by_others(path, &facts)
}

#[test]
fn errors_say_which_path_what_is_wrong_and_how_to_mend_it() {
    let directory = tempfile::tempdir().unwrap();
    let (named, real) = (
        directory.path().join("named"),
        directory.path().join("real"),
    );
    for one in [&named, &real] {
        fs::create_dir(one).unwrap();
        fs::set_permissions(one, Permissions::from_mode(0o755)).unwrap();
    }
    let (link, file) = (named.join("keys"), real.join("keys"));
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    symlink(&file, &link).unwrap();
    looked_at(&file).unwrap();
    looked_at(&link).unwrap();
    // The file, the directory of the name, and the directory of what it leads to.
    for (changed, mode, back) in [
        (&file, 0o664, 0o644),
        (&named, 0o775, 0o755),
        (&real, 0o1777, 0o755),
    ] {
        fs::set_permissions(changed, Permissions::from_mode(mode)).unwrap();
        let error = looked_at(&link).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let error = error.to_string();
        let shown = if *changed == file { &link } else { changed };
        for part in [
            format!("{}: ", shown.display()),
            format!("(mode {mode:04o})"),
            format!("chmod go-w {}", shown.display()),
        ] {
            assert!(error.contains(&part), "no {part:?} in {error}");
        }
        fs::set_permissions(changed, Permissions::from_mode(back)).unwrap();
    }
    looked_at(&link).unwrap();
    let error = looked_at(&named).unwrap_err().to_string();
    assert!(error.contains("no file"), "{error}");
    let error = looked_at(&named.join("none")).unwrap_err().to_string();
    assert!(error.contains("none: No such file"), "{error}");
    let error = private(&file, &fs::metadata(&file).unwrap()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("mode 0644"), "{error}");
    assert!(error.contains("chmod 600 "), "{error}");
}
