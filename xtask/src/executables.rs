//! Builds the programs that tests run, and finds them by what cargo says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::cargo;
use crate::paths;

/// How programs are built.
pub enum Build {
    /// As a developer's own `cargo test` builds them: what did not change is there already.
    Plain,
    /// With the profile of the tests, for this host.
    ForHost,
    /// Likewise for VMs, whose kernels are those of x86-64. Where this host is one, these are the same programs, and built once.
    ForVm,
}

#[derive(Debug, PartialEq)]
pub struct Executable {
    /// `bin`, `lib`, `test`: what it is built from, also where it is the tests of that.
    pub kind: String,
    pub name: String,
    /// Whether it is a test program.
    pub is_test: bool,
    pub path: PathBuf,
    /// The directory of its package, where cargo runs it.
    pub package: PathBuf,
}

impl Build {
    fn target(&self) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::ForHost => Some(format!("{}-unknown-linux-gnu", std::env::consts::ARCH)),
            Self::ForVm => Some("x86_64-unknown-linux-gnu".to_owned()),
        }
    }

    /// A command of cargo's for this build. A VM has no libraries, so what runs there is linked statically, and so is what runs
    /// here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut cargo = cargo();
        cargo.args(args);
        if let Some(target) = self.target() {
            cargo
                .args(["--profile", "tests", "--target", &target, "--target-dir"])
                .arg(paths::target("static"));
            cargo.env("RUSTFLAGS", "-Ctarget-feature=+crt-static").env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
        cargo
    }
}

/// Builds, and gives the executables that were made or are up to date.
pub fn build(build: &Build, args: &[&str]) -> Result<Vec<Executable>> {
    let mut cargo = build.command(args);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the build failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(executable).collect())
}

/// The program of this kind and name; of kind `test`, an integration test.
pub fn find<'a>(executables: &'a [Executable], kind: &str, name: &str) -> Result<&'a Executable> {
    let is_it = |executable: &&Executable| {
        executable.kind == kind && executable.name == name && executable.is_test == (kind == "test")
    };
    executables.iter().find(is_it).with_context(|| format!("cargo built no {kind} {name}"))
}

/// Reads one of cargo's messages.
fn executable(message: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    Some(Executable {
        kind: target["kind"][0].as_str()?.to_owned(),
        name: target["name"].as_str()?.to_owned(),
        is_test: message["profile"]["test"].as_bool()?,
        path: message["executable"].as_str()?.into(),
        package: Path::new(message["manifest_path"].as_str()?).parent()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let message = r#"{"reason":"compiler-artifact","manifest_path":"/x/memtrace/Cargo.toml","target":{"kind":["test"],"name":"kernel"},"profile":{"test":true},"executable":"/x/kernel-1"}"#;
        let expected = Executable {
            kind: "test".to_owned(),
            name: "kernel".to_owned(),
            is_test: true,
            path: "/x/kernel-1".into(),
            package: "/x/memtrace".into(),
        };
        assert_eq!(executable(message), Some(expected));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable("running 1 test"), None);
    }
}
