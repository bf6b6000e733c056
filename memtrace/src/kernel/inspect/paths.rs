//! Paths of directories, as our mount namespace sees them.
//!
//! A dentry leads to its parents up to the root of its filesystem, and the filesystem's superblock lists where it is mounted.
//! A mount may also be of a directory inside (a bind mount), so on the way down from the root each
//! directory may turn out to have a better path than the one through its parent: one in our namespace rather than in another one,
//! and behind a shorter mount point.

use std::{cmp::Reverse, collections::HashMap, ops::Range, rc::Rc};

use super::{
    dentry::{Dentry, DentryFields},
    field::{Field, span},
    part::Part,
};
use crate::{
    kernel::{memory::Readable, types::KernelTypes},
    stream::event::Address,
};

/// Parents that are followed: paths are of 4,096 bytes, so a directory may be 2,000 deep. Beyond, a path begins with `…`.
const MAX_PARENTS: usize = 64;
/// A mount point may itself be in a mount, and so on.
const MAX_MOUNT_LEVELS: usize = 32;
/// Mounts of one filesystem that are considered.
const MAX_MOUNTS: usize = 1_000;
/// Of these, mounts of one directory, in our namespace and in others: a host of many containers has very many.
const MAX_AT_ONE: usize = 64;
/// Bytes of a path; one that is longer loses its beginning.
const MAX_PATH: usize = 1_024;
/// Errors and other values that are no address of the kernel's.
const NO_ADDRESS: std::ops::RangeInclusive<Address> = (-4095_i64 as u64)..=u64::MAX;

const ELIDED: &str = "…";

/// What paths are made from.
#[derive(Clone, Debug, Default)]
pub struct PathFields {
    pub dentry: DentryFields,
    pub superblock: SuperblockFields,
    pub mount: MountFields,
    /// `task_struct.nsproxy`, `nsproxy.mnt_ns`, and `mnt_namespace.ns.inum`.
    pub task_nsproxy: Field,
    pub nsproxy_mounts: Field,
    pub namespace_number: Field,
}

/// `struct super_block`.
#[derive(Clone, Debug, Default)]
pub struct SuperblockFields {
    pub file_system_type: Field,
    pub type_name: Field,
    /// Name of its device, or else of its type.
    pub id: Field,
    pub mounts: Field,
}

/// `struct mount`.
#[derive(Clone, Debug, Default)]
pub struct MountFields {
    pub span: Range<u32>,
    pub parent: Field,
    pub mountpoint: Field,
    pub root: Field,
    pub namespace: Field,
    /// Links the mounts of a superblock: a plain pointer, 0 at the end.
    pub next: Field,
    /// The same before: a `list_head` in a circle with `super_block.s_mounts`.
    pub list: Field,
}

impl PathFields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |structure, path| types.offset(structure, path).ok();
        Self {
            dentry: DentryFields::find(types),
            superblock: SuperblockFields {
                file_system_type: field("super_block", "s_type"),
                type_name: field("file_system_type", "name"),
                id: field("super_block", "s_id"),
                mounts: field("super_block", "s_mounts"),
            },
            mount: MountFields::find(types),
            task_nsproxy: field("task_struct", "nsproxy"),
            nsproxy_mounts: field("nsproxy", "mnt_ns"),
            namespace_number: field("mnt_namespace", "ns.inum"),
        }
    }
}

impl MountFields {
    fn find(types: &KernelTypes) -> Self {
        let field = |path| types.offset("mount", path).ok();
        let [parent, mountpoint, root] = ["mnt_parent", "mnt_mountpoint", "mnt.mnt_root"].map(field);
        let [namespace, next, list] = ["mnt_ns", "mnt_next_for_sb", "mnt_instance"].map(field);
        let span = span(&[parent, mountpoint, root, namespace, next, list]);
        Self { span, parent, mountpoint, root, namespace, next, list }
    }
}

/// A directory.
#[derive(Debug)]
pub struct Directory {
    path: Vec<u8>,
    /// Steps to the root of its filesystem.
    depth: usize,
    reach: Reach,
    pub filesystem: Rc<[u8]>,
}

/// Where a path holds; better ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nowhere: its filesystem is the kernel's own, or it was unmounted.
    Unmounted,
    OtherNamespace(Reverse<usize>),
    /// With the length of the mount point.
    Ours(Reverse<usize>),
}

/// What is known of a filesystem.
struct Superblock {
    filesystem: Rc<[u8]>,
    /// By the directory that is mounted.
    mounts: HashMap<Address, Vec<Mount>>,
}

/// A filesystem, or a directory of one, mounted somewhere.
#[derive(Clone, Debug)]
struct Mount {
    address: Address,
    parent: Address,
    mountpoint: Address,
    root: Address,
    namespace: Address,
}

/// Finds paths for one report: a directory that holds many of the objects is walked up once.
pub struct Paths<'a> {
    memory: &'a dyn Readable,
    fields: &'a PathFields,
    /// Our mount namespace.
    ours: Option<Address>,
    directories: HashMap<Address, Rc<Directory>>,
    superblocks: HashMap<Address, Rc<Superblock>>,
}

impl Directory {
    /// The path, or its end if it is too long.
    pub fn path(&self) -> Vec<u8> {
        let Some(excess) = self.path.len().checked_sub(MAX_PATH) else { return self.path.clone() };
        let end = &self.path[excess..];
        let end = end.iter().position(|&byte| byte == b'/').map_or(end, |slash| &end[slash..]);
        [ELIDED.as_bytes(), end].concat()
    }

    pub fn is_root(&self) -> bool {
        self.depth == 0
    }

    pub fn is_mounted(&self) -> bool {
        self.reach != Reach::Unmounted
    }
}

impl<'a> Paths<'a> {
    /// `task` is ours: it leads to our mount namespace.
    pub fn new(memory: &'a dyn Readable, fields: &'a PathFields, task: Option<Address>) -> Self {
        let ours = task.and_then(|task| {
            let namespaces = memory.u64(task.checked_add(fields.task_nsproxy?.into())?).ok()?;
            memory.u64(namespaces.checked_add(fields.nsproxy_mounts?.into())?).ok()
        });
        Self { memory, fields, ours, directories: HashMap::new(), superblocks: HashMap::new() }
    }

    pub fn dentry(&self, address: Address) -> Option<Dentry> {
        Dentry::read(self.memory, &self.fields.dentry, address)
    }

    /// The directory at a dentry; None where its parents cannot be read.
    pub fn directory(&mut self, address: Address) -> Option<Rc<Directory>> {
        let mut below = Vec::new();
        let mut at = address;
        let mut directory = loop {
            if let Some(known) = self.directories.get(&at)
                && (below.is_empty() || known.depth + below.len() <= MAX_PARENTS)
            {
                break Rc::clone(known);
            }
            let dentry = self.dentry(at)?;
            if dentry.is_root() {
                break self.keep(at, |paths| paths.root(&dentry));
            }
            at = dentry.parent;
            below.push(dentry);
            if below.len() > MAX_PARENTS {
                return Some(self.keep(address, |paths| paths.elided(&below)));
            }
        };
        while let Some(dentry) = below.pop() {
            directory = self.keep(dentry.address, |paths| paths.inside(&directory, &dentry));
        }
        Some(directory)
    }

    fn keep(&mut self, address: Address, make: impl FnOnce(&mut Self) -> Directory) -> Rc<Directory> {
        let directory = Rc::new(make(self));
        self.directories.insert(address, Rc::clone(&directory));
        directory
    }

    fn root(&mut self, dentry: &Dentry) -> Directory {
        let filesystem = self.filesystem_of(dentry);
        let (reach, path) = self.mounted(dentry).unwrap_or_else(|| {
            let name: &[u8] = if dentry.name == b"/" { b"/" } else { b"" };
            (Reach::Unmounted, [&filesystem[..], b":", name].concat())
        });
        Directory { path, depth: 0, reach, filesystem }
    }

    fn inside(&mut self, parent: &Directory, dentry: &Dentry) -> Directory {
        let through_parent = || (parent.reach, join(&parent.path, &dentry.name));
        let (reach, path) =
            self.mounted(dentry).filter(|(reach, _)| *reach > parent.reach).unwrap_or_else(through_parent);
        Directory { path, depth: parent.depth + 1, reach, filesystem: Rc::clone(&parent.filesystem) }
    }

    /// A directory too deep to be walked up from.
    fn elided(&mut self, from_below: &[Dentry]) -> Directory {
        let path = from_below[..MAX_PARENTS]
            .iter()
            .rev()
            .fold(ELIDED.as_bytes().to_vec(), |path, dentry| join(&path, &dentry.name));
        let filesystem = from_below.first().map(|dentry| self.filesystem_of(dentry)).unwrap_or_default();
        Directory { path, depth: MAX_PARENTS + 1, reach: Reach::Unmounted, filesystem }
    }

    fn filesystem_of(&mut self, dentry: &Dentry) -> Rc<[u8]> {
        dentry.superblock.map(|superblock| self.filesystem(superblock)).unwrap_or_default()
    }

    /// A filesystem's type; empty where it cannot be read.
    pub fn filesystem(&mut self, superblock: Address) -> Rc<[u8]> {
        Rc::clone(&self.superblock(superblock).filesystem)
    }

    /// The device that a filesystem is on; its type again where it is on none.
    pub fn device(&self, superblock: Address) -> Option<Vec<u8>> {
        self.memory.string(superblock.checked_add(self.fields.superblock.id?.into())?).ok()
    }

    /// The best path of a directory that is mounted itself.
    fn mounted(&mut self, dentry: &Dentry) -> Option<(Reach, Vec<u8>)> {
        let superblock = self.superblock(dentry.superblock?);
        let mounts = superblock.mounts.get(&dentry.address)?;
        let ours = self.ours;
        let in_ours = |is: bool| {
            mounts.iter().filter(move |mount| (ours == Some(mount.namespace)) == is).take(MAX_AT_ONE)
        };
        let here = in_ours(true).filter_map(|mount| {
            let path = self.mount_point(mount, MAX_MOUNT_LEVELS)?;
            Some((Reach::Ours(Reverse(path.len())), path))
        });
        let elsewhere = in_ours(false).filter_map(|mount| {
            let path = self.mount_point(mount, MAX_MOUNT_LEVELS)?;
            let number = self.field_u32(mount.namespace, self.fields.namespace_number)?;
            let marked = [format!("mnt:[{number}]").as_bytes(), &path].concat();
            Some((Reach::OtherNamespace(Reverse(path.len())), marked))
        });
        here.max().or_else(|| elsewhere.max())
    }

    fn superblock(&mut self, address: Address) -> Rc<Superblock> {
        if let Some(known) = self.superblocks.get(&address) {
            return Rc::clone(known);
        }
        let superblock = Rc::new(Superblock {
            filesystem: self.type_name(address).unwrap_or_default().into(),
            mounts: self.mounts(address).unwrap_or_default(),
        });
        self.superblocks.insert(address, Rc::clone(&superblock));
        superblock
    }

    fn type_name(&self, superblock: Address) -> Option<Vec<u8>> {
        let fields = &self.fields.superblock;
        let file_system_type = self.field_u64(superblock, fields.file_system_type)?;
        self.memory.string(self.field_u64(file_system_type, fields.type_name)?).ok()
    }

    fn mounts(&self, superblock: Address) -> Option<HashMap<Address, Vec<Mount>>> {
        let head = superblock.checked_add(self.fields.superblock.mounts?.into())?;
        let mut mounts: HashMap<Address, Vec<Mount>> = HashMap::new();
        let mut link = self.memory.u64(head).ok()?;
        for _ in 0..MAX_MOUNTS {
            if link == 0 || link == head {
                break;
            }
            let within = if self.fields.mount.next.is_some() { 0 } else { self.fields.mount.list? };
            // Memory that was freed meanwhile may hold any number there.
            let Some(address) = link.checked_sub(within.into()) else { break };
            let Some(part) = Part::read(self.memory, address, &self.fields.mount.span) else { break };
            if let Some(mount) = self.mount_of(address, &part)
                && mount.namespace != 0
                && !NO_ADDRESS.contains(&mount.namespace)
            {
                mounts.entry(mount.root).or_default().push(mount);
            }
            let Some(next) = part.u64(self.fields.mount.next.or(self.fields.mount.list)) else { break };
            link = next;
        }
        Some(mounts)
    }

    fn mount_of(&self, address: Address, part: &Part) -> Option<Mount> {
        let fields = &self.fields.mount;
        Some(Mount {
            address,
            parent: part.u64(fields.parent)?,
            mountpoint: part.u64(fields.mountpoint)?,
            root: part.u64(fields.root)?,
            namespace: part.u64(fields.namespace)?,
        })
    }

    /// Where it is mounted, in its namespace.
    fn mount_point(&self, mount: &Mount, levels: usize) -> Option<Vec<u8>> {
        if mount.parent == mount.address {
            return Some(b"/".to_vec());
        }
        let part = Part::read(self.memory, mount.parent, &self.fields.mount.span)?;
        let parent = self.mount_of(mount.parent, &part)?;
        let mut names = Vec::new();
        let mut at = mount.mountpoint;
        while at != parent.root {
            let dentry = self.dentry(at)?;
            if dentry.is_root() || names.len() > MAX_PARENTS {
                return None;
            }
            at = dentry.parent;
            names.push(dentry.name);
        }
        let path = self.mount_point(&parent, levels.checked_sub(1)?)?;
        Some(names.iter().rev().fold(path, |path, name| join(&path, name)))
    }

    fn field_u64(&self, object: Address, field: Option<u32>) -> Option<u64> {
        self.memory.u64(object.checked_add(field?.into())?).ok()
    }

    fn field_u32(&self, object: Address, field: Option<u32>) -> Option<u32> {
        self.memory.u32(object.checked_add(field?.into())?).ok()
    }
}

/// A name in a directory.
fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if path.ends_with(b"/") || path.ends_with(b":") { b"" } else { b"/" };
    [path, slash, name].concat()
}

/// A path's last component, and what is before it.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) if path.len() > 1 => (b"/", &path[1..]),
        Some(slash) if slash + 1 < path.len() => (&path[..slash], &path[slash + 1..]),
        Some(slash) => (&path[..slash], &path[slash..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests;
