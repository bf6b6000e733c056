//! The tree's own rules, as far as a program can check them by reading it.

mod modules;
mod order;
mod stats;

use std::fs;
use std::process::{Command, ExitCode};
use std::sync::LazyLock;

use anyhow::{Context, Result};

use self::modules::Crate;
use crate::command::{CommandExt, cargo};
use crate::paths;

/// Check that the tree keeps its rules, is formatted and has no lints
#[derive(clap::Args)]
pub struct Args {
    /// Instead print the tree in figures: code by folder, longest functions, circles, words by document
    #[arg(long)]
    stats: bool,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    if args.stats {
        let tree = read_tree()?;
        stats::print(&tree, &read_crates(&tree)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let broken = report(&check_tree()?);
    cargo().args(["fmt", "--all", "--check"]).check()?;
    cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]).check()?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file of the tree, by its path in it.
struct Source {
    path: String,
    text: String,
}

struct Rule {
    what: &'static str,
    applies: fn(&str) -> bool,
    /// The lines that break it, numbered from 1.
    broken_at: fn(&Source) -> Vec<usize>,
}

const RULES: [Rule; 6] = [
    Rule {
        what: "source files have at most 600 lines",
        applies: is_rust,
        broken_at: |source| Vec::from_iter((source.text.lines().count() > 600).then_some(601)),
    },
    Rule {
        what: "no todo!, no dbg!",
        applies: is_rust,
        broken_at: |source| lines(&source.text, |code| has_macro(code, "todo") || has_macro(code, "dbg")),
    },
    Rule {
        what: "userspace has unsafe code only in decode and kernel/",
        applies: |path| {
            path.starts_with("memtrace/src/")
                && !path.starts_with("memtrace/src/stream/decode")
                && !path.starts_with("memtrace/src/kernel/")
        },
        broken_at: |source| lines(&source.text, |code| has_word(code, "unsafe")),
    },
    Rule {
        what: "no decision by kernel version: ask BTF, or try",
        applies: |path| is_rust(path) && path.starts_with("memtrace"),
        broken_at: |source| {
            lines(&source.text, |code| {
                ["KernelVersion", "LINUX_VERSION_CODE", "KERNEL_VERSION"]
                    .iter()
                    .any(|word| has_word(code, word))
            })
        },
    },
    Rule {
        what: "the ledger imports only std, hash tables, the rest of the stream and the rule of sampling",
        applies: |path| path.starts_with("memtrace/src/stream/ledger") && !path.contains("tests"),
        broken_at: |source| lines(before_tests(&source.text), imports_beyond_event),
    },
    Rule {
        what: "no registry host and no path of this machine in the tree",
        // The lock file names the registry by its nature.
        applies: |path| !path.ends_with("Cargo.lock"),
        broken_at: |source| {
            let gives_away = |line: &str| MACHINE_NAMES.iter().any(|name| mentions(line, name));
            numbered(&source.text).filter(|(_, line)| gives_away(line)).map(|(number, _)| number).collect()
        },
    },
];

/// A rule about how the files of a crate hang together.
struct StructureRule {
    what: &'static str,
    applies: fn(&str) -> bool,
    /// Where it is broken, as `path:line`.
    broken_at: fn(&Crate) -> Vec<String>,
}

const STRUCTURE_RULES: [StructureRule; 3] = [
    StructureRule {
        what: "a folder imports only from folders above it in memtrace/src/lib.rs",
        applies: |root| root == CRATE,
        broken_at: order::upward_imports,
    },
    StructureRule {
        what: "files do not import each other in circles",
        applies: |_| true,
        broken_at: order::circles,
    },
    StructureRule { what: "functions have at most 60 lines", applies: |_| true, broken_at: long_functions },
];

/// The main crate's root.
const CRATE: &str = "memtrace/src/lib.rs";

const MAX_FUNCTION_LINES: usize = 60;

fn long_functions(tree: &Crate) -> Vec<String> {
    let long = tree.modules.iter().flat_map(|module| {
        let long = module.functions.iter().filter(|function| function.lines > MAX_FUNCTION_LINES);
        long.map(|function| format!("{}:{} ({} lines)", module.file, function.line, function.lines))
    });
    long.collect()
}

/// All crates in the tree, by their roots.
fn read_crates(tree: &[Source]) -> Result<Vec<(&str, Crate)>> {
    let is_root = |path: &&str| {
        ["src/lib.rs", "src/main.rs"].iter().any(|root| path.ends_with(root))
            && *path != "memtrace/src/main.rs"
    };
    let roots = tree.iter().map(|source| source.path.as_str()).filter(is_root);
    roots.map(|root| Ok((root, Crate::read(paths::root(), &paths::root().join(root))?))).collect()
}

/// The places where each rule is broken, as `path:line`.
pub fn check_tree() -> Result<Vec<(&'static str, Vec<String>)>> {
    let tree = read_tree()?;
    let places = |rule: &Rule| {
        let files = tree.iter().filter(|source| (rule.applies)(&source.path));
        files
            .flat_map(|source| {
                (rule.broken_at)(source).into_iter().map(move |line| format!("{}:{line}", source.path))
            })
            .collect()
    };
    let crates = read_crates(&tree)?;
    let structure = |rule: &StructureRule| {
        let crates = crates.iter().filter(|(root, _)| (rule.applies)(root));
        crates.flat_map(|(_, tree)| (rule.broken_at)(tree)).collect()
    };
    let by_line = RULES.iter().map(|rule| (rule.what, places(rule)));
    let by_structure = STRUCTURE_RULES.iter().map(|rule| (rule.what, structure(rule)));
    Ok(by_line.chain(by_structure).collect())
}

/// Prints the broken rules, and gives their number.
pub fn report(rules: &[(&str, Vec<String>)]) -> usize {
    let broken = rules.iter().filter(|(_, places)| !places.is_empty());
    for (what, places) in broken.clone() {
        println!("rule broken: {what}");
        for place in places {
            println!("  {place}");
        }
    }
    broken.count()
}

/// All text files that git tracks, or would if it were asked to add everything.
fn read_tree() -> Result<Vec<Source>> {
    let list = Command::new("git")
        .current_dir(paths::root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .text()
        .context("the tree's rules are checked on git's list of files")?;
    let read = |path: &str| {
        Some(Source { path: path.to_owned(), text: fs::read_to_string(paths::root().join(path)).ok()? })
    };
    Ok(list.split_terminator('\0').filter_map(read).collect())
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// The lines of code, comments left out, that are so.
fn lines(text: &str, is_so: impl Fn(&str) -> bool) -> Vec<usize> {
    let code = |line: &'_ str| line.split("//").next().is_some_and(&is_so);
    numbered(text).filter(|(_, line)| code(line)).map(|(number, _)| number).collect()
}

fn has_macro(code: &str, name: &str) -> bool {
    has_word(code, name) && code.contains(&format!("{name}!("))
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// Tests may import what they like, and come last.
fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn imports_beyond_event(code: &str) -> bool {
    const ALLOWED: [&str; 8] = [
        "std::",
        "core::",
        "hashbrown::",
        "foldhash::",
        "self::",
        "super::",
        "crate::stream::",
        "memtrace_common::sample",
    ];
    let allowed = |path: &str| ALLOWED.iter().any(|prefix| path.starts_with(prefix));
    let import = code.trim_start().trim_start_matches("pub ").strip_prefix("use ");
    import.is_some_and(|path| !allowed(path))
        || code.match_indices("crate::").any(|(at, _)| !allowed(&code[at..]))
}

/// What would give this machine away: where the tree is, whose home it is, where packages come from.
static MACHINE_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    // In two parts, or these lines would break the rule.
    let mut names = vec![concat!("/home", "/").to_owned(), concat!("crates", ".io").to_owned()];
    names.push(format!("{}/", paths::root().display()));
    let home = std::env::home_dir().filter(|home| home.parent().is_some());
    names.extend(home.map(|home| format!("{}/", home.display())));
    let sources = Command::new("apt-get").args(["update", "--print-uris"]).text().unwrap_or_default();
    names.extend(sources.lines().filter_map(host_of).map(str::to_owned));
    names.sort();
    names.dedup();
    names
});

/// The host in a line like `'http://host/path' file 0`.
fn host_of(uri: &str) -> Option<&str> {
    uri.split_once("://")?.1.split('/').next()
}

/// Whether a line has this name and not a longer one that ends like it: `a/home/` is no path of a machine.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<&'static str> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let broken = |rule: &&Rule| (rule.applies)(path) && !(rule.broken_at)(&source).is_empty();
        RULES.iter().filter(broken).map(|rule| rule.what).collect()
    }

    #[track_caller]
    fn check(path: &str, text: &str, number_broken: usize) {
        assert_eq!(broken(path, text).len(), number_broken, "{path}: {text}: {:?}", broken(path, text));
    }

    #[test]
    fn each_rule_sees_what_breaks_it() {
        check("memtrace/src/view/mod.rs", &"x();\n".repeat(601), 1);
        check("memtrace/src/view/mod.rs", concat!("to", "do!()"), 1);
        check("memtrace/src/view/mod.rs", "unsafe { x() }", 1);
        check("memtrace/src/view/mod.rs", "if KernelVersion::current()? < v {", 1);
        check("memtrace/src/stream/ledger/mod.rs", "use aya::Ebpf;", 1);
        check("memtrace/src/stream/ledger/mod.rs", "let view = crate::view::View::new();", 1);
        check("docs/x.md", concat!("see ", "/home", "/me/x"), 1);
    }

    #[test]
    fn rules_let_other_things_be() {
        check("memtrace/src/view/mod.rs", &"x();\n".repeat(600), 0);
        check("memtrace/src/view/mod.rs", "my_todo!(); // unsafe, KernelVersion", 0);
        check("memtrace/src/kernel/load.rs", "unsafe { x() }", 0);
        check(
            "memtrace/src/stream/ledger/mod.rs",
            "use crate::stream::event::Event;\n#[cfg(test)]\nuse proptest::prelude::*;",
            0,
        );
        check("docs/x.md", concat!("data", "/home", "/x"), 0);
    }
}
