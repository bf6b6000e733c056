//! What people run instead of memtrace, as Debian packages it, and what it needs to run here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use xtask::command::{CommandExt, which};
use xtask::{host, paths};

pub const BPFTRACE: &str = "bpftrace";
pub const PERF: &str = "perf";
pub const MEMLEAK: &str = "memleak-bpfcc";

/// Follows dentries as memtrace does: who allocated those that are not freed.
const SCRIPT: &str = r#"
tracepoint:kmem:kmem_cache_alloc /str(args->name) == "dentry"/ { @live[args->ptr] = comm; }
tracepoint:kmem:kmem_cache_free /str(args->name) == "dentry"/ { delete(@live[args->ptr]); }
END { clear(@live); }
"#;

/// The default of 4,096 is full at once, and then the script does no work any more.
const SCRIPT_OBJECTS: &str = "1048576";

pub fn bpftrace() -> Command {
    let mut command = with_tracefs(BPFTRACE);
    command.args(["-e", SCRIPT]).env("BPFTRACE_MAP_KEYS_MAX", SCRIPT_OBJECTS);
    command
}

/// Where [`perf_kmem`] records to.
pub const PERF_DATA: &str = "perf.data";

pub fn perf_kmem(directory: &Path) -> Command {
    let mut command = with_tracefs(PERF);
    // Build ids are looked for at the end only, and take seconds then.
    command.args(["kmem", "record", "--no-buildid", "--output"]).arg(directory.join(PERF_DATA));
    command
}

/// Its first report is in an hour: what is compared is the tracing.
pub fn memleak() -> Command {
    let mut command = with_tracefs(MEMLEAK);
    command.arg("3600");
    if borrowed_headers().is_dir() {
        command.env("BCC_KERNEL_SOURCE", borrowed_headers());
    }
    command
}

/// A program that finds tracefs in the usual places. Where it is not mounted, it is for this program only: the host
/// stays as it is.
fn with_tracefs(program: &str) -> Command {
    if Path::new("/sys/kernel/tracing/events").is_dir()
        && Path::new("/sys/kernel/debug/tracing/events").is_dir()
    {
        return Command::new(program);
    }
    const MOUNT: &str = "mount -t debugfs debugfs /sys/kernel/debug; mount -t tracefs tracefs /sys/kernel/tracing; \
                         exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", MOUNT, program]);
    command
}

/// A peer: its program and the package that has it.
pub struct Peer {
    pub program: &'static str,
    package: &'static str,
}

pub const PEERS: [Peer; 3] = [
    Peer { program: BPFTRACE, package: "bpftrace" },
    Peer { program: PERF, package: "linux-perf" },
    Peer { program: MEMLEAK, package: "bpfcc-tools" },
];

impl Peer {
    /// The version of its package, where packages are Debian's.
    pub fn version(&self) -> Option<String> {
        let version = Command::new("dpkg-query").args(["-W", "-f=${Version}", self.package]).text().ok()?;
        (!version.is_empty()).then_some(version)
    }
}

/// Installs the peers. One that cannot be installed is printed, and is no failure.
pub fn setup() -> Result<ExitCode> {
    for peer in &PEERS {
        let state = match install(peer) {
            Ok(state) => state,
            Err(error) => format!("cannot be installed: {error:#}"),
        };
        println!("{:<20} {state}", peer.program);
    }
    let headers = match borrow_headers() {
        Ok(state) => state,
        Err(error) => format!("not available, so memleak will not compile: {error:#}"),
    };
    println!("{:<20} {headers}", "kernel headers");
    Ok(ExitCode::SUCCESS)
}

fn install(peer: &Peer) -> Result<String> {
    if which(peer.program).is_some() {
        return Ok(format!("found ({})", peer.version().as_deref().unwrap_or("version unknown")));
    }
    if !host::is_debian() {
        return Ok(format!("missing; install it yourself, as in Debian's package {}", peer.package));
    }
    host::apt_install(&[peer.package.to_owned()])?;
    Ok(format!("installed ({})", peer.version().as_deref().unwrap_or("version unknown")))
}

/// bcc compiles its programs against kernel headers when it starts.
fn borrowed_headers() -> PathBuf {
    paths::target("bench-headers")
}

/// Where the running kernel has no headers, those of this release's own kernel do for memleak: it takes the layout of
/// its events from tracefs. They are unpacked under `target/`, not installed.
fn borrow_headers() -> Result<String> {
    let release = host::kernel_release();
    if Path::new("/lib/modules").join(&release).join("build").is_dir()
        || Path::new("/sys/kernel/kheaders.tar.xz").exists()
    {
        return Ok("the running kernel's own".into());
    }
    if borrowed_headers().is_dir() {
        return Ok(format!("borrowed, in {}", paths::shown(&borrowed_headers())));
    }
    anyhow::ensure!(host::is_debian(), "this is not Debian or like it");
    host::apt_offers("linux-headers-cloud-amd64")?;
    let packages = header_packages()?;
    let partial = borrowed_headers().with_extension("partial");
    fs::remove_dir_all(&partial).ok();
    fs::create_dir_all(&partial)?;
    Command::new("apt-get").args(["download", "-qq"]).args(&packages).current_dir(&partial).text()?;
    for entry in fs::read_dir(&partial)? {
        Command::new("dpkg-deb").arg("--extract").arg(entry?.path()).arg(&partial).check()?;
    }
    // One tree: bcc looks for common headers and those of a flavour in the same place.
    let merged = partial.join("merged");
    fs::create_dir(&merged)?;
    for package in &packages {
        let from = partial.join("usr/src").join(package).join(".");
        Command::new("cp").arg("--archive").arg(from).arg(&merged).check()?;
    }
    fs::rename(&merged, borrowed_headers()).context("cannot move them to their place")?;
    fs::remove_dir_all(&partial)?;
    Ok(format!("borrowed: {}", packages.join(", ")))
}

/// The common headers and a flavour's, which the package of the newest names depend on in two steps.
fn header_packages() -> Result<[String; 2]> {
    let flavour = first_dependency("linux-headers-cloud-amd64", "cloud-amd64")?;
    let common = first_dependency(&flavour, "common")?;
    Ok([common, flavour])
}

fn first_dependency(package: &str, ends_with: &str) -> Result<String> {
    let text = Command::new("apt-cache").args(["depends", package]).env("LC_ALL", "C").text()?;
    let mut names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let found = names.find(|name| name.starts_with("linux-headers-") && name.ends_with(ends_with));
    found.map(str::to_owned).with_context(|| format!("{package} depends on no such package"))
}
