use super::*;
use std::process::Command;

/// A real shell takes each word as it was given.
#[test]
fn a_shell_sees_what_was_given() {
    let nasty = [
        "",
        " ",
        "a b",
        "'",
        "''",
        "\"",
        "\\",
        "\\'",
        "$HOME",
        "`id`",
        "$(id)",
        "*",
        "?",
        "[a-z]",
        "~",
        "#x",
        "!x",
        "a;b",
        "a&b",
        "a|b",
        "a>b",
        "a<b",
        "(a)",
        "{a,b}",
        "A=B",
        "-n",
        "--",
        "\t",
        "a\nb",
        "\r",
        "%s",
        "\u{1f600}",
    ];
    let command = RemoteCommand::new("printf").arg("%s\\0").args(nasty);
    let ran = Command::new("sh").arg("-c").arg(command.as_str()).output();
    let printed = String::from_utf8(ran.unwrap().stdout).unwrap();
    let seen: Vec<&str> = printed.split_terminator('\0').collect();
    assert_eq!(seen, nasty);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    assert!(RemoteCommand::new("").fault().is_some());
    assert!(RemoteCommand::new("").arg("x").fault().is_some());
    assert!(RemoteCommand::shell("  ").fault().is_some());
    assert!(RemoteCommand::new("a").arg("b\0c").fault().is_some());
    assert!(RemoteCommand::new("a").arg("").fault().is_none());
}

#[test]
fn debug_holds_nothing_of_the_text() {
    for command in [
        RemoteCommand::new("worker").arg("--token=secret"),
        RemoteCommand::shell("TOKEN=secret worker"),
    ] {
        assert_eq!(format!("{command:?}"), "RemoteCommand { .. }");
    }
}
