//! The hierarchy in which memory is charged: the unified one (version 2), or the memory controller's own (version 1).

use std::{
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::{
    kernel::handle,
    procfs::{
        cgroup::{self, Version},
        mountinfo,
    },
    stream::event::CgroupId,
    text::escape,
};

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

impl Hierarchy {
    pub fn find() -> Result<Self, HierarchyError> {
        let mounts = mountinfo::parse(&fs::read(MOUNTS).map_err(HierarchyError::Mounts)?);
        let (mount, version) = cgroup::hierarchy_of_memory(&mounts).ok_or(HierarchyError::NotMounted)?;
        let (path, root) = (mount.at.clone(), mount.root.clone());
        let directory =
            File::open(&path).map_err(|source| HierarchyError::Open { path: path.clone(), source })?;
        Ok(Self { mount: path, root, directory, is_of_memory: version == Version::V1 })
    }

    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Why [`Self::path`] finds none, if so.
    pub fn why_nameless(&self) -> Option<&'static str> {
        let own = self.directory.metadata().ok()?.ino();
        let error = handle::directory(&self.directory, own).err()?;
        (error.kind() == io::ErrorKind::PermissionDenied).then_some("reading them needs CAP_DAC_READ_SEARCH")
    }

    /// All cgroups that there are, each with its path from the hierarchy's root, parents before what is in them.
    pub fn all(&self) -> Vec<(CgroupId, Vec<u8>)> {
        let mut all = Vec::new();
        walk(&self.mount, &mut |directory, id| {
            all.extend(below(&self.root, &self.mount, directory).map(|path| (id, path)));
        });
        all
    }

    /// The path of the cgroup with this number, from the hierarchy's root; None where it is gone or out of reach.
    pub fn path(&self, id: CgroupId) -> Option<Vec<u8>> {
        let directory = handle::directory(&self.directory, id).ok()?;
        below(&self.root, &self.mount, &directory)
    }
}

/// Those that cannot be read, or are removed meanwhile, are left out.
fn walk(directory: &Path, visit: &mut dyn FnMut(&Path, CgroupId)) {
    let Ok(metadata) = fs::metadata(directory) else { return };
    visit(directory, metadata.ino());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let children = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    children.for_each(|child| walk(&child.path(), visit));
}

/// A directory below the mount, as a path in the hierarchy.
fn below(root: &[u8], mount: &Path, directory: &Path) -> Option<Vec<u8>> {
    let rest = directory.strip_prefix(mount).ok()?.as_os_str().as_bytes();
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let path = if rest.is_empty() { root.to_vec() } else { [root, b"/", rest].concat() };
    Some(if path.is_empty() { b"/".to_vec() } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn all_cgroups_are_found_with_those_in_them() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/cgroup.procs"), "").unwrap();
        let directory = File::open(root.path()).unwrap();
        let hierarchy =
            Hierarchy { mount: root.path().to_owned(), root: b"/".to_vec(), directory, is_of_memory: false };
        let all = hierarchy.all();
        let paths: Vec<_> = all.iter().map(|(_, path)| String::from_utf8_lossy(path)).collect();
        assert_eq!(paths, ["/", "/a", "/a/b"]);
        assert_eq!(all[2].0, fs::metadata(root.path().join("a/b")).unwrap().ino());
    }

    #[test]
    fn a_cgroup_is_found_by_its_number() {
        let Ok(hierarchy) = Hierarchy::find() else { return };
        let id = fs::metadata(&hierarchy.mount).unwrap().ino();
        match handle::directory(&hierarchy.directory, id) {
            Ok(found) => {
                assert_eq!((found, hierarchy.why_nameless()), (hierarchy.mount.clone(), None));
                assert!(hierarchy.path(id).is_some());
            }
            Err(_) => assert!(hierarchy.why_nameless().is_some()),
        }
    }
}
