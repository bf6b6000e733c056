//! Builds the programs that tests run, and finds them by what cargo says.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::cargo;
use crate::paths;

/// What the kernels of VMs run, whatever the host is.
pub const VM_TARGET: &str = "x86_64-unknown-linux-gnu";

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

/// What this host runs.
pub fn host_target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds with the profile of the tests, and gives the executables that were made or are up to date.
///
/// They are linked statically: there are no libraries in a VM. So the host's tests and those of VMs are the same programs, and
/// built once.
pub fn build(target: &str, args: &[&str]) -> Result<Vec<Executable>> {
    let output = cargo()
        .args(args)
        .args(["--profile", "tests", "--target", target, "--message-format=json-render-diagnostics"])
        .arg("--target-dir")
        .arg(paths::target("static"))
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
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
