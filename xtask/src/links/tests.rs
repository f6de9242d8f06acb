use super::{Document, anchor, follow, read};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn check(text: &str, links: &[(usize, &str)], anchors: &[&str]) {
    let document = read(text);
    let found = document.links.iter();
    let found: Vec<_> = found.map(|(line, target)| (*line, &**target)).collect();
    assert_eq!(found, links, "{text}");
    let found: Vec<_> = document.anchors.iter().map(|anchor| &**anchor).collect();
    assert_eq!(found, anchors, "{text}");
}

#[test]
fn links_and_headings_are_found() {
    check(
        "# One\n\n[a](b.md) and [c](d.md#e)",
        &[(3, "b.md"), (3, "d.md#e")],
        &["one"],
    );
    check("[a]: b.md\n[c]: https://example.org", &[(1, "b.md")], &[]);
    // What is code is neither.
    check(
        "`[a](b.md)`\n```rust\n# use x;\n[a](b.md)\n```\n## Two",
        &[],
        &["two"],
    );
    check("#[attribute]\n#none", &[], &[]);
    // The second of a name has a number.
    check("## Again\n## Again", &[], &["again", "again-1"]);
}

#[test]
fn headings_have_anchors_as_the_book_makes_them() {
    for (heading, expected) in [
        ("What `drop` does", "what-drop-does"),
        ("Fail, or refuse?", "fail-or-refuse"),
        ("The system's ssh", "the-systems-ssh"),
        ("snake_case - and more", "snake_case---and-more"),
    ] {
        assert_eq!(anchor(heading), expected);
    }
}

#[test]
fn what_a_link_leads_to_is_looked_up() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = here.join("layers.toml");
    let document = read("# Top");
    let documents: BTreeMap<PathBuf, Document> = [(page.clone(), document)].into();
    let follow = |target: &str| follow(&page, target, &documents);
    assert_eq!(follow("Cargo.toml"), Ok(()));
    assert_eq!(follow("src/../Cargo.toml#L3"), Ok(()));
    assert_eq!(follow("#top"), Ok(()));
    assert_eq!(follow("#bottom"), Err("it has no such heading"));
    assert_eq!(follow("nothing.md"), Err("there is no such file"));
}
