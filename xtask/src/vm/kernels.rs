//! The kernels that we test on: Debian's cloud kernels, unpacked under `target/vm/kernels`, never installed.
//!
//! Package names change with every update, so the newest is looked up in its suite's index. The index is kept in a private
//! apt directory made from the machine's own sources with another suite's name: the mirror, proxy and keys stay the
//! machine's own, and its package lists stay as they are.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::command::CommandExt;
use crate::paths;

/// A kernel series and where to find it: the first suite that has it is taken.
pub struct Series {
    pub name: &'static str,
    /// What its release starts with.
    prefix: &'static str,
    suites: &'static [&'static str],
}

/// The oldest that memtrace supports, the long-term ones that people run, and the newest.
pub const SERIES: [Series; 4] = [
    Series { name: "5.10", prefix: "5.10.", suites: &["bullseye-security", "bullseye"] },
    Series { name: "6.1", prefix: "6.1.", suites: &["bookworm-security", "bookworm"] },
    Series { name: "6.12", prefix: "6.12.", suites: &["trixie-security", "trixie", "bookworm-security"] },
    Series { name: "7.x", prefix: "7.", suites: &["trixie-backports", "sid"] },
];

pub fn names() -> [&'static str; SERIES.len()] {
    SERIES.each_ref().map(|series| series.name)
}

/// A kernel that somebody wants: the newest of a series, or one release.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub series: &'static str,
    release: Option<String>,
}

impl Choice {
    pub fn newest(series: &'static str) -> Self {
        Self { series, release: None }
    }

    /// Whether this release is wanted: 7.3.4 where 7.3 is, and 7.30 not.
    fn is_met_by(&self, release: &str) -> bool {
        let Some(wanted) = &self.release else { return true };
        release
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(series) = SERIES.iter().find(|series| series.name == text) {
            return Ok(Self::newest(series.name));
        }
        let is_of = |series: &&Series| {
            text.strip_prefix(series.prefix)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let series = SERIES.iter().find(is_of);
        let series =
            series.ok_or_else(|| format!("give one of {}, or a release of one", names().join(", ")))?;
        Ok(Self { series: series.name, release: Some(text.to_owned()) })
    }
}

/// A kernel that is here.
pub struct Kernel {
    pub series: &'static str,
    pub release: String,
    pub image: PathBuf,
    /// The RAM disk driver, maybe compressed.
    pub disk_module: PathBuf,
    /// What tests load, by name.
    pub test_modules: [(&'static str, PathBuf); TEST_MODULES.len()],
}

/// Modules with slab caches of their own that need no other module, and are modules in each of these kernels.
const TEST_MODULES: [&str; 2] = ["overlay", "sunrpc"];

/// Gives this kernel, from the cache if it is there. To get a newer one, remove its directory.
pub fn obtain(choice: &Choice) -> Result<Kernel> {
    let series = SERIES.iter().find(|series| series.name == choice.series).context("no such kernel")?;
    let directory = paths::target("vm/kernels").join(series.name);
    if !directory.is_dir() {
        download(series, &directory).with_context(|| {
            format!("cannot get a {} kernel from {}", series.name, series.suites.join(", "))
        })?;
    }
    let shown = paths::shown(&directory);
    let kernel = unpacked(series, &directory)
        .with_context(|| format!("{shown} is not whole; remove it and try again"))?;
    if let Some(wanted) = choice.release.as_ref().filter(|_| !choice.is_met_by(&kernel.release)) {
        let (name, release) = (series.name, &kernel.release);
        bail!("the {name} kernel here is {release}, not {wanted}; remove {shown} to get the newest");
    }
    Ok(kernel)
}

fn unpacked(series: &'static Series, directory: &Path) -> Result<Kernel> {
    let image = find(directory, &|file| file.starts_with("vmlinuz"))?.context("there is no vmlinuz in it")?;
    let disk_module = find_module(directory, "brd")?;
    let mut test_modules = TEST_MODULES.map(|name| (name, PathBuf::new()));
    for (name, path) in &mut test_modules {
        *path = find_module(directory, name)?;
    }
    let release = fs::read_to_string(directory.join("release"))?;
    Ok(Kernel { series: series.name, release, image, disk_module, test_modules })
}

fn find_module(directory: &Path, name: &str) -> Result<PathBuf> {
    let found =
        find(directory, &|file| [".ko", ".ko.xz"].iter().any(|end| file.strip_suffix(end) == Some(name)))?;
    found.with_context(|| format!("there is no module {name} in it"))
}

fn find(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = if entry.file_type()?.is_dir() {
            find(&entry.path(), wanted)?
        } else {
            wanted(&entry.file_name().to_string_lossy()).then(|| entry.path())
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn download(series: &Series, directory: &Path) -> Result<()> {
    let mut reasons = Vec::new();
    for suite in series.suites {
        match download_from(suite, series, directory) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("{suite}: {error:#}")),
        }
    }
    bail!("{}", reasons.join("\n"))
}

fn download_from(suite: &str, series: &Series, directory: &Path) -> Result<()> {
    let apt = Apt::open(suite)?;
    let index = apt.kernel_packages()?;
    let release = newest(&index, series.prefix).context("its index has none")?;
    println!("downloading kernel {release} from {suite}");

    // Moved to its place when it is whole.
    let partial = directory.with_extension("partial");
    fs::remove_dir_all(&partial).ok();
    fs::create_dir_all(&partial)?;
    for package in packages_of(&index, &release) {
        apt.download(&package, &partial)?;
    }
    for entry in fs::read_dir(&partial)? {
        let archive = entry?.path();
        Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&partial).check()?;
        fs::remove_file(archive)?;
    }
    fs::write(partial.join("release"), release)?;
    fs::rename(&partial, directory).context("cannot move it to its place")
}

const FLAVOUR: &str = "-cloud-amd64";
/// The image, which in newer packaging is split over two more packages.
const PARTS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// The newest release of a series among package names.
fn newest(index: &[String], prefix: &str) -> Option<String> {
    index
        .iter()
        .filter_map(|package| PARTS.iter().find_map(|part| package.strip_prefix(part)))
        .filter(|release| release.starts_with(prefix) && release.ends_with(FLAVOUR))
        // linux-image-6.12-cloud-amd64 is a name for whatever is newest, and empty.
        .filter(|release| release.trim_end_matches(FLAVOUR).split('.').count() > 2)
        .max_by(|a, b| compare_releases(a, b))
        .map(str::to_owned)
}

fn packages_of(index: &[String], release: &str) -> Vec<String> {
    PARTS.iter().map(|part| format!("{part}{release}")).filter(|package| index.contains(package)).collect()
}

/// Numbers as numbers: 6.12.9 is before 6.12.10.
fn compare_releases(a: &str, b: &str) -> Ordering {
    let numbers = |release: &str| -> Vec<u64> {
        release
            .trim_end_matches(FLAVOUR)
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect()
    };
    numbers(a).cmp(&numbers(b))
}

/// apt with a list of its own, of one suite.
struct Apt {
    config: PathBuf,
}

impl Apt {
    fn open(suite: &str) -> Result<Self> {
        let archive = archive_of(suite)?;
        let directory = paths::target("vm/apt").join(suite);
        for needed in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(needed))?;
        }
        let config = directory.join("apt.conf");
        fs::write(directory.join("sources.list"), format!("deb {}{archive} {suite} main\n", signed_by()))?;
        fs::write(&config, apt_config(&directory.display().to_string()))?;
        let apt = Self { config };
        apt.command("apt-get").args(["update", "--quiet"]).text()?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.config).env("LC_ALL", "C");
        command
    }

    fn kernel_packages(&self) -> Result<Vec<String>> {
        let names = self.command("apt-cache").args(["pkgnames", "linux-"]).text()?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    fn download(&self, package: &str, to: &Path) -> Result<()> {
        self.command("apt-get").args(["download", "--quiet", package]).current_dir(to).text().map(drop)
    }
}

fn apt_config(directory: &str) -> String {
    format!(
        "Dir::Etc::SourceList \"{directory}/sources.list\";\n\
         Dir::Etc::SourceParts \"/dev/null\";\n\
         Dir::State::Lists \"{directory}/lists\";\n\
         Dir::Cache \"{directory}/cache\";\n\
         APT::Architecture \"amd64\";\n\
         APT::Architectures {{ \"amd64\"; }};\n\
         Acquire::Languages \"none\";\n\
         // An old suite's index is not signed anew any more.\n\
         Acquire::Check-Valid-Until \"false\";\n\
         // apt's own user may not be able to enter this directory.\n\
         APT::Sandbox::User \"root\";\n"
    )
}

/// Debian's archive keys by name, where the machine has them so; otherwise whatever apt trusts.
fn signed_by() -> &'static str {
    const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    if Path::new(KEYRING).exists() {
        "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
    } else {
        ""
    }
}

/// The archive that this machine would get the suite from.
fn archive_of(suite: &str) -> Result<String> {
    let uris = Command::new("apt-get").args(["update", "--print-uris"]).text()?;
    archive_among(&uris, suite.ends_with("-security"))
        .context("this machine's apt sources name no Debian archive to look in")
}

/// Reads what `apt-get update --print-uris` says: the archive that has Debian's suites, or that of its security updates.
fn archive_among(uris: &str, security: bool) -> Option<String> {
    uris.lines().find_map(|line| {
        let uri = line.split('\'').nth(1)?;
        let (archive, index) = uri.split_once("/dists/")?;
        let suite = index.strip_suffix("/InRelease")?;
        let is_debian = archive.trim_end_matches('/').rsplit('/').next()?.starts_with("debian");
        (is_debian && suite.ends_with("-security") == security).then(|| archive.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_kernel_is_chosen_by_its_series_or_its_release() {
        let choice = |text: &str| Choice::from_str(text).map(|choice| (choice.series, choice.release));
        assert_eq!(choice("7.x"), Ok(("7.x", None)));
        assert_eq!(choice("6.1"), Ok(("6.1", None)));
        assert_eq!(choice("7.3"), Ok(("7.x", Some("7.3".to_owned()))));
        assert_eq!(choice("6.12.90"), Ok(("6.12", Some("6.12.90".to_owned()))));
        for unknown in ["", "7", "7.", "7.y", "5.11", "6.120", "latest"] {
            assert!(choice(unknown).unwrap_err().contains("5.10, 6.1, 6.12, 7.x"), "{unknown}");
        }
    }

    #[test]
    fn a_release_is_met_by_what_begins_with_its_numbers() {
        let meets = |wanted: &str, release: &str| wanted.parse::<Choice>().unwrap().is_met_by(release);
        assert!(meets("7.x", "7.3.4+deb13-cloud-amd64"));
        assert!(meets("7.3", "7.3.4+deb13-cloud-amd64"));
        assert!(meets("6.12.9", "6.12.9+deb13-cloud-amd64"));
        assert!(!meets("6.12.9", "6.12.90+deb13-cloud-amd64"));
        assert!(!meets("7.3", "7.30.1+deb13-cloud-amd64"));
    }

    #[test]
    fn newest_is_by_number_and_of_the_series() {
        let index = index(&[
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.12.9+deb13-cloud-amd64",
            "linux-image-6.12.115+deb13-cloud-amd64",
            "linux-image-6.12.115+deb13.1-cloud-amd64",
            "linux-image-6.12.116+deb13-cloud-amd64-unsigned",
            "linux-image-6.12.116+deb13-cloud-amd64-dbg",
            "linux-image-6.12.117+deb13-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-headers-6.12.118+deb13-cloud-amd64",
        ]);
        assert_eq!(newest(&index, "6.12.").as_deref(), Some("6.12.115+deb13.1-cloud-amd64"));
        assert_eq!(newest(&index, "6.1.").as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(newest(&index, "7."), None);
    }

    #[test]
    fn a_kernel_may_come_in_parts() {
        let index = index(&[
            "linux-image-7.0.10+deb13-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
        ]);
        let release = newest(&index, "7.").unwrap();
        assert_eq!(
            packages_of(&index, &release),
            [
                "linux-image-7.3.4+deb13-cloud-amd64",
                "linux-binary-7.3.4+deb13-cloud-amd64",
                "linux-modules-7.3.4+deb13-cloud-amd64",
            ]
        );
    }

    #[test]
    fn archive_comes_from_the_machines_sources() {
        let uris = "'http://tools.example/apt/dists/x/InRelease' a 0 \n\
                    'http://mirror.example/debian/dists/bookworm/InRelease' b 0 \n\
                    'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' c 0 \n\
                    'http://mirror.example/debian-security/dists/bookworm-security/InRelease' d 0 \n";
        assert_eq!(archive_among(uris, false).as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(archive_among(uris, true).as_deref(), Some("http://mirror.example/debian-security"));
        assert_eq!(archive_among("", false), None);
    }
}
