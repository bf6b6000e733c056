//! The tarball, for whoever has no Debian: `tar -C /usr/local --strip-components 1 -xf`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::tree::{self, Completions};
use super::{committed, emptied, version};
use crate::command::CommandExt;

const SUMS: &str = "SHA256SUMS";

pub fn make(memtrace: &Path, directory: &Path) -> Result<PathBuf> {
    let name = format!("memtrace-{}-{}-linux", version()?, std::env::consts::ARCH);
    let (tree, file) = (directory.join(&name), format!("{name}.tar.zst"));
    emptied(&tree)?;
    tree::install(memtrace, &tree, &Completions { zsh: "site-functions" })?;
    let stripped = tree.join("bin/memtrace");
    Command::new("strip").arg(&stripped).check()?;
    // The same bytes each time, whoever makes it.
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX", "--zstd"]);
    tar.arg(format!("--mtime=@{}", committed()?));
    tar.args(["--create", "--file", &file, &name]).current_dir(directory).check()?;
    let sums = Command::new("sha256sum").arg(&file).current_dir(directory).text()?;
    tree::write(&directory.join(SUMS), &sums)?;
    check(directory)?;
    Ok(directory.join(file))
}

/// What is in it is whole, and runs.
fn check(directory: &Path) -> Result<()> {
    Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", SUMS])
        .current_dir(directory)
        .check()?;
    let unpacked = directory.join("unpacked");
    emptied(&unpacked)?;
    let sums = std::fs::read_to_string(directory.join(SUMS))?;
    let file = sums.split_whitespace().nth(1).context("there is no sum")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--file", file, "--directory"]).arg(&unpacked);
    tar.current_dir(directory).check()?;
    Command::new(unpacked.join("bin/memtrace")).arg("--version").text().map(drop)
}
