//! The tree in figures: code by folder, the longest functions, words by document.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::modules::Crate;
use super::{CRATE, Source, order};
use crate::paths;

/// Functions that are listed.
const LONGEST: usize = 10;

/// The main crate's.
const FOLDER: &str = "memtrace/src";

/// Prints the figures of the tree and of its crates.
pub fn print(tree: &[Source], crates: &[(&str, Crate)]) -> Result<()> {
    let (_, main) = crates.iter().find(|(root, _)| *root == CRATE).context("there is no main crate")?;
    print_code(tree, main)?;
    print_functions(crates);
    let circles: usize = crates.iter().map(|(_, crate_)| order::circles(crate_).len()).sum();
    println!("\nimports between files {}, upward {}", main.edges().len(), order::upward_imports(main).len());
    println!(
        "circles of files      {}, of them meant {}",
        circles + order::number_meant(),
        order::number_meant()
    );
    print_words(tree);
    Ok(())
}

/// Lines that are neither blank nor comment, tests stripped.
fn print_code(tree: &[Source], crate_: &Crate) -> Result<()> {
    let mut folders: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut add = |folder: &str, lines: usize| {
        let (code, files) = folders.entry(folder.to_owned()).or_default();
        *code += lines;
        *files += 1;
    };
    for module in &crate_.modules {
        let text = fs::read_to_string(paths::root().join(&module.file))?;
        let folder = folder_of(&module.file);
        add(&folder, code_lines(&text, &module.tests));
    }
    let of_crate = |path: &str| path.starts_with(FOLDER) && path.ends_with(".rs");
    let is_counted =
        |source: &&Source| is_code(&source.path) && !of_crate(&source.path) && !is_test(&source.path);
    for source in tree.iter().filter(is_counted) {
        add(&folder_of(&source.path), code_lines(&source.text, &tests_at_end(&source.text)));
    }
    println!("{:<28} {:>7} {:>6}", "FOLDER", "CODE", "FILES");
    for (folder, (code, files)) in &folders {
        println!("{folder:<28} {code:>7} {files:>6}");
    }
    let (code, files) = folders.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{:<28} {code:>7} {files:>6}", "total");
    Ok(())
}

/// The room in the main crate, the crate elsewhere.
fn folder_of(path: &str) -> String {
    let mut parts = path.split('/');
    let depth = match parts.next() {
        Some("memtrace") if path.starts_with(FOLDER) => 3,
        Some("xtask") => 2,
        _ => 1,
    };
    let folders: Vec<&str> = Path::new(path)
        .parent()
        .map(|folder| folder.iter().filter_map(|part| part.to_str()).take(depth).collect())
        .unwrap_or_default();
    folders.join("/")
}

fn is_code(path: &str) -> bool {
    [".rs", ".js", ".css", ".html"].iter().any(|ending| path.ends_with(ending))
}

fn is_test(path: &str) -> bool {
    ["/tests/", "/benches/", "/fuzz/", "/tests.rs", "/fixtures/", "/sample"]
        .iter()
        .any(|part| path.contains(part))
}

/// Of a file outside of the main crate, whose tests come last.
fn tests_at_end(text: &str) -> Vec<(usize, usize)> {
    let start = text.lines().position(|line| line.trim() == "#[cfg(test)]");
    start.map(|line| (line + 1, usize::MAX)).into_iter().collect()
}

fn code_lines(text: &str, tests: &[(usize, usize)]) -> usize {
    let is_code = |line: &str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//") && !line.starts_with("/*") && !line.starts_with("<!--")
    };
    let is_test = |number: usize| tests.iter().any(|(first, last)| (*first..=*last).contains(&number));
    super::numbered(text).filter(|(number, line)| is_code(line) && !is_test(*number)).count()
}

fn print_functions(crates: &[(&str, Crate)]) {
    let modules = crates.iter().flat_map(|(_, crate_)| &crate_.modules);
    let functions =
        modules.flat_map(|module| module.functions.iter().map(move |function| (module, function)));
    let mut functions: Vec<_> = functions.collect();
    functions.sort_by_key(|(_, function)| std::cmp::Reverse(function.lines));
    println!("\n{:<5} FUNCTION", "LINES");
    for (module, function) in functions.iter().take(LONGEST) {
        println!("{:<5} {}:{} {}", function.lines, module.file, function.line, function.name);
    }
}

fn print_words(tree: &[Source]) {
    println!("\n{:<5} DOCUMENT", "WORDS");
    let documents = tree.iter().filter(|source| source.path.ends_with(".md"));
    let mut words: Vec<_> =
        documents.map(|source| (source.text.split_whitespace().count(), &source.path)).collect();
    words.sort_unstable();
    for (words, path) in words.iter().rev() {
        println!("{words:<5} {path}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_counted_without_comments_blanks_and_tests() {
        let text = "//! Head.\n\nuse a;\nfn f() {\n    // why\n    g(); // same line\n}\n#[cfg(test)]\nmod tests {\n    x();\n}\n";
        assert_eq!(code_lines(text, &tests_at_end(text)), 4);
        assert_eq!(code_lines(text, &[]), 8);
    }

    #[test]
    fn a_folder_is_a_room_or_a_crate() {
        assert_eq!(folder_of("memtrace/src/output/html/mod.rs"), "memtrace/src/output");
        assert_eq!(folder_of("memtrace/src/lib.rs"), "memtrace/src");
        assert_eq!(folder_of("memtrace-ebpf/src/probe/slab.rs"), "memtrace-ebpf");
        assert_eq!(folder_of("xtask/src/vm/mod.rs"), "xtask/src");
        assert_eq!(folder_of("xtask/vm-init/src/main.rs"), "xtask/vm-init");
    }
}
