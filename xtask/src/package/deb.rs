//! The Debian package, by debhelper: `packaging/debian` says how.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::tree::{self, Completions};
use super::{architecture, committed, emptied, version};
use crate::command::CommandExt;
use crate::paths;

/// Where debhelper finds what it is to install, as it is to be installed.
const SOURCE: &str = "deb";

pub fn make(memtrace: &Path, directory: &Path) -> Result<PathBuf> {
    let package = make_version(memtrace, directory, &version()?)?;
    // Errors are what it fails for; warnings are shown.
    Command::new("lintian").args(["--allow-root", "--tag-display-limit", "0"]).arg(&package).check()?;
    Ok(package)
}

/// As another version: to be upgraded from.
pub fn make_version(memtrace: &Path, directory: &Path, version: &str) -> Result<PathBuf> {
    let source = directory.join(SOURCE);
    emptied(&source)?;
    tree::install(memtrace, &source.join("usr"), &Completions { zsh: "vendor-completions" })?;
    // Debian has them in one file: packaging/debian/copyright.
    for licence in ["LICENSE-MIT", "LICENSE-APACHE", "LICENSE-GPL2"] {
        fs::remove_file(source.join("usr/share/doc/memtrace").join(licence))?;
    }
    let contrib = paths::root().join("contrib");
    for unit in ["memtrace.service", "memtrace.socket", "memtrace-watch.service"] {
        tree::copy(&contrib.join("systemd").join(unit), &source.join("lib/systemd/system").join(unit))?;
    }
    tree::copy(&contrib.join("memtrace.toml"), &source.join("etc/memtrace.toml"))?;
    tree::copy(&contrib.join("systemd/memtrace-watch.default"), &source.join("etc/default/memtrace-watch"))?;
    build(&source, version)?;
    file(directory, version)
}

/// Where it is, once it is made.
pub fn file(directory: &Path, version: &str) -> Result<PathBuf> {
    Ok(directory.join(format!("memtrace_{version}_{}.deb", architecture()?)))
}

fn build(source: &Path, version: &str) -> Result<()> {
    tree::copy_all(&paths::root().join("packaging/debian"), &source.join("debian"))?;
    let (epoch, maintainer) = (committed()?, "the memtrace authors <memtrace@example.org>");
    let date = Command::new("date").args(["--utc", "--rfc-email", "--date", &format!("@{epoch}")]).text()?;
    let changelog = format!(
        "memtrace ({version}) unstable; urgency=medium\n\n  * Built by `cargo xtask package`; `git log` has what changed.\n\n -- {maintainer}  {date}"
    );
    tree::write(&source.join("debian/changelog"), &changelog)?;
    let mut build = Command::new("dpkg-buildpackage");
    build
        .args(["--build=binary", "--no-sign"])
        .env("SOURCE_DATE_EPOCH", epoch)
        .current_dir(source)
        .text()
        .map(drop)
}
