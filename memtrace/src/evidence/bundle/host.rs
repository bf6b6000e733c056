//! The host's own files, unchanged: to check memtrace against, and for questions that it does not answer. What cannot be read
//! is listed.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::Member;
use crate::{evidence::redact::Redactor, procfs::cgroup::CgroupList, text::escape};

/// Of one file, at most. The largest, slabinfo or mounts of a host with 10,000 containers, has some megabytes.
const MAX: u64 = 8 << 20;

/// Cgroups that are listed, the biggest first.
const MAX_CGROUPS: usize = 50;

/// What changes: read before and after.
const FIGURES: [(&str, &str, &str); 9] = [
    ("slabinfo", "proc/slabinfo", "slab caches: objects, object size, slabs (man 5 slabinfo)"),
    ("meminfo", "proc/meminfo", "memory of the host, in kB"),
    ("vmstat", "proc/vmstat", "the kernel's counters of pages and memory events"),
    ("buddyinfo", "proc/buddyinfo", "free blocks in each zone by size: 4 KiB, 8 KiB, ..."),
    ("zoneinfo", "proc/zoneinfo", "watermarks and pages of each zone"),
    ("dentry-state", "proc/sys/fs/dentry-state", "dentries, unused ones, -, -, negative ones, -"),
    ("pressure-memory", "proc/pressure/memory", "time that tasks waited for memory"),
    ("pressure-cpu", "proc/pressure/cpu", "time that tasks waited for a CPU"),
    ("pressure-io", "proc/pressure/io", "time that tasks waited for I/O"),
];
const ABOUT_CGROUPS: &str = "the largest cgroups: bytes of memory excluding children, bytes of slab, path";

/// Gathers the host's files.
#[derive(Debug)]
pub struct HostFiles {
    root: PathBuf,
    pub members: Vec<Member>,
    /// One sentence each.
    pub missing: Vec<String>,
}

/// When figures were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

impl When {
    fn directory(self) -> &'static str {
        match self {
            Self::Before => "host/before",
            Self::After => "host/after",
        }
    }
}

impl HostFiles {
    pub fn live() -> Self {
        Self::at(Path::new("/"))
    }

    /// With `proc` and `etc` below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf(), members: Vec::new(), missing: Vec::new() }
    }

    pub fn read_figures(&mut self, when: When) {
        for (name, path, about) in FIGURES {
            if let Some(bytes) = self.read(path) {
                self.members.push(Member::new(format!("{}/{name}", when.directory()), about, bytes));
            }
        }
    }

    pub fn add_cgroups(&mut self, when: When, cgroups: &CgroupList) {
        let text = cgroups_text(cgroups);
        self.members.push(Member::new(format!("{}/cgroups", when.directory()), ABOUT_CGROUPS, text));
    }

    /// What does not change. Files with names are redacted, or left out where names cannot be recognised.
    pub fn read_facts(&mut self, redactor: Option<&Redactor>) {
        self.members.push(Member::new("host/uname", "as uname -a prints it", uname(redactor)));
        self.fact("host/os-release", "etc/os-release", "the distribution", |bytes| bytes);
        let mounts = |bytes: Vec<u8>| match redactor {
            Some(redactor) => redacted_mounts(&bytes, redactor),
            None => bytes,
        };
        self.fact("host/mounts", "proc/self/mounts", "mounted filesystems", mounts);
        match redactor {
            None => self.fact("host/cmdline", "proc/cmdline", "the kernel's command line", |bytes| bytes),
            Some(_) => self.missing.push(
                "host/cmdline is left out: the kernel's command line may name disks, hosts and keys"
                    .to_owned(),
            ),
        }
    }

    fn fact(&mut self, name: &str, path: &str, about: &'static str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        if let Some(bytes) = self.read(path) {
            self.members.push(Member::new(name, about, change(bytes)));
        }
    }

    /// None if it cannot be read, which is noted once.
    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = File::open(self.root.join(path)).and_then(|file| file.take(MAX).read_to_end(&mut bytes));
        let note = match read {
            Ok(len) if len as u64 == MAX => Some(format!("/{path} is truncated to 8 MiB")),
            Ok(_) => None,
            Err(error) => Some(format!("cannot read /{path}: {}", reason(&error))),
        };
        let is_read = note.as_ref().is_none_or(|_| bytes.len() as u64 == MAX);
        if let Some(note) = note.filter(|note| !self.missing.contains(note)) {
            self.missing.push(note);
        }
        is_read.then_some(bytes)
    }
}

/// Without the number that Rust adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

fn uname(redactor: Option<&Redactor>) -> String {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let host = text(uname.nodename());
    let host = redactor.map_or_else(|| host.clone(), |redactor| redactor.host(&host));
    let [system, release, version, machine] =
        [uname.sysname(), uname.release(), uname.version(), uname.machine()].map(text);
    format!("{system} {host} {release} {version} {machine}\n")
}

/// Sources, places and types. Options with a value may hold anything: paths of overlays, names of servers and users.
fn redacted_mounts(bytes: &[u8], redactor: &Redactor) -> Vec<u8> {
    let mut out = Vec::new();
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let mut words = line.split(|&byte| byte == b' ');
        let [source, at, kind, options] = [(); 4].map(|()| words.next().unwrap_or_default());
        let source = if source == kind { source.to_vec() } else { redactor.text(source) };
        let plain = options.split(|&byte| byte == b',').filter(|option| !option.contains(&b'='));
        let options = plain.collect::<Vec<_>>().join(&b","[..]);
        out.extend([&source[..], &redactor.text(at), kind, &options].join(&b" "[..]));
        out.push(b'\n');
    }
    out
}

fn cgroups_text(cgroups: &CgroupList) -> String {
    let mut list: Vec<_> = cgroups.list.iter().collect();
    list.sort_by(|(a, one), (b, other)| other.memory.cmp(&one.memory).then_with(|| a.cmp(b)));
    let mut text = String::from("memory slab path\n");
    for (path, cgroup) in list.into_iter().take(MAX_CGROUPS) {
        let slab = cgroup.slab.map_or_else(|| "-".to_owned(), |slab| slab.to_string());
        text += &format!("{} {slab} /{}\n", cgroup.memory, escape::terminal(path));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs};

    use super::*;
    use crate::procfs::cgroup::{CgroupMemory, Version};

    #[test]
    fn what_cannot_be_read_is_said_once() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/pressure")).unwrap();
        fs::write(root.path().join("proc/slabinfo"), "slabinfo - version: 2.1\n").unwrap();
        let mut files = HostFiles::at(root.path());
        files.read_figures(When::Before);
        files.read_figures(When::After);
        let names: Vec<_> = files.members.iter().map(|member| &member.name[..]).collect();
        assert_eq!(names, ["host/before/slabinfo", "host/after/slabinfo"]);
        assert_eq!(files.missing.len(), FIGURES.len() - 1);
        assert_eq!(files.missing[0], "cannot read /proc/meminfo: No such file or directory");
    }

    #[test]
    fn a_file_without_end_is_cut() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", root.path().join("proc/slabinfo")).unwrap();
        let mut files = HostFiles::at(root.path());
        assert_eq!(files.read("proc/slabinfo").map(|bytes| bytes.len() as u64), Some(MAX));
        assert_eq!(files.missing, ["/proc/slabinfo is truncated to 8 MiB"]);
    }

    #[test]
    fn mounts_keep_their_form() {
        let mounts =
            b"proc /proc proc rw,nosuid 0 0\nserver:/payroll /srv/payroll nfs4 rw,addr=10.0.0.1 0 0\nodd\n";
        let text = String::from_utf8(redacted_mounts(mounts, &Redactor::default())).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "proc /proc proc rw,nosuid");
        assert!(lines[1].ends_with(" nfs4 rw") && lines[1].contains(" /srv/"), "{text}");
        assert!(!text.contains("payroll") && !text.contains("10.0.0.1") && !text.contains("odd"), "{text}");
    }

    #[test]
    fn the_biggest_cgroups_come_first() {
        let cgroup = |memory, slab| CgroupMemory { memory, slab, limit: None };
        let list = HashMap::from([
            (b"system.slice/a".to_vec(), cgroup(5, Some(2))),
            (b"user.slice\n".to_vec(), cgroup(9, None)),
        ]);
        let cgroups = CgroupList { version: Version::V2, list, left_out: 0 };
        assert_eq!(cgroups_text(&cgroups), "memory slab path\n9 - /user.slice\\n\n5 2 /system.slice/a\n");
    }
}
