//! Finds a Rust compiler that can build for BPF, and the linker that goes with it.
//!
//! Two kinds exist: one with a ready-made `core` for BPF (Debian's rustc-web), and a nightly with `rust-src` that
//! builds `core` itself. Whichever it is, bpf-linker must be built against the LLVM of the compiler's own major version,
//! because it reads the compiler's bitcode.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::CommandExt;
use crate::paths;

pub const BPF_TARGET: &str = "bpfel-unknown-none";
pub const BPF_LINKER_VERSION: &str = "0.13.0";

pub struct BpfRust {
    rustc: PathBuf,
    cargo: PathBuf,
    /// `core` does not come with the compiler and has to be built.
    build_std: bool,
    /// Version and LLVM's major version, as the compiler says.
    pub version: String,
    pub llvm: u32,
}

impl BpfRust {
    pub fn find() -> Option<Self> {
        Self::with_ready_core().or_else(Self::with_core_sources)
    }

    /// A distribution's compiler. It is asked for by its full path because rustup's is usually first in PATH.
    fn with_ready_core() -> Option<Self> {
        let rustc = Path::new("/usr/bin/rustc");
        let libdir = ask(rustc, &["--print", "target-libdir", "--target", BPF_TARGET])?;
        has_core(Path::new(libdir.trim())).then(|| Self::new(rustc, Path::new("/usr/bin/cargo"), false))?
    }

    fn with_core_sources() -> Option<Self> {
        let sysroot = without_outer_cargo(Command::new("rustup").args(["run", "nightly"]))
            .args(["rustc", "--print", "sysroot"])
            .text()
            .ok()?;
        let sysroot = Path::new(sysroot.trim());
        if !sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
            return None;
        }
        Self::new(&sysroot.join("bin/rustc"), &sysroot.join("bin/cargo"), true)
    }

    fn new(rustc: &Path, cargo: &Path, build_std: bool) -> Option<Self> {
        if !cargo.is_file() {
            return None;
        }
        let (version, llvm) = parse_version(&ask(rustc, &["-vV"])?)?;
        Some(Self { rustc: rustc.into(), cargo: cargo.into(), build_std, version, llvm })
    }

    /// `cargo build` for the BPF target, the crate still to be named.
    pub fn cargo_build(&self, linker: &Path) -> Command {
        let mut rustflags = vec!["-Cdebuginfo=2".into(), "-Clink-arg=--btf".into()];
        rustflags.push(format!("-Clinker={}", linker.display()));
        let mut cargo = Command::new(&self.cargo);
        without_outer_cargo(&mut cargo)
            .current_dir(paths::root())
            .env("RUSTC", &self.rustc)
            // Stable compilers have the BPF target's unstable parts too, but want to be told.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}"))
            .args(["build", "--release", "--target", BPF_TARGET]);
        if self.build_std {
            cargo.arg("-Zbuild-std=core");
        }
        cargo
    }

    /// Where the linker for this compiler is, or is to be, installed.
    pub fn linker_root(&self) -> PathBuf {
        paths::target(format!("tools/llvm-{}", self.llvm))
    }

    /// The linker, if it is there and starts: it does not where its LLVM library went away.
    pub fn linker(&self) -> Option<PathBuf> {
        let linker = self.linker_root().join("bin/bpf-linker");
        let version = Command::new(&linker).arg("--version").text().ok()?;
        version.contains(BPF_LINKER_VERSION).then_some(linker)
    }

    /// The compiler's LLVM with its development files: where LLVM_PREFIX says, or where Debian's packages put it.
    pub fn llvm_prefix(&self) -> PathBuf {
        std::env::var_os("LLVM_PREFIX")
            .map_or_else(|| format!("/usr/lib/llvm-{}", self.llvm).into(), PathBuf::from)
    }

    pub fn has_llvm(&self) -> bool {
        let version = Command::new(self.llvm_prefix().join("bin/llvm-config")).arg("--version").text();
        version.is_ok_and(|version| version.starts_with(&format!("{}.", self.llvm)))
    }
}

/// We run below a cargo that left its own compiler, flags and wrappers (clippy's, say) in the environment; none of them
/// is meant for this build. Where the registry is and how to reach it stays.
pub fn without_outer_cargo(command: &mut Command) -> &mut Command {
    let of_outer_cargo = |name: &str| {
        const PREFIXES: [&str; 6] = [
            "CARGO_BUILD_",
            "CARGO_TARGET_",
            "CARGO_PROFILE_",
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CFG_",
        ];
        const NAMES: [&str; 7] = [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTUP_TOOLCHAIN",
        ];
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_outer_cargo) {
            command.env_remove(name);
        }
    }
    command
}

fn ask(rustc: &Path, args: &[&str]) -> Option<String> {
    without_outer_cargo(&mut Command::new(rustc)).args(args).text().ok()
}

/// rustc names a directory for every target it knows of, installed or not.
fn has_core(libdir: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(libdir) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        name.to_string_lossy().starts_with("libcore-") && name.to_string_lossy().ends_with(".rlib")
    })
}

/// Reads `rustc -vV`.
fn parse_version(verbose: &str) -> Option<(String, u32)> {
    let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name));
    let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
    Some((field("release: ")?.to_owned(), llvm))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn version_of_compiler_and_llvm() {
        let verbose =
            "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse_version(verbose), Some(("1.96.0".to_owned(), 22)));
        assert_eq!(parse_version("rustc 1.96.0\n"), None);
    }
}
