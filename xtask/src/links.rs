//! Holds the links of the documents against what they lead to: files, and headings within them.

#[cfg(test)]
mod tests;

use crate::{Outcome, process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Folders that hold documents, or whose files are documents.
const FOLDERS: &[&str] = &["", "docs", "crates"];
/// What is not written here.
const LEFT_OUT: &[&str] = &["target", ".git", "node_modules", "book"];
/// Its pages are those that its summary names.
const GUIDE: &str = "docs/guide/src";

/// The chore: names every link that leads nowhere.
pub(crate) fn run() -> Outcome {
    let root = process::root();
    let mut documents = BTreeMap::new();
    for folder in FOLDERS {
        collect(&root.join(folder), !folder.is_empty(), &mut documents)?;
    }
    let mut wrong = Vec::new();
    let mut links = 0;
    for (path, document) in &documents {
        let shown = path.strip_prefix(&root).unwrap_or(path).display();
        for (line, target) in &document.links {
            links += 1;
            if let Err(what) = follow(path, target, &documents) {
                wrong.push(format!("{shown}:{line}: {target}: {what}"));
            }
        }
    }
    wrong.extend(unlisted(&root.join(GUIDE), &documents));
    if wrong.is_empty() {
        println!("    {links} links of {} documents", documents.len());
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

/// What a document links to and can be linked to.
#[derive(Debug, Default, PartialEq)]
struct Document {
    /// Each with its line. Those that lead out of the tree are left out.
    links: Vec<(usize, String)>,
    /// Of its headings.
    anchors: BTreeSet<String>,
}

fn collect(folder: &Path, deep: bool, found: &mut BTreeMap<PathBuf, Document>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        if path.is_dir() {
            if deep && !LEFT_OUT.contains(&name) {
                collect(&path, deep, found)?;
            }
        } else if path.extension().is_some_and(|end| end == "md") {
            found.insert(path.clone(), read(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn read(text: &str) -> Document {
    let mut document = Document::default();
    let mut fenced = false;
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        if let Some(heading) = heading(line) {
            let anchor = anchor(heading);
            let again = (1..).map(|count| format!("{anchor}-{count}"));
            let mut free = std::iter::once(anchor.clone()).chain(again);
            let free = free.find(|anchor| !document.anchors.contains(anchor));
            document.anchors.extend(free);
        }
        let line = without_code(line);
        document
            .links
            .extend(targets(&line).map(|target| (number, target.to_owned())));
    }
    document
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    (1..=6)
        .contains(&level)
        .then(|| text.strip_prefix(' '))
        .flatten()
}

/// What a heading is linked to by, here and on the pages of the book.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|it| match it {
        ' ' => Some('-'),
        '-' | '_' => Some(it),
        it if it.is_alphanumeric() => Some(it),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// A line without what stands in backticks.
fn without_code(line: &str) -> String {
    let pieces = line.split('`').collect::<Vec<_>>();
    // One that is not closed is none.
    let closed = pieces.len() % 2 == 1;
    let shown = pieces.iter().enumerate();
    let shown = shown.filter(|(place, _)| place % 2 == 0 || !closed);
    shown.map(|(_, piece)| *piece).collect::<Vec<_>>().join("`")
}

/// What a line links to within the tree: `[text](target)`, and `[text]: target`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.match_indices("](").filter_map(|(at, open)| {
        let rest = line.get(at + open.len()..)?;
        rest.split_once(')').map(|(target, _)| target)
    });
    let defined = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .map(|(_, target)| target.trim());
    inline
        .chain(defined)
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn follow(
    from: &Path,
    target: &str,
    documents: &BTreeMap<PathBuf, Document>,
) -> Result<(), &'static str> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let to = match path {
        "" => from.to_owned(),
        path => plain(&from.parent().unwrap_or(from).join(path)),
    };
    if !to.exists() {
        return Err("there is no such file");
    }
    match documents.get(&to) {
        _ if anchor.is_empty() => Ok(()),
        Some(document) if document.anchors.contains(anchor) => Ok(()),
        Some(_) => Err("it has no such heading"),
        // Lines of a source file and the like.
        None => Ok(()),
    }
}

/// The same path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Pages of the guide that its summary does not name: the book leaves them out.
fn unlisted(guide: &Path, documents: &BTreeMap<PathBuf, Document>) -> Vec<String> {
    let summary = guide.join("SUMMARY.md");
    let listed = documents.get(&summary).map(|summary| &summary.links);
    let listed: Vec<PathBuf> = listed
        .into_iter()
        .flatten()
        .map(|(_, target)| guide.join(target))
        .collect();
    let pages = documents.keys().filter(|path| path.starts_with(guide));
    pages
        .filter(|path| **path != summary && !listed.contains(path))
        .map(|path| format!("{}: SUMMARY.md does not name it", path.display()))
        .collect()
}
