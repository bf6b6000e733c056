//! The Debian package in a VM whose init is systemd: `packaging/boot-test.sh` says what is tried there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use vm_init::Outcome;

use super::{deb, version};
use crate::command::CommandExt;
use crate::vm::{self, Archive, KernelChoice};
use crate::{host, paths};

/// The release that the package is for, and its kernel.
const RELEASE: &str = "bookworm";
const KERNEL: &str = "6.1";

/// systemd, what the test asks with, and who scrapes and alerts.
const PACKAGES: &str = "systemd,systemd-sysv,curl,prometheus,prometheus-alertmanager";

/// What nobody reads there: the system is unpacked into the machine's memory.
const LEFT_OUT: [&str; 6] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/javascript/*",
    "/usr/bin/promtool",
    "/usr/bin/amtool",
];

const SERVICE: &str = "[Service]\nType=oneshot\nExecStart=/boot-test.sh\nTTYPath=/dev/ttyS0\nStandardOutput=tty\nStandardError=tty\nLimitNOFILE=500000\n";

pub fn check(memtrace: &Path, directory: &Path) -> Result<()> {
    let kernel = vm::obtain_kernel(&KernelChoice::newest(KERNEL))?;
    let initramfs = directory.join("boot.cpio");
    let mut file =
        File::create(&initramfs).with_context(|| format!("cannot write {}", initramfs.display()))?;
    // The kernel unpacks one archive after the other.
    io::copy(&mut File::open(system()?)?, &mut file)?;
    pack(memtrace, directory, file)?;
    let mut line = |text: &str| println!("{}", text.trim_end());
    match vm::system(&kernel, &initramfs, &mut line)? {
        Outcome::Exited(0) => Ok(()),
        outcome => bail!("the package failed in the VM: {outcome}"),
    }
}

/// The test and its two packages: the one that was made, and a newer one.
fn pack(memtrace: &Path, directory: &Path, file: File) -> Result<()> {
    let version = version()?;
    let mut archive = Archive::new(io::BufWriter::new(file));
    archive.directory("packages")?;
    let first = deb::file(directory, &version)?;
    let second = deb::make_version(memtrace, directory, &format!("{version}+upgrade"))?;
    for (name, package) in [("first", first), ("second", second)] {
        archive.file(&format!("packages/{name}.deb"), 0o644, &fs::read(package)?)?;
    }
    archive.program("/boot-test.sh", &paths::root().join("packaging/boot-test.sh"))?;
    archive.file("/etc/systemd/system/boot-test.service", 0o644, SERVICE.as_bytes())?;
    archive.finish()?.flush().context("cannot write the archive")
}

/// A small Debian, as an initramfs; made once, since it is downloaded.
fn system() -> Result<PathBuf> {
    let (made, partial) = (paths::target("vm/system.cpio"), paths::target("vm/system.cpio.partial"));
    if made.exists() {
        return Ok(made);
    }
    fs::create_dir_all(paths::target("vm"))?;
    // As the kernel finds its init; without a login on the console, and with our test at the end of the boot, which starts the others.
    let links = [
        ("lib/systemd/systemd", "init"),
        ("/dev/null", "etc/systemd/system/serial-getty@ttyS0.service"),
        (
            "/etc/systemd/system/boot-test.service",
            "etc/systemd/system/multi-user.target.wants/boot-test.service",
        ),
    ];
    let links: String = links.map(|(target, link)| format!("ln -sf {target} \"$1/{link}\" && ")).concat();
    // While mmdebstrap is at work, it forbids packages to start services.
    let pack = format!(
        "{links}cd \"$1\" && rm -r etc/systemd/system/multi-user.target.wants/prometheus* var/cache/apt var/lib/apt/lists/* && find . -xdev ! -path ./usr/sbin/policy-rc.d -print0 | cpio --quiet --null --create --format=newc >'{}'",
        partial.display()
    );
    let mut mmdebstrap = host::as_root("mmdebstrap");
    mmdebstrap.args(["--variant=minbase", "--format=null", &format!("--include={PACKAGES}")]);
    mmdebstrap.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    mmdebstrap.arg("--dpkgopt=path-include=/usr/share/doc/memtrace/*");
    mmdebstrap.arg(format!("--customize-hook={pack}")).args([RELEASE, "-"]).text()?;
    fs::rename(&partial, &made)?;
    Ok(made)
}
