//! memory.events: how often a cgroup came to its limit, and what the kernel did then. Version 2 only, and each counts for those in it
//! too; what the OOM killer does to all of the host is in /proc/vmstat.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{
    cgroup::{Version, hierarchy_of_memory},
    mountinfo::Mount,
};

/// Cgroups that are read, at most: services and slices, not what is in them.
const MAX_CGROUPS: usize = 256;
const MAX_DEPTH: usize = 2;

/// A line of memory.events.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MemoryEvent {
    /// It went over memory.high, and was slowed down.
    High,
    /// It was about to go over memory.max.
    Max,
    /// It was at its limit, and nothing could be reclaimed.
    Oom,
    /// A process in it was killed for that, or because the host had no memory left.
    OomKill,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryEvents {
    /// Whether there are cgroups that count.
    pub has_cgroups: bool,
    /// By the cgroup's path below the hierarchy's root; empty is the host.
    counts: BTreeMap<Vec<u8>, Counts>,
}

type Counts = BTreeMap<MemoryEvent, u64>;

impl MemoryEvents {
    pub(super) fn read(mounts: &[Mount], oom_kills_of_host: u64) -> Self {
        let root = hierarchy_of_memory(mounts).filter(|(_, version)| *version == Version::V2);
        let mut events = Self::default();
        events.counts.insert(Vec::new(), Counts::from([(MemoryEvent::OomKill, oom_kills_of_host)]));
        if let Some((mount, _)) = root {
            events.has_cgroups = true;
            events.counts.extend(cgroups(&mount.at));
        }
        events
    }

    /// The host or a cgroup (by its path), and how often it was counted there.
    pub fn counts(&self, event: MemoryEvent) -> impl Iterator<Item = (&[u8], u64)> {
        self.counts.iter().filter_map(move |(path, counts)| Some((&path[..], *counts.get(&event)?)))
    }
}

fn parse(text: &[u8]) -> Counts {
    let text = String::from_utf8_lossy(text);
    let line = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.parse().ok()?, value.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Those near the root first. One that is removed meanwhile is left out.
fn cgroups(root: &Path) -> Vec<(Vec<u8>, Counts)> {
    let (mut found, mut level) = (Vec::new(), vec![root.to_owned()]);
    for _ in 0..MAX_DEPTH {
        level = level.iter().flat_map(|directory| children(directory)).collect();
        for directory in level.iter().take(MAX_CGROUPS - found.len()) {
            if let Ok(text) = fs::read(directory.join("memory.events")) {
                let path = directory.strip_prefix(root).unwrap_or(directory);
                found.push((path.as_os_str().as_bytes().to_vec(), parse(&text)));
            }
        }
    }
    found
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).take(MAX_CGROUPS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::procfs::mountinfo;

    const TEXT: &str = "low 0\nhigh 3\nmax 14\noom 2\noom_kill 1\noom_group_kill 0\nsomething new\n";

    fn events(kind: &str, cgroups: &[&str]) -> MemoryEvents {
        let root = tempfile::tempdir().unwrap();
        for path in cgroups {
            fs::create_dir_all(root.path().join(path)).unwrap();
            fs::write(root.path().join(path).join("memory.events"), TEXT).unwrap();
        }
        let mount = format!("35 31 0:32 / {} rw - {kind} {kind} rw,memory\n", root.path().display());
        MemoryEvents::read(&mountinfo::parse(mount.as_bytes()), 7)
    }

    fn paths(events: &MemoryEvents, event: MemoryEvent) -> Vec<(String, u64)> {
        events
            .counts(event)
            .map(|(path, count)| (String::from_utf8_lossy(path).into_owned(), count))
            .collect()
    }

    #[test]
    fn services_and_slices_are_read_and_the_host_counts_its_own_kills() {
        let events = events("cgroup2", &["system.slice/cron.service", "system.slice/a/b", "user.slice"]);
        assert!(events.has_cgroups);
        let of = |path: &str, count| (path.to_owned(), count);
        assert_eq!(
            paths(&events, MemoryEvent::OomKill),
            [of("", 7), of("system.slice/cron.service", 1), of("user.slice", 1)]
        );
        assert_eq!(
            paths(&events, MemoryEvent::Max),
            [of("system.slice/cron.service", 14), of("user.slice", 14)]
        );
    }

    #[test]
    fn without_version_2_there_is_the_host() {
        let events = events("cgroup", &["a"]);
        assert!(!events.has_cgroups);
        assert_eq!(paths(&events, MemoryEvent::OomKill), [(String::new(), 7)]);
        assert_eq!(paths(&events, MemoryEvent::Max), []);
    }

    #[test]
    fn their_number_is_bounded() {
        let names: Vec<String> =
            (0..2 * MAX_CGROUPS).map(|number| format!("a{}/b{number}", number % 9)).collect();
        let found = events("cgroup2", &names.iter().map(|name| &**name).collect::<Vec<_>>());
        assert!(found.counts.len() <= MAX_CGROUPS + 1);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"oom_kill ", &*bytes].concat());
        }
    }
}
