//! Makes what people install: a Debian package, a tarball, an image. All of it is made of one tree, and checked before it is done.

mod boot;
mod container;
mod deb;
mod image;
mod store;
mod tarball;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::command::{CommandExt, cargo};
use crate::setup::Part;
use crate::{build_ebpf, paths, setup};

/// Make what people install: cargo xtask package
///
/// A Debian package, a tarball with its SHA256SUMS, and an image for containers, all in target/package. Installs first what
/// making them needs and is missing.
#[derive(clap::Args)]
pub struct Args {
    /// What to make [default: all]
    kinds: Vec<Kind>,
    /// Package this program, linked statically, instead of building one
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,
    /// Then try the Debian package in a VM: install, start, leak, a day's traffic, upgrade, remove, purge
    #[arg(long)]
    boot: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A Debian package, and one of its debug symbols
    Deb,
    /// A tarball that runs anywhere, and SHA256SUMS
    Tarball,
    /// An OCI image that has memtrace only
    Image,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    setup::ensure_for_packages()?;
    let kinds = if args.kinds.is_empty() { Kind::value_variants() } else { &args.kinds };
    let programs = match &args.program {
        Some(program) => Programs { of_libraries: Some(program.clone()), of_itself: Some(program.clone()) },
        None => Programs::build(kinds)?,
    };
    let directory = paths::target("package");
    for kind in kinds {
        let made = make(*kind, programs.of(*kind)?, &directory)?;
        println!("made and checked {}", paths::shown(&made));
    }
    if args.boot {
        setup::ensure(Part::All)?;
        boot::check(programs.of(Kind::Deb)?, &directory)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// memtrace as it is shipped.
struct Programs {
    /// Linked to the distribution's C library, which gets its security updates.
    of_libraries: Option<PathBuf>,
    /// Linked statically: it runs on any distribution, and where there is none.
    of_itself: Option<PathBuf>,
}

impl Programs {
    fn build(kinds: &[Kind]) -> Result<Self> {
        setup::ensure(Part::Build)?;
        build_ebpf::build()?;
        let of_libraries = kinds.contains(&Kind::Deb).then(|| build("shipped", &[]));
        let is_static = kinds.iter().any(|kind| *kind != Kind::Deb);
        let of_itself = is_static.then(|| build("shipped-static", &["-Ctarget-feature=+crt-static"]));
        Ok(Self { of_libraries: of_libraries.transpose()?, of_itself: of_itself.transpose()? })
    }

    fn of(&self, kind: Kind) -> Result<&Path> {
        let program = if kind == Kind::Deb { &self.of_libraries } else { &self.of_itself };
        program.as_deref().with_context(|| format!("no program was built for {kind:?}"))
    }
}

/// Makes all of them of a program that is there already, and checks them. For tests.
pub fn try_out(memtrace: &Path, directory: &Path) -> Result<()> {
    Kind::value_variants().iter().try_for_each(|kind| make(*kind, memtrace, directory).map(drop))
}

fn make(kind: Kind, memtrace: &Path, directory: &Path) -> Result<PathBuf> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    match kind {
        Kind::Deb => deb::make(memtrace, directory),
        Kind::Tarball => tarball::make(memtrace, directory),
        Kind::Image => image::make(memtrace, directory),
    }
}

/// Builds into a directory of its own, so that nothing is built anew for other flags the next time.
fn build(directory: &str, flags: &[&str]) -> Result<PathBuf> {
    let (target, triple) =
        (paths::target(directory), format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    let mut build = cargo();
    // With a --target, flags are not for build scripts and macros.
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "memtrace",
        "--target",
        &triple,
        "--target-dir",
    ]);
    build.arg(&target).env("RUSTFLAGS", flags.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS").check()?;
    Ok(target.join(triple).join("release/memtrace"))
}

/// The workspace's version.
fn version() -> Result<String> {
    let metadata = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).text()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let memtrace =
        packages.find(|package| package["name"] == "memtrace").context("cargo knows no memtrace")?;
    Ok(memtrace["version"].as_str().context("it has no version")?.to_owned())
}

/// Seconds since 1970 of what is packaged: so long as that is the same, what is made of it is the same too.
fn committed() -> Result<String> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(epoch);
    }
    let log = Command::new("git").current_dir(paths::root()).args(["log", "-1", "--format=%ct"]).text()?;
    Ok(log.trim().to_owned())
}

/// A directory that is empty.
fn emptied(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// The machine's name as Debian and OCI have it.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("nobody has tried memtrace on {other}"),
    }
}
