use super::{Rule, Table, check, parse};
use serde_json::{Value as Json, json};

const TABLE: &str = r#"
[low]
internal = []
external = ["bytes"]

[high]
internal = ["low"]
external = ["bytes"]

[chores]
anything = true
"#;

fn table() -> Table {
    parse(TABLE).unwrap()
}

/// A workspace of `low`, `high` and `chores`, where `high` has these dependencies.
fn workspace(high: &Json) -> Json {
    json!({ "packages": [
        { "name": "low", "dependencies": [
            { "name": "bytes", "kind": null },
            { "name": "proptest", "kind": "dev" },
        ] },
        { "name": "high", "dependencies": high },
        { "name": "chores", "dependencies": [{ "name": "anything", "kind": null }] },
    ] })
}

#[track_caller]
fn check_high(dependencies: &Json, expected: &[&str]) {
    assert_eq!(check(&workspace(dependencies), &table()), expected);
}

#[test]
fn arrows_of_the_table_pass() {
    check_high(
        &json!([{ "name": "low", "kind": null, "path": "/x/low" }]),
        &[],
    );
}

#[test]
fn a_new_arrow_names_crate_arrow_and_rule() {
    check_high(
        &json!([{ "name": "chores", "kind": null, "path": "/x/chores" }]),
        &["high: arrow high -> chores breaks the rule `internal = [low]`"],
    );
}

#[test]
fn an_unlisted_third_party_crate_fails() {
    check_high(
        &json!([{ "name": "openssl", "kind": null }]),
        &["high: arrow high -> openssl breaks the rule `external = [bytes]`"],
    );
}

#[test]
fn build_and_target_dependencies_count_and_dev_ones_do_not() {
    check_high(
        &json!([
            { "name": "cc", "kind": "build" },
            { "name": "nix", "kind": null, "target": "cfg(unix)" },
            { "name": "chores", "kind": "dev", "path": "/x/chores" },
        ]),
        &[
            "high: arrow high -> cc breaks the rule `external = [bytes]`",
            "high: arrow high -> nix breaks the rule `external = [bytes]`",
        ],
    );
}

#[test]
fn a_crate_in_a_folder_is_ours_whatever_it_is_called() {
    check_high(
        &json!([{ "name": "bytes", "kind": null, "path": "/x/our-bytes" }]),
        &["high: arrow high -> bytes breaks the rule `internal = [low]`"],
    );
}

#[test]
fn a_renamed_dependency_is_known_by_its_real_name() {
    check_high(
        &json!([{ "name": "chores", "rename": "low", "kind": null, "path": "/x/chores" }]),
        &["high: arrow high -> chores breaks the rule `internal = [low]`"],
    );
}

#[test]
fn an_unknown_crate_fails() {
    let mut metadata = workspace(&json!([]));
    let stranger = json!({ "name": "stranger", "dependencies": [] });
    metadata["packages"].as_array_mut().unwrap().push(stranger);
    assert_eq!(
        check(&metadata, &table()),
        ["stranger: unknown crate; it has no entry in the table"]
    );
}

#[test]
fn an_entry_without_a_crate_fails() {
    let mut table = table();
    table.insert("gone".to_owned(), Rule::Free);
    assert_eq!(
        check(&workspace(&json!([])), &table),
        ["gone: the table has an entry for a crate that does not exist"]
    );
}

#[test]
fn a_table_with_a_mistake_is_refused() {
    for (text, expected) in [
        (
            "[a]\ninternal = []",
            "layers.toml, a: `external` is not a list",
        ),
        (
            "[a]\ninternal = [1]\nexternal = []",
            "layers.toml, a: `internal` holds more than names",
        ),
        (
            "[a]\ninternals = []",
            "layers.toml, a: unknown key internals",
        ),
        (
            "[a]\nanything = false",
            "layers.toml, a: `anything = true` stands alone",
        ),
        ("a = 1", "layers.toml, a: expected a table"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_table_of_this_workspace_is_well_formed() {
    let text = include_str!("../../layers.toml");
    assert!(parse(text).unwrap().contains_key("mynah-protocol"));
}
