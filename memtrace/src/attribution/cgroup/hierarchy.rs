//! The hierarchy in which memory is charged: the unified one (version 2), or the memory controller's own (version 1).

use std::{
    fs::{self, File},
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use crate::{kernel::handle, stream::event::CgroupId, text::escape};

const MOUNTS: &str = "/proc/self/mountinfo";

#[derive(Debug, thiserror::Error)]
pub enum HierarchyError {
    #[error("cannot read {MOUNTS}: {0}")]
    Mounts(#[source] io::Error),
    #[error("no cgroup hierarchy is mounted")]
    NotMounted,
    #[error("cannot open {}: {source}", escape::path(path))]
    Open { path: PathBuf, source: io::Error },
}

/// Where cgroups are mounted.
#[derive(Debug)]
pub struct Hierarchy {
    mount: PathBuf,
    /// Of the hierarchy, what is mounted there: `/` unless in a container.
    root: Vec<u8>,
    directory: File,
    /// It is the memory controller's own.
    pub is_of_memory: bool,
}

/// A line of `mountinfo` that is of interest.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: Vec<u8>,
    path: PathBuf,
    is_of_memory: bool,
}

impl Hierarchy {
    pub fn find() -> Result<Self, HierarchyError> {
        let mounts = fs::read(MOUNTS).map_err(HierarchyError::Mounts)?;
        let Mount { root, path, is_of_memory } = choose(&mounts).ok_or(HierarchyError::NotMounted)?;
        let directory =
            File::open(&path).map_err(|source| HierarchyError::Open { path: path.clone(), source })?;
        Ok(Self { mount: path, root, directory, is_of_memory })
    }

    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// The path of the cgroup with this number, from the hierarchy's root; None where it is gone or out of reach.
    pub fn path(&self, id: CgroupId) -> Option<Vec<u8>> {
        let directory = handle::directory(&self.directory, id).ok()?;
        below(&self.root, &self.mount, &directory)
    }
}

/// A directory below the mount, as a path in the hierarchy.
fn below(root: &[u8], mount: &Path, directory: &Path) -> Option<Vec<u8>> {
    let rest = directory.strip_prefix(mount).ok()?.as_os_str().as_bytes();
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let path = if rest.is_empty() { root.to_vec() } else { [root, b"/", rest].concat() };
    Some(if path.is_empty() { b"/".to_vec() } else { path })
}

/// The memory controller's own hierarchy if there is one, since memory is charged there; else the unified one.
fn choose(mounts: &[u8]) -> Option<Mount> {
    let mut unified = None;
    for line in mounts.split(|&byte| byte == b'\n') {
        match mount(line) {
            Some(mount) if mount.is_of_memory => return Some(mount),
            Some(mount) => {
                unified.get_or_insert(mount);
            }
            None => {}
        }
    }
    unified
}

/// See the kernel's Documentation/filesystems/proc.rst: after the sixth field there are any number of others, up to a dash.
fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let dash = fields.iter().skip(6).position(|&field| field == b"-")? + 6;
    let kind = *fields.get(dash + 1)?;
    let options = *fields.get(dash + 3)?;
    let is_of_memory =
        kind == b"cgroup" && options.split(|&byte| byte == b',').any(|option| option == b"memory");
    if kind != b"cgroup2" && !is_of_memory {
        return None;
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(unescaped(fields[4])));
    Some(Mount { root: unescaped(fields[3]), path, is_of_memory })
}

/// Blanks, tabs, newlines and backslashes are written as `\040` there.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, others)) = rest.split_first() {
        let digits = others
            .first_chunk::<3>()
            .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        match digits {
            Some(digits) if first == b'\\' => {
                let value = digits.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                bytes.push(value as u8);
                rest = &others[3..];
            }
            _ => {
                bytes.push(first);
                rest = others;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
    const CPU: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n";
    const MEMORY: &str = "35 31 0:32 /docker/x /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,hugetlb,memory\n";

    #[test]
    fn memory_is_charged_in_its_own_hierarchy_if_it_has_one() {
        let of = |lines: &[&str]| choose(lines.concat().as_bytes());
        let unified =
            Mount { root: b"/".to_vec(), path: "/sys/fs/cgroup/unified".into(), is_of_memory: false };
        let memory =
            Mount { root: b"/docker/x".to_vec(), path: "/sys/fs/cgroup/a b".into(), is_of_memory: true };
        assert_eq!(of(&[UNIFIED, CPU, MEMORY]), Some(memory));
        assert_eq!(of(&[CPU, UNIFIED]), Some(unified));
        assert_eq!(of(&[CPU]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_path_is_from_the_hierarchy_s_root() {
        let of = |root: &str, directory: &str| {
            let path = below(root.as_bytes(), Path::new("/cg"), Path::new(directory))?;
            Some(String::from_utf8(path).unwrap())
        };
        assert_eq!(of("/", "/cg").as_deref(), Some("/"));
        assert_eq!(of("/", "/cg/a/b").as_deref(), Some("/a/b"));
        assert_eq!(of("/docker/x", "/cg").as_deref(), Some("/docker/x"));
        assert_eq!(of("/docker/x", "/cg/y").as_deref(), Some("/docker/x/y"));
        assert_eq!(of("/", "/elsewhere"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'\\'), Just(b'-')], 0..200)) {
            let _ = choose(&bytes);
        }
    }

    #[test]
    fn a_cgroup_is_found_by_its_number() {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(hierarchy) = Hierarchy::find() else { return };
        let id = fs::metadata(&hierarchy.mount).unwrap().ino();
        // Not without the privilege.
        if let Ok(found) = handle::directory(&hierarchy.directory, id) {
            assert_eq!(found, hierarchy.mount);
        }
    }
}
