//! The documents name only files that exist.

use std::{fs, path::Path};

use crate::paths;

/// README.md and everything in contrib/ and docs/, as path and text.
fn documents() -> Vec<(String, String)> {
    let folders = ["", "contrib", "docs", "docs/decisions"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(paths::root().join(folder)).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let markdown = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    markdown.map(|path| (paths::shown(&path).to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// What stands between `open` and `close`.
fn between<'a>(text: &'a str, open: &'static str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

/// Targets of links to files: no web addresses, no anchors.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = between(text, "](", ')').filter(|target| !target.contains("://"));
    targets.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty())
}

/// Paths of source files and folders of the tree, as `ledger/mod.rs` or `memtrace-ebpf/`.
fn sources(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with("    "));
    let code = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    code.filter(|code| {
        let is_file = code.ends_with(".rs") || code.ends_with(".toml");
        is_file || (code.ends_with('/') && (code.starts_with("memtrace") || code.starts_with("xtask")))
    })
}

/// Documents name sources by their path in the tree, or in `memtrace/src`.
fn is_source(path: &str) -> bool {
    ["", "memtrace/src"].iter().any(|folder| paths::root().join(folder).join(path).exists())
}

#[test]
fn links_and_sources_exist() {
    let documents = documents();
    assert!(documents.len() > 40, "{} documents", documents.len());
    let missing = documents.iter().flat_map(|(document, text)| {
        let folder = paths::root().join(document).parent().map(Path::to_owned).unwrap_or_default();
        let links = links(text).filter(move |target| !folder.join(target).exists());
        links.chain(sources(text).filter(|path| !is_source(path))).map(move |path| (document, path))
    });
    assert_eq!(missing.collect::<Vec<_>>(), []);
}

#[test]
fn rooms_stand_in_the_order_of_the_library() {
    let read = |path: &str| fs::read_to_string(paths::root().join(path)).unwrap();
    let (library, architecture) = (read("memtrace/src/lib.rs"), read("docs/architecture.md"));
    let modules = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let rooms = modules.filter(|module| is_source(&format!("{module}/mod.rs")));
    let rows = architecture.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("/` |"));
    assert_eq!(Vec::from_iter(rows.map(|(room, _)| room)), Vec::from_iter(rooms));
}

#[test]
fn what_is_a_link_or_a_source() {
    let text = "See [a](b.md#c), [d](https://e.example), `ledger/mod.rs`, `job-*`, `/usr/`, `xtask/`.\n    `code.rs`";
    assert_eq!(Vec::from_iter(links(text)), ["b.md"]);
    assert_eq!(Vec::from_iter(sources(text)), ["ledger/mod.rs", "xtask/"]);
}
