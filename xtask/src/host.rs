//! The machine that we run on: who we are and how software is installed here.

use std::process::Command;
use std::sync::Once;

use anyhow::{Context, Result};

use crate::command::{CommandExt, which};

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as root: through sudo, unless we are root already.
pub fn as_root(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(program);
    sudo
}

/// The running kernel's release, for the record only: nothing is decided by it.
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "?".into(), |r| r.trim().into())
}

/// True where packages come from apt and have Debian's names.
pub fn is_debian() -> bool {
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    which("apt-get").is_some() && names_debian(&os_release)
}

fn names_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
        .any(|ids| ids.trim_matches('"').split(' ').any(|id| id == "debian"))
}

/// Whether apt could install this package; brings apt's lists up to date first, once.
pub fn apt_offers(package: &str) -> Result<bool> {
    apt_update()?;
    let policy = Command::new("apt-cache").args(["policy", package]).env("LC_ALL", "C").text()?;
    Ok(policy
        .lines()
        .any(|line| line.trim().strip_prefix("Candidate:").is_some_and(|version| version.trim() != "(none)")))
}

pub fn apt_install(packages: &[String]) -> Result<()> {
    apt_update()?;
    let by_hand = format!("install it yourself, then try again: apt-get install {}", packages.join(" "));
    install(packages).with_context(|| by_hand)
}

/// A package that would push out one of the developer's own is not installed over it. Where that one is from elsewhere (from
/// backports, say) and this release has a version that goes with the new package, it is exchanged for that.
fn install(packages: &[String]) -> Result<()> {
    let in_the_way = removed_by(packages)?;
    let Some(release) = codename().filter(|_| !in_the_way.is_empty()) else {
        return install_without_removal(packages, &[]);
    };
    let exchanged: Vec<String> = in_the_way.iter().map(|package| format!("{package}/{release}")).collect();
    install_without_removal(&[packages, &exchanged].concat(), &["--allow-downgrades"])
}

fn install_without_removal(packages: &[String], options: &[&str]) -> Result<()> {
    println!(
        "  apt-get install {}",
        [options, &packages.iter().map(String::as_str).collect::<Vec<_>>()].concat().join(" ")
    );
    apt()
        .args(["install", "--yes", "--no-remove", "--no-install-recommends", "-qq"])
        .args(options)
        .args(packages)
        .text()
        .map(drop)
}

/// The installed packages that apt would remove to install these.
fn removed_by(packages: &[String]) -> Result<Vec<String>> {
    let plan = apt().args(["install", "--simulate", "--no-install-recommends"]).args(packages).text()?;
    Ok(removed(&plan))
}

/// From what `apt-get --simulate` prints, a line each: `Remv qemu-utils [1:10.0]`.
fn removed(plan: &str) -> Vec<String> {
    let names = plan.lines().filter_map(|line| line.strip_prefix("Remv ")?.split(' ').next());
    names.map(str::to_owned).collect()
}

/// The release that this machine runs, as apt knows it: `bookworm`.
fn codename() -> Option<String> {
    let os_release = std::fs::read_to_string("/etc/os-release").ok()?;
    os_release
        .lines()
        .find_map(|line| Some(line.strip_prefix("VERSION_CODENAME=")?.trim_matches('"').to_owned()))
}

fn apt_update() -> Result<()> {
    static ONCE: Once = Once::new();
    let mut done = Ok(());
    ONCE.call_once(|| done = apt().args(["update", "-qq"]).text().map(drop));
    done
}

fn apt() -> Command {
    let mut apt = as_root("env");
    // Another apt may be at work on this machine: wait for it.
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    apt
}

#[cfg(test)]
mod tests {
    use super::{names_debian, removed};

    #[test]
    fn debian_and_its_children_are_known() {
        assert!(names_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(names_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!names_debian("ID=fedora\nNAME=\"not debian\"\n"));
        assert!(!names_debian(""));
    }

    #[test]
    fn what_apt_would_remove_is_read_from_its_plan() {
        let plan = "The following packages will be REMOVED:\n  qemu-utils\nRemv qemu-utils [1:10.0.2 Debian]\nInst qemu-system-x86 (1:7.2)\n";
        assert_eq!(removed(plan), ["qemu-utils"]);
        assert_eq!(removed("Inst tmux (3.3a)\n"), [""; 0]);
    }
}
