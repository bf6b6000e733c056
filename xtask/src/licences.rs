//! Licences of other people's code: THIRD-PARTY.md lists what the shipped binary contains, and cargo-deny checks all packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::command::{CommandExt, cargo};
use crate::paths;
use crate::setup::cargo_deny;

const LIST: &str = "THIRD-PARTY.md";
const TARGET: &str = "x86_64-unknown-linux-gnu";
const APACHE: &str = "Apache-2.0";

const INTRODUCTION: &str = "# Third-party licences

The `memtrace` binary contains the packages below, unchanged, and the Rust standard library, which is under MIT or Apache-2.0.
Where a package offers several licences, this list names the one that memtrace uses. The sources are public, in the repositories
named here; `cargo vendor --locked` fetches exactly those that were built. `cargo xtask licences` makes this file.
";

/// Writes the list.
pub fn main() -> Result<ExitCode> {
    fs::write(paths::root().join(LIST), list()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the list is up to date, and whether deny.toml accepts all packages.
pub fn check() -> [Result<()>; 2] {
    [check_list(), check_packages()]
}

fn check_list() -> Result<()> {
    if fs::read_to_string(paths::root().join(LIST)).ok() != Some(list()?) {
        bail!("{LIST} is out of date: run `cargo xtask licences` and commit the result");
    }
    Ok(())
}

fn check_packages() -> Result<()> {
    Command::new(cargo_deny())
        .current_dir(paths::root())
        .args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
        .check()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    /// None for what is in this tree.
    source: Option<String>,
}

/// A package, and the licences that it is used under.
struct Linked<'a> {
    package: &'a Package,
    licences: Vec<String>,
}

fn list() -> Result<String> {
    let metadata = cargo().args(["metadata", "--format-version=1", "--locked"]).text()?;
    let Metadata { packages } = serde_json::from_str(&metadata)?;
    let accepted = accepted_licences()?;
    // The kernel is told that the programs are under MIT or the GPL, and GPL-2.0 is incompatible with Apache-2.0.
    let programs_accept = [&[Licensee::parse("MIT")?][..], &accepted].concat();
    // Later ones replace earlier ones.
    let mut linked = linked(&packages, "memtrace", &accepted)?;
    linked.extend(self::linked(&packages, "memtrace-ebpf", &programs_accept)?);
    let mut texts = BTreeMap::<_, BTreeSet<_>>::new();
    let mut list = format!("{INTRODUCTION}\n| package | version | licence | source |\n|---|---|---|---|\n");
    for ((name, version), Linked { package, licences }) in &linked {
        let repository = package.repository.as_deref().unwrap_or_default();
        list += &format!("| {name} | {version} | {} | {repository} |\n", licences.join(" and "));
        for text in texts_of(package, licences, &packages)? {
            texts.entry((licences.join(" and "), text)).or_default().insert(*name);
        }
    }
    for ((licence, text), names) in texts {
        let names = Vec::from_iter(names).join(", ");
        list += &format!("\n## {licence}: {names}\n\n~~~text\n{text}\n~~~\n");
    }
    Ok(list)
}

/// What deny.toml allows, in its order.
fn accepted_licences() -> Result<Vec<Licensee>> {
    #[derive(Deserialize)]
    struct Deny {
        licenses: Licenses,
    }
    #[derive(Deserialize)]
    struct Licenses {
        allow: Vec<String>,
        exceptions: Vec<Exception>,
    }
    #[derive(Deserialize)]
    struct Exception {
        allow: Vec<String>,
    }
    let Deny { licenses } = toml::from_str(&fs::read_to_string(paths::root().join("deny.toml"))?)?;
    let exceptions = licenses.exceptions.iter().flat_map(|exception| &exception.allow);
    licenses.allow.iter().chain(exceptions).map(|name| Ok(Licensee::parse(name)?)).collect()
}

/// What is linked into a package of this tree: neither procedural macros nor what only builds or tests it.
fn linked<'a>(
    packages: &'a [Package],
    root: &str,
    accepted: &[Licensee],
) -> Result<BTreeMap<(&'a str, &'a str), Linked<'a>>> {
    let tree = cargo()
        .args(["tree", "--locked", "--package", root, "--edges", "normal,no-proc-macro"])
        .args(["--target", TARGET, "--prefix", "none", "--format", "{p}"])
        .text()?;
    let names: BTreeSet<_> = tree.lines().filter_map(name_and_version).collect();
    let external = packages.iter().filter(|package| package.source.is_some());
    external
        .map(|package| ((&package.name[..], &package.version[..]), package))
        .filter(|(name_and_version, _)| names.contains(name_and_version))
        .map(|(key, package)| Ok((key, Linked { package, licences: licences_of(package, accepted)? })))
        .collect()
}

/// A line like `aya v0.14.0 (*)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" v")?;
    Some((name, rest.split(' ').next()?))
}

fn licences_of(package: &Package, accepted: &[Licensee]) -> Result<Vec<String>> {
    let name = &package.name;
    let expression = package.license.as_deref().with_context(|| format!("{name} names no licence"))?;
    let wanted = Expression::parse_mode(expression, ParseMode::LAX)?
        .minimized_requirements(accepted)
        .with_context(|| format!("deny.toml accepts no licence of {name}: {expression}"))?;
    Ok(wanted.iter().map(ToString::to_string).collect())
}

/// The texts that have to go with the binary: licences with their copyright lines, and notices.
fn texts_of(package: &Package, licences: &[String], packages: &[Package]) -> Result<Vec<String>> {
    let mut texts = files_named(package, &["notice"])?;
    if licences == [APACHE] {
        // It names no author, so it is the same for all.
        texts.push(text_of(&paths::root().join("LICENSE-APACHE"))?);
        return Ok(texts);
    }
    // Not all packages of a repository have a copy.
    let siblings = packages.iter().filter(|other| other.repository == package.repository);
    for package in std::iter::once(package).chain(siblings) {
        let found = licence_files(package, licences)?;
        if !found.is_empty() {
            texts.extend(found);
            return Ok(texts);
        }
    }
    bail!("{} has no file with its licence", package.name)
}

/// Files that name one of these licences; or, where there are none, all that have a licence.
fn licence_files(package: &Package, licences: &[String]) -> Result<Vec<String>> {
    let short = licences.iter().filter_map(|licence| licence.split('-').next());
    let ends = Vec::from_iter(short.flat_map(|name| {
        let name = name.to_lowercase();
        [format!("license-{name}"), format!("license.{name}")]
    }));
    let named = files_named(package, &Vec::from_iter(ends.iter().map(String::as_str)))?;
    if named.is_empty() { files_named(package, &["license", "licence", "copying"]) } else { Ok(named) }
}

/// The texts of files that begin with one of these names.
fn files_named(package: &Package, names: &[&str]) -> Result<Vec<String>> {
    let directory = package.manifest_path.parent().context("a manifest is in a directory")?;
    let mut files = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let is_named = |file: &fs::DirEntry| {
        let name = file.file_name().to_string_lossy().to_lowercase();
        names.iter().any(|wanted| name.starts_with(wanted))
    };
    files.iter().filter(|file| is_named(file)).map(|file| text_of(&file.path())).collect()
}

fn text_of(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = Vec::from_iter(text.lines().map(str::trim_end));
    Ok(lines.join("\n").trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(license: &str) -> Package {
        Package {
            name: "x".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some(license.to_owned()),
            repository: None,
            manifest_path: PathBuf::new(),
            source: None,
        }
    }

    #[test]
    fn the_first_accepted_licence_is_used() {
        let accepted = ["Apache-2.0", "MIT", "Zlib"].map(|name| Licensee::parse(name).unwrap());
        let licences = |license| licences_of(&package(license), &accepted).ok();
        assert_eq!(licences("MIT OR Apache-2.0"), Some(vec!["Apache-2.0".to_owned()]));
        assert_eq!(licences("MIT/Apache-2.0"), Some(vec!["Apache-2.0".to_owned()]));
        assert_eq!(licences("GPL-2.0-only OR MIT"), Some(vec!["MIT".to_owned()]));
        assert_eq!(licences("MIT AND Zlib"), Some(vec!["MIT".to_owned(), "Zlib".to_owned()]));
        assert_eq!(licences("MIT AND GPL-2.0-only"), None);
    }

    #[test]
    fn lines_of_a_tree() {
        assert_eq!(name_and_version("aya v0.14.0 (*)"), Some(("aya", "0.14.0")));
        assert_eq!(name_and_version("zstd-sys v2.1.3+zstd.1.5.7"), Some(("zstd-sys", "2.1.3+zstd.1.5.7")));
        assert_eq!(name_and_version(""), None);
    }
}
