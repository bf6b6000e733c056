//! The memory of cgroups, of version 2 or 1. A hierarchy may have 100,000 of them: a cgroup's memory is at most that of the
//! one it is in, so the biggest are looked into first, up to a number.

use std::{
    collections::{BinaryHeap, HashMap},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::mountinfo::Mount;

/// Cgroups that are read, at most. Reading one takes some 10 us.
pub const MAX_CGROUPS: usize = 4000;

/// Of these, the biggest whose slab memory is read too: for that the kernel adds up the counters of all CPUs.
const MAX_WITH_SLAB: usize = 64;

/// Nobody limits a cgroup to less and means it; small ones are not asked for their limit.
const MIN_LIMITED: u64 = 4 << 20;

/// Of its limit, a cgroup that uses less is far from it.
const NEAR: f64 = 0.8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    #[default]
    None,
    V1,
    V2,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupList {
    pub version: Version,
    /// By their paths below the hierarchy's root.
    pub list: HashMap<Vec<u8>, CgroupMemory>,
    /// Those that were seen and not read; there may be more below them.
    pub left_out: usize,
}

/// In bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupMemory {
    /// Without the cgroups in it that were read.
    pub memory: u64,
    /// None where it was not read, and where the cgroup has others in it. With version 1, all kernel memory.
    pub slab: Option<u64>,
    /// None where there is none, or it is far.
    pub limit: Option<Limit>,
}

/// The limit that a cgroup comes near to, with the cgroups in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// memory.max or memory.high, whichever is lower.
    pub bytes: u64,
    pub usage: u64,
    /// What of it the kernel cannot take back at once: all but file pages and reclaimable slab.
    pub held: u64,
}

/// The hierarchy in which memory is charged: the memory controller's own (version 1) if there is one, else the unified one
/// (version 2).
pub fn hierarchy_of_memory(mounts: &[Mount]) -> Option<(&Mount, Version)> {
    let own = mounts.iter().find(|mount| mount.kind == b"cgroup" && mount.has_option("memory"));
    let unified = || mounts.iter().find(|mount| mount.kind == b"cgroup2");
    own.map(|mount| (mount, Version::V1)).or_else(|| unified().map(|mount| (mount, Version::V2)))
}

struct Hierarchy {
    root: PathBuf,
    version: Version,
}

impl Hierarchy {
    fn find(mounts: &[Mount]) -> Option<Self> {
        hierarchy_of_memory(mounts).map(|(mount, version)| Self { root: mount.at.clone(), version })
    }

    fn memory(&self, directory: &Path) -> Option<u64> {
        let file = if self.version == Version::V1 { "memory.usage_in_bytes" } else { "memory.current" };
        number(&fs::read(directory.join(file)).ok()?)
    }

    fn slab(&self, directory: &Path) -> Option<u64> {
        match self.version {
            Version::V2 => slab(&fs::read(directory.join("memory.stat")).ok()?),
            _ => number(&fs::read(directory.join("memory.kmem.usage_in_bytes")).ok()?),
        }
    }

    /// Of a cgroup that uses so much.
    fn limit(&self, directory: &Path, usage: u64) -> Option<Limit> {
        // `max` is none; version 1 says so by a number that no host has.
        let files: &[&str] = if self.version == Version::V1 {
            &["memory.limit_in_bytes"]
        } else {
            &["memory.max", "memory.high"]
        };
        let limits = files.iter().filter_map(|file| number(&fs::read(directory.join(file)).ok()?));
        let bytes =
            limits.min().filter(|&bytes| usage >= MIN_LIMITED && usage as f64 >= bytes as f64 * NEAR)?;
        let stat = fs::read(directory.join("memory.stat")).unwrap_or_default();
        Some(Limit { bytes, usage, held: usage.saturating_sub(given_back(&stat)) })
    }
}

pub fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

/// The line `slab 123` of memory.stat: reclaimable and not.
pub fn slab(text: &[u8]) -> Option<u64> {
    of_stat(text, "slab")
}

fn of_stat(text: &[u8], key: &str) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?.trim().parse().ok()
}

/// What the kernel can take back at once, by memory.stat; of version 1 the lines with `total_`, which have the cgroups in it.
fn given_back(stat: &[u8]) -> u64 {
    let of = |key: &str| of_stat(stat, &format!("total_{key}")).or_else(|| of_stat(stat, key)).unwrap_or(0);
    ["active_file", "inactive_file", "slab_reclaimable"].into_iter().map(of).fold(0, u64::saturating_add)
}

pub fn read(mounts: &[Mount]) -> CgroupList {
    Hierarchy::find(mounts).map(|hierarchy| walk(&hierarchy, MAX_CGROUPS)).unwrap_or_default()
}

/// The root has no memory of its own in version 2: it is looked into first.
fn walk(hierarchy: &Hierarchy, most: usize) -> CgroupList {
    let mut cgroups = CgroupList { version: hierarchy.version, ..CgroupList::default() };
    let mut to_look_into = BinaryHeap::from([(u64::MAX, hierarchy.root.clone())]);
    let (mut leaves, mut read) = (Vec::new(), 0);
    while let Some((memory, directory)) = to_look_into.pop() {
        let (children, mut in_children) = (children(&directory), 0_u64);
        if children.is_empty() {
            leaves.push((memory, directory.clone()));
        }
        for child in children {
            if read == most {
                cgroups.left_out += 1;
            } else if let Some(memory) = hierarchy.memory(&child) {
                read += 1;
                in_children = in_children.saturating_add(memory);
                to_look_into.push((memory, child));
            }
        }
        if directory != hierarchy.root {
            let limit = hierarchy.limit(&directory, memory);
            let memory = memory.saturating_sub(in_children);
            cgroups.list.insert(name(hierarchy, &directory), CgroupMemory { memory, slab: None, limit });
        }
    }
    leaves.sort_unstable();
    for (_, leaf) in leaves.iter().rev().take(MAX_WITH_SLAB) {
        if let Some(cgroup) = cgroups.list.get_mut(&name(hierarchy, leaf)) {
            cgroup.slab = hierarchy.slab(leaf);
        }
    }
    cgroups
}

/// Cgroups that are removed meanwhile are left out.
fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

fn name(hierarchy: &Hierarchy, directory: &Path) -> Vec<u8> {
    directory.strip_prefix(&hierarchy.root).unwrap_or(directory).as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::procfs::mountinfo;

    /// A hierarchy of version 2 with these cgroups.
    fn hierarchy(cgroups: &[(&str, u64)]) -> (tempfile::TempDir, Hierarchy) {
        let root = tempfile::tempdir().unwrap();
        for (path, memory) in cgroups {
            let directory = root.path().join(path);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("memory.current"), format!("{memory}\n")).unwrap();
            fs::write(directory.join("memory.stat"), format!("anon 1\nslab {}\n", memory / 2)).unwrap();
        }
        let hierarchy = Hierarchy { root: root.path().to_owned(), version: Version::V2 };
        (root, hierarchy)
    }

    const SLICES: [(&str, u64); 5] =
        [("system", 100), ("system/a", 60), ("system/b", 10), ("user", 50), ("user/1", 50)];

    #[test]
    fn a_cgroup_counts_without_those_in_it() {
        let (_root, hierarchy) = hierarchy(&SLICES);
        let found = walk(&hierarchy, MAX_CGROUPS);
        let memory = |path: &str| found.list[path.as_bytes()].memory;
        assert_eq!(["system", "system/a", "system/b", "user", "user/1"].map(memory), [30, 60, 10, 0, 50]);
        let slab = |path: &str| found.list[path.as_bytes()].slab;
        assert_eq!((slab("system"), slab("system/a")), (None, Some(30)));
        assert_eq!(found.left_out, 0);
    }

    #[test]
    fn a_limit_counts_where_it_is_near_and_file_pages_are_given_back() {
        let (_root, hierarchy) = hierarchy(&[("a", 95 << 20), ("b", 50 << 20), ("c", 95 << 20), ("d", 100)]);
        for (cgroup, file, limit) in [
            ("a", "memory.max", "104857600"),
            ("b", "memory.max", "104857600"),
            ("c", "memory.max", "max"),
            ("d", "memory.max", "100"),
        ] {
            fs::write(hierarchy.root.join(cgroup).join(file), limit).unwrap();
        }
        let stat = format!("anon 7\ninactive_file {}\nslab_reclaimable {}\nslab 9\n", 30 << 20, 5 << 20);
        fs::write(hierarchy.root.join("a/memory.stat"), stat).unwrap();
        let limit = |cgroup: &str| walk(&hierarchy, MAX_CGROUPS).list[cgroup.as_bytes()].limit;
        assert_eq!(limit("a"), Some(Limit { bytes: 100 << 20, usage: 95 << 20, held: 60 << 20 }));
        assert_eq!((limit("b"), limit("c"), limit("d")), (None, None, None));
        // The lower of both counts; version 1 has one, and adds up the cgroups in it elsewhere.
        fs::write(hierarchy.root.join("b/memory.high"), "60000000").unwrap();
        assert_eq!(limit("b").map(|limit| limit.bytes), Some(60_000_000));
        assert_eq!(
            given_back(b"inactive_file 1\nactive_file 2\ntotal_inactive_file 30\ntotal_active_file 40\n"),
            70
        );
    }

    #[test]
    fn with_too_many_the_small_ones_are_left_out_and_counted() {
        let (_root, hierarchy) = hierarchy(&SLICES);
        let found = walk(&hierarchy, 3);
        assert!(found.list.len() <= 3);
        assert!(found.list.contains_key(&b"system"[..]));
        assert_eq!(found.list.len() + found.left_out, SLICES.len());
    }

    #[test]
    fn the_hierarchy_with_the_memory_controller() {
        let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let cpu = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
        let memory = "35 31 0:32 /docker/x /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,hugetlb,memory\n";
        let find = |lines: &[&str]| {
            let mounts = mountinfo::parse(lines.concat().as_bytes());
            hierarchy_of_memory(&mounts).map(|(mount, version)| (version, mount.at.clone()))
        };
        assert_eq!(find(&[unified, cpu, memory]), Some((Version::V1, "/sys/fs/cgroup/a b".into())));
        assert_eq!(find(&[cpu, unified]), Some((Version::V2, "/sys/fs/cgroup/unified".into())));
        assert_eq!((find(&[cpu]), find(&[])), (None, None));
        assert_eq!(find(&["1 2 0:1 / /tmp rw - tmpfs tmpfs rw,memory\n"]), None);
        assert_eq!(read(&[]), CgroupList::default());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = number(&bytes);
            let _ = slab(&bytes);
            let _ = given_back(&bytes);
        }
    }
}
