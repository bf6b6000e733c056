//! Cgroups that tests make.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use memtrace::{attribution::cgroup::Hierarchy, stream::event::CgroupId};
use rustix::mount::{MountFlags, mount};

use crate::host;

/// A cgroup of ours, removed when dropped.
pub struct Cgroup(PathBuf);

impl Cgroup {
    pub fn new(name: &str) -> Self {
        let path = mount_point().join(name);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// One that is charged for its slab objects.
    pub fn charged(name: &str) -> Self {
        let control = mount_point().join("cgroup.subtree_control");
        // Version 1 has a hierarchy for it, without this file.
        if control.exists() {
            fs::write(control, "+memory").expect("root may have memory charged");
        }
        Self::new(name)
    }

    /// One in it, which may have programs beside it.
    pub fn beside(&self, name: &str) -> Self {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// One in it, charged for its own.
    pub fn child(&self, name: &str) -> Self {
        let control = self.0.join("cgroup.subtree_control");
        if control.exists() {
            fs::write(control, "+memory").expect("root may have memory charged");
        }
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// Its path in the hierarchy.
    pub fn name(&self) -> String {
        let path = self.0.strip_prefix(mount_point()).expect("cgroups are below it");
        format!("/{}", path.display())
    }

    /// Version 2 has this file in each.
    pub fn is_of_version_1(&self) -> bool {
        !self.0.join("cgroup.controllers").exists()
    }

    pub fn id(&self) -> CgroupId {
        fs::metadata(&self.0).expect("it is there").ino()
    }

    pub fn add(&self, pid: u32) {
        enter(&self.0, pid);
    }

    /// Gives a process to the cgroup that this one is in.
    pub fn leave(&self, pid: u32) {
        enter(self.0.parent().expect("it is in another"), pid);
    }

    pub fn remove(&self) {
        fs::remove_dir(&self.0).expect("nobody is in it");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn enter(cgroup: &Path, pid: u32) {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string()).expect("root may move processes");
}

/// Where cgroups are. A VM has them nowhere until they are mounted.
fn mount_point() -> PathBuf {
    if let Ok(hierarchy) = Hierarchy::find() {
        return hierarchy.mount().to_owned();
    }
    let path = Path::new("/sys/fs/cgroup");
    assert!(host::is_our_own(), "no cgroups are mounted");
    mount("none", path, "cgroup2", MountFlags::empty(), None).expect("the kernel has cgroups");
    path.to_owned()
}
