//! What an object is, found out by looking at it: its name, where it is, whether anything has that name.
//!
//! Everything is read through [`Memory`] while the kernel goes on. An object may be freed meanwhile, and its memory be another's:
//! what is found holds only for an object that is known to be there afterwards. Chains have a greatest length, and what cannot be
//! read is left out.

mod dentry;
pub mod fields;
mod part;
mod paths;

use self::{dentry::Dentry, part::Part, paths::Paths};
use super::{layout::Layout, memory::Memory};
use crate::event::{Address, Kind, Label};

/// What kind of objects a slab cache has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Dentry,
}

impl Subject {
    /// None where looking at an object of this cache would tell nothing.
    pub fn of_cache(name: &str, layout: &Layout) -> Option<Self> {
        match name {
            "dentry" => layout.look.dentry.name.map(|_| Self::Dentry),
            _ => None,
        }
    }
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    kind: Kind,
    filesystem: Vec<u8>,
    directory: Vec<u8>,
    name: Vec<u8>,
}

impl Sight {
    pub fn label(&self) -> Label<'_> {
        Label {
            kind: Some(self.kind),
            filesystem: &self.filesystem,
            directory: &self.directory,
            name: &self.name,
            pattern: None,
        }
    }
}

/// Looks at objects for one report.
pub struct Looker<'a> {
    memory: &'a Memory,
    layout: &'a Layout,
    paths: Paths<'a>,
}

impl<'a> Looker<'a> {
    pub fn new(memory: &'a Memory, layout: &'a Layout) -> Self {
        Self { memory, layout, paths: Paths::new(memory, layout) }
    }

    /// Looks at the object at an address; None where that tells nothing.
    pub fn look(&mut self, subject: Subject, address: Address) -> Option<Sight> {
        match subject {
            Subject::Dentry => self.look_at_dentry(address),
        }
    }

    fn look_at_dentry(&mut self, address: Address) -> Option<Sight> {
        let dentry = self.paths.dentry(address)?;
        let (negative, name_bytes) = (dentry.inode == Some(0), dentry.name_bytes);
        self.named(dentry, |in_root| Kind::Dentry { negative, in_root, name_bytes })
    }

    /// What has a dentry, by the path of that. `kind` is told whether its directory is a root.
    fn named(&mut self, dentry: Dentry, kind: impl FnOnce(bool) -> Kind) -> Option<Sight> {
        if !dentry.is_root() {
            let directory = self.paths.directory(dentry.parent)?;
            let (kind, filesystem) = (kind(directory.is_root()), directory.filesystem.to_vec());
            return Some(Sight { kind, filesystem, directory: directory.path(), name: dentry.name });
        }
        let root = self.paths.directory(dentry.address)?;
        let kind = kind(false);
        let filesystem = root.filesystem.to_vec();
        let path = root.path();
        if root.is_mounted() || dentry.name == b"/" {
            let (directory, name) = paths::split(&path);
            return Some(Sight { kind, filesystem, directory: directory.to_vec(), name: name.to_vec() });
        }
        let name = if dentry.name.is_empty() { self.number_of(&dentry) } else { dentry.name };
        Some(Sight { kind, filesystem, directory: path, name })
    }

    /// Pipes and sockets have no names; they go by their inodes' numbers, as in /proc/PID/fd.
    fn number_of(&self, dentry: &Dentry) -> Vec<u8> {
        let fields = &self.layout.look.inode;
        let inode = dentry.inode.filter(|&inode| inode != 0);
        let number = inode
            .and_then(|inode| Part::read(self.memory, inode, &fields.span))
            .and_then(|inode| inode.u64(fields.number));
        number.map_or_else(|| b"(no name)".to_vec(), |number| format!("[{number}]").into_bytes())
    }
}
