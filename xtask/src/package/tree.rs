//! What is installed, and where: below a prefix such as /usr.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::CommandExt;
use crate::paths;

/// Where a distribution looks for completions: Debian's directories are its own.
pub struct Completions {
    pub zsh: &'static str,
}

/// What memtrace prints of itself: where it goes, and what prints it.
fn printed(completions: &Completions) -> [(String, [&'static str; 2]); 4] {
    [
        ("share/man/man1/memtrace.1".to_owned(), ["man", ""]),
        ("share/bash-completion/completions/memtrace".to_owned(), ["completions", "bash"]),
        (format!("share/zsh/{}/_memtrace", completions.zsh), ["completions", "zsh"]),
        ("share/fish/vendor_completions.d/memtrace.fish".to_owned(), ["completions", "fish"]),
    ]
}

const DOCUMENTS: [&str; 5] = ["README.md", "THIRD-PARTY.md", "LICENSE-MIT", "LICENSE-APACHE", "LICENSE-GPL2"];

/// Program, manual, completions, documents and `contrib/`. Documents stay where they are to one another.
pub fn install(memtrace: &Path, prefix: &Path, completions: &Completions) -> Result<()> {
    copy(memtrace, &prefix.join("bin/memtrace"))?;
    for (path, command) in printed(completions) {
        let arguments = command.iter().filter(|argument| !argument.is_empty());
        write(&prefix.join(path), &Command::new(memtrace).args(arguments).text()?)?;
    }
    let documents = prefix.join("share/doc/memtrace");
    for name in DOCUMENTS {
        copy(&paths::root().join(name), &documents.join(name))?;
    }
    for name in ["docs", "contrib"] {
        copy_all(&paths::root().join(name), &documents.join(name))?;
    }
    Ok(())
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

pub fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// A directory with all in it.
pub fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            copy(&entry.path(), &to)?;
        }
    }
    Ok(())
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("it has a name")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}
