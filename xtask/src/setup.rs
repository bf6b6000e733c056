//! Finds or installs what building and testing need, and prints one line for each thing.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::command::{CommandExt, cargo, which};
use crate::toolchain::{BPF_LINKER_VERSION, BpfRust, without_outer_cargo};
use crate::{host, paths};

/// Find or install what building and testing need
///
/// Changes nothing where all is there already. On Debian and its relatives missing things are installed (through sudo, if you are
/// not root); elsewhere you are told what to install.
#[derive(clap::Args)]
pub struct Args {
    /// Only say what is there and what is not; fails if something is missing
    #[arg(long)]
    check: bool,
    /// Only what building needs, not what the tests need
    #[arg(long)]
    build_only: bool,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub enum Part {
    Build,
    /// And what the tests on this host need.
    Host,
    /// And what the VMs need.
    All,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let part = if args.build_only { Part::Build } else { Part::All };
    if !args.check {
        ensure(part)?;
        return Ok(ExitCode::SUCCESS);
    }
    let missing = needs(part).iter().filter(|need| !need.report()).count();
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs what is missing.
pub fn ensure(part: Part) -> Result<()> {
    ensure_all(&needs(part))
}

/// Likewise, where what building needs is there.
pub fn ensure_beyond_building(part: Part) -> Result<()> {
    ensure_all(&needs(part)[needs(Part::Build).len()..])
}

/// Likewise what makes packages.
pub fn ensure_for_packages() -> Result<()> {
    ensure_all(&PACKAGE_PROGRAMS.map(Need::Program))
}

fn ensure_all(needs: &[Need]) -> Result<()> {
    if !host::is_debian() {
        refuse_by_hand(needs)?;
    }
    needs.iter().try_for_each(Need::ensure)
}

/// In the order in which they need one another.
fn needs(part: Part) -> Vec<Need> {
    let mut needs = vec![Need::BpfRust, Need::Llvm, Need::BpfLinker];
    if part >= Part::Host {
        needs.extend([Need::CargoDeny, Need::Browser, Need::TableReaders]);
    }
    if part == Part::All {
        needs.extend(TEST_PROGRAMS.into_iter().chain(PACKAGE_PROGRAMS).map(Need::Program));
    }
    needs
}

/// A program, and Debian's package that has it.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    package: &'static str,
    version_flag: &'static str,
}

/// For the VM tests: the machine, its disk image, its kernel's packages and modules; a terminal to test in; Go, of whose tools
/// pprof is one; who scrapes and alerts: a Prometheus, its Alertmanager, a curl, and what is used in their place; and what checks units.
const TEST_PROGRAMS: [Program; 12] = [
    Program { name: "qemu-system-x86_64", package: "qemu-system-x86", version_flag: "--version" },
    Program { name: "mkfs.ext4", package: "e2fsprogs", version_flag: "-V" },
    Program { name: "dpkg-deb", package: "dpkg", version_flag: "--version" },
    Program { name: "xz", package: "xz-utils", version_flag: "--version" },
    Program { name: "tmux", package: "tmux", version_flag: "-V" },
    Program { name: "go", package: "golang-go", version_flag: "version" },
    Program { name: "promtool", package: "prometheus", version_flag: "--version" },
    Program { name: "curl", package: "curl", version_flag: "--version" },
    Program {
        name: "prometheus-alertmanager",
        package: "prometheus-alertmanager",
        version_flag: "--version",
    },
    Program { name: "victoria-metrics", package: "victoria-metrics", version_flag: "--version" },
    Program {
        name: "prometheus-node-exporter",
        package: "prometheus-node-exporter",
        version_flag: "--version",
    },
    Program { name: "systemd-analyze", package: "systemd", version_flag: "--version" },
];

/// What packages are made with, and tried.
const PACKAGE_PROGRAMS: [Program; 7] = [
    Program { name: "dh", package: "debhelper", version_flag: "--version" },
    Program { name: "lintian", package: "lintian", version_flag: "--version" },
    Program { name: "buildah", package: "buildah", version_flag: "--version" },
    Program { name: "podman", package: "podman", version_flag: "--version" },
    Program { name: "runc", package: "runc", version_flag: "--version" },
    Program { name: "mmdebstrap", package: "mmdebstrap", version_flag: "--version" },
    Program { name: "cpio", package: "cpio", version_flag: "--version" },
];

/// What the HTML report is tested in: as distributions call it, the leanest first.
const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

enum Need {
    BpfRust,
    Llvm,
    BpfLinker,
    CargoDeny,
    Browser,
    /// What reads Parquet and checks manifests in the tests: an environment of Python with what `requirements.txt` beside the script names.
    TableReaders,
    Program(Program),
}

/// Makes that environment, and looks for it.
const PREPARE_TABLE_READERS: &str = "memtrace/tests/tables/prepare.py";

impl Need {
    fn name(&self) -> &'static str {
        match self {
            Self::BpfRust => "rustc for BPF",
            Self::Llvm => "LLVM for bpf-linker",
            Self::BpfLinker => "bpf-linker",
            Self::CargoDeny => "cargo-deny",
            Self::Browser => "Chromium",
            Self::TableReaders => "Python packages",
            Self::Program(program) => program.name,
        }
    }

    /// The version, if it is there.
    fn found(&self) -> Option<String> {
        match self {
            Self::BpfRust => BpfRust::find().map(|rust| format!("{}, LLVM {}", rust.version, rust.llvm)),
            Self::Llvm => BpfRust::find().filter(BpfRust::has_llvm).map(|rust| rust.llvm.to_string()),
            Self::BpfLinker => BpfRust::find()?.linker().map(|_| BPF_LINKER_VERSION.to_owned()),
            Self::TableReaders => {
                prepare_table_readers(&["--check"]).text().ok().map(|text| text.trim().to_owned())
            }
            Self::CargoDeny => {
                let version = Command::new(cargo_deny()).arg("--version").text().ok()?;
                version.contains(CARGO_DENY_VERSION).then(|| CARGO_DENY_VERSION.to_owned())
            }
            Self::Browser => BROWSERS.iter().find_map(|name| version(name, "--version")),
            Self::Program(program) => version(program.name, program.version_flag),
        }
    }

    /// Says whether it is there.
    fn report(&self) -> bool {
        let found = self.found();
        match &found {
            Some(version) => self.say(&format!("found ({version})")),
            None => self.say("missing"),
        }
        found.is_some()
    }

    fn ensure(&self) -> Result<()> {
        if let Some(version) = self.found() {
            self.say(&format!("found ({version})"));
            return Ok(());
        }
        self.say("missing, installing it");
        self.install().with_context(|| format!("cannot install {}", self.name()))?;
        let Some(version) = self.found() else {
            bail!("{} was installed but is not found; see `cargo xtask setup --check`", self.name());
        };
        self.say(&format!("installed ({version})"));
        Ok(())
    }

    fn say(&self, what: &str) {
        println!("{:<20} {what}", self.name());
    }

    fn install(&self) -> Result<()> {
        match self {
            Self::BpfRust => install_bpf_rust(),
            Self::Llvm => host::apt_install(&[format!("llvm-{}-dev", bpf_rust()?.llvm)]),
            Self::BpfLinker => install_bpf_linker(&bpf_rust()?),
            Self::CargoDeny => install_cargo_deny(),
            Self::Browser => host::apt_install(&[browser_package()?.to_owned()]),
            Self::TableReaders => install_table_readers(),
            Self::Program(program) => host::apt_install(&[program.package.to_owned()]),
        }
    }
}

/// The version of a program, if it is there.
fn version(program: &str, flag: &str) -> Option<String> {
    let output = Command::new(which(program)?).arg(flag).output().ok()?;
    // mkfs.ext4 says it on stderr.
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(first_version(&String::from_utf8_lossy(&text)).unwrap_or("version unknown").to_owned())
}

fn prepare_table_readers(flags: &[&str]) -> Command {
    let mut prepare = Command::new("python3");
    prepare.arg(paths::root().join(PREPARE_TABLE_READERS)).args(flags).arg(paths::target("python"));
    prepare
}

/// Debian has Python without what makes environments.
fn install_table_readers() -> Result<()> {
    let has_venv = Command::new("python3").args(["-c", "import ensurepip, venv"]).text().is_ok();
    if !has_venv && host::is_debian() {
        host::apt_install(&["python3-venv".to_owned()])?;
    }
    prepare_table_readers(&[]).check()
}

/// Not every release packages the lean one.
fn browser_package() -> Result<&'static str> {
    let [lean, full, ..] = BROWSERS;
    Ok(if host::apt_offers(lean)? { lean } else { full })
}

/// The first word that looks like a version: `mke2fs 1.47.0 (5-Feb-2023)`, `go version go1.19.8 linux/amd64`.
fn first_version(text: &str) -> Option<&str> {
    text.split([' ', '\n', '(', ')'])
        .map(|word| ["go", "v"].iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word))
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
}

fn bpf_rust() -> Result<BpfRust> {
    BpfRust::find().context("there is no rustc for BPF")
}

fn install_bpf_rust() -> Result<()> {
    if host::apt_offers("libstd-rust-web-dev-bpf")? {
        let packages = ["rustc-web", "libstd-rust-web-dev-bpf", "cargo-web"];
        return host::apt_install(&packages.map(str::to_owned));
    }
    without_outer_cargo(Command::new("rustup").args([
        "toolchain",
        "install",
        "nightly",
        "--profile",
        "minimal",
    ]))
    .args(["--component", "rust-src"])
    .check()
}

fn install_bpf_linker(rust: &BpfRust) -> Result<()> {
    without_outer_cargo(&mut cargo())
        .env("LLVM_PREFIX", rust.llvm_prefix())
        // It links one small object: building it takes longer than all that it will ever do.
        .envs([("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"), ("CARGO_PROFILE_RELEASE_DEBUG", "0")])
        .envs([("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")])
        .args(["install", "bpf-linker", "--quiet", "--locked", "--force", "--version", BPF_LINKER_VERSION])
        .args(["--no-default-features", "--features", &format!("llvm-{}", rust.llvm), "--root"])
        .arg(rust.linker_root())
        .check()
}

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Checks licences and sources of packages.
pub fn cargo_deny() -> PathBuf {
    paths::target("tools/cargo-deny/bin/cargo-deny")
}

/// Not optimised: it builds in half the time, and needs a second for our packages.
fn install_cargo_deny() -> Result<()> {
    without_outer_cargo(&mut cargo())
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .args(["install", "cargo-deny", "--quiet", "--locked", "--force", "--debug"])
        .args(["--version", CARGO_DENY_VERSION, "--root"])
        .arg(paths::target("tools/cargo-deny"))
        .check()
}

/// Where there is no apt: says what is to be installed by other means, if anything is.
fn refuse_by_hand(needs: &[Need]) -> Result<()> {
    let missing = needs.iter().filter(|need| need.found().is_none());
    let lines: String =
        missing.filter_map(|need| Some(format!("\n  {:<20} {}", need.name(), need.by_hand()?))).collect();
    if !lines.is_empty() {
        bail!("this is not Debian or like it, so install these yourself, then run this again:{lines}");
    }
    Ok(())
}

impl Need {
    /// What to install, for what cargo cannot.
    fn by_hand(&self) -> Option<String> {
        match self {
            Self::BpfRust => Some("rustup toolchain install nightly --component rust-src".into()),
            Self::Llvm => Some(match BpfRust::find() {
                Some(rust) => format!("LLVM {} with its headers; set LLVM_PREFIX to where it is", rust.llvm),
                None => "LLVM of the same major version as that rustc's (see rustc -vV)".into(),
            }),
            Self::BpfLinker | Self::CargoDeny => None,
            Self::TableReaders => which("python3").is_none().then(|| "Python 3 with its module venv".into()),
            Self::Browser => Some("Chromium, which the HTML report is tested in".into()),
            Self::Program(program) => Some(format!("as in Debian's package {}", program.package)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_version;

    #[test]
    fn version_is_found_in_what_programs_say() {
        assert_eq!(first_version("mke2fs 1.47.0 (5-Feb-2023)\n"), Some("1.47.0"));
        assert_eq!(first_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"), Some("7.2.22"));
        assert_eq!(first_version("tmux 3.3a"), Some("3.3a"));
        assert_eq!(first_version("go version go1.19.8 linux/amd64\n"), Some("1.19.8"));
        assert_eq!(first_version("Lintian v2.116.3+deb12u1\n"), Some("2.116.3+deb12u1"));
        assert_eq!(first_version("none"), None);
    }
}
