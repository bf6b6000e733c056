//! What a live object is, read from the kernel's memory: its name, its path, whether the name exists.
//!
//! The kernel goes on while we read. An object may be freed meanwhile, and its memory reused: a result is valid only if the object
//! is known to be live afterwards. Every chain of pointers has a maximum length, and what cannot be read is left out.

mod dentry;
pub mod field;
pub mod fields;
mod file;
mod inode;
pub mod part;
mod paths;
mod sock;

use self::{dentry::Dentry, file::File, inode::Inode, paths::Paths, sock::Sock};
use super::{
    layout::Layout,
    memory::{Memory, Readable as _},
};
use crate::{
    knowledge::caches,
    stream::event::{Address, Label, ObjectKind},
};

/// The objects of a slab cache that can be inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspectable {
    Dentry,
    /// With the offset of the inode in the object.
    Inode(u32),
    /// A socket's inode.
    SocketInode(u32),
    File,
    /// With the cache's address.
    Socket(Address),
}

impl Inspectable {
    /// By any of the names of a cache. None where its objects cannot be inspected.
    pub fn of_cache(name: &str, address: Address, layout: &Layout) -> Option<Self> {
        let fields = &layout.inspect;
        match name {
            "dentry" => fields.paths.dentry.name.map(|_| Self::Dentry),
            "filp" => fields.file.dentry.map(|_| Self::File),
            _ if caches::is_of_sockets(name) => fields.sock.protocol_name.map(|_| Self::Socket(address)),
            _ => {
                let (_, offset) = fields.inode.holders.iter().find(|(cache, _)| *cache == name)?;
                Some(if name == SOCKETS { Self::SocketInode(*offset) } else { Self::Inode(*offset) })
            }
        }
    }
}

/// The cache of sockets' inodes.
const SOCKETS: &str = "sock_inode_cache";

/// What an inspection found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub kind: ObjectKind,
    /// As in [`Label`], and so are the others.
    pub filesystem: Vec<u8>,
    pub directory: Vec<u8>,
    pub name: Vec<u8>,
    pub pattern: Option<Vec<u8>>,
}

impl Inspection {
    pub fn label(&self) -> Label<'_> {
        Label {
            kind: Some(self.kind),
            filesystem: &self.filesystem,
            directory: &self.directory,
            name: &self.name,
            pattern: self.pattern.as_deref(),
        }
    }
}

/// Inspects objects for one report.
pub struct Inspector<'a> {
    memory: &'a Memory,
    layout: &'a Layout,
    paths: Paths<'a>,
}

impl<'a> Inspector<'a> {
    pub fn new(memory: &'a Memory, layout: &'a Layout) -> Self {
        let paths = Paths::new(memory, &layout.inspect.paths, memory.current_task().ok());
        Self { memory, layout, paths }
    }

    /// Inspects the object at an address; None where it cannot be read, or is of another kind.
    pub fn inspect(&mut self, inspectable: Inspectable, address: Address) -> Option<Inspection> {
        match inspectable {
            Inspectable::Dentry => self.inspect_dentry(address),
            Inspectable::Inode(offset) => self.inspect_inode(address.checked_add(offset.into())?),
            Inspectable::SocketInode(offset) => {
                let sock = self.sock_of_inode(address);
                sock.or_else(|| self.inspect_inode(address.checked_add(offset.into())?))
            }
            Inspectable::File => self.inspect_file(address),
            Inspectable::Socket(cache) => self.inspect_sock(address, Some(cache)),
        }
    }

    fn inspect_inode(&mut self, address: Address) -> Option<Inspection> {
        let inode = self.inode(address)?;
        let kind = ObjectKind::Inode(inode.file_type);
        // One that is being freed has something else in place of its first alias.
        let alias = inode.alias.and_then(|alias| self.paths.dentry(alias));
        if let Some(alias) = alias.filter(|alias| alias.inode == Some(address)) {
            return self.named(alias, |_| kind);
        }
        let filesystem = self.paths.filesystem(inode.superblock);
        if filesystem.is_empty() {
            return None;
        }
        let directory =
            match self.paths.device(inode.superblock).filter(|device| device[..] != filesystem[..]) {
                Some(device) => [&filesystem[..], b" ", &device, b":"].concat(),
                None => [&filesystem[..], b":"].concat(),
            };
        let name = number(inode.number);
        Some(Inspection { kind, filesystem: filesystem.to_vec(), directory, name, pattern: None })
    }

    fn inspect_file(&mut self, address: Address) -> Option<Inspection> {
        let File { inode, dentry } = File::read(self.memory, &self.layout.inspect.file, address)?;
        let dentry = self.paths.dentry(dentry)?;
        // Both say the same of an open file; what is not open yet, or no file, says anything.
        if dentry.inode != Some(inode) {
            return None;
        }
        let kind = ObjectKind::File(self.inode(inode)?.file_type);
        self.named(dentry, |_| kind)
    }

    fn inspect_sock(&self, address: Address, cache: Option<Address>) -> Option<Inspection> {
        let Sock { protocol, pattern, name } =
            Sock::read(self.memory, &self.layout.inspect.sock, address, cache)?;
        Some(Inspection {
            kind: ObjectKind::Socket,
            filesystem: Vec::new(),
            directory: protocol.into_bytes(),
            name,
            pattern: pattern.map(String::into_bytes),
        })
    }

    fn sock_of_inode(&self, address: Address) -> Option<Inspection> {
        let at = address.checked_add(self.layout.inspect.sock.of_inode?.into())?;
        let sock = self.memory.u64(at).ok().filter(|&sock| sock != 0)?;
        self.inspect_sock(sock, None)
    }

    fn inode(&self, address: Address) -> Option<Inode> {
        Inode::read(self.memory, &self.layout.inspect.inode, address)
    }

    fn inspect_dentry(&mut self, address: Address) -> Option<Inspection> {
        let dentry = self.paths.dentry(address)?;
        let (negative, name_bytes) = (dentry.inode == Some(0), dentry.name_bytes);
        self.named(dentry, |in_root| ObjectKind::Dentry { negative, in_root, name_bytes })
    }

    /// An object with a dentry, by the dentry's path. `kind` gets whether its directory is a root.
    fn named(&mut self, dentry: Dentry, kind: impl FnOnce(bool) -> ObjectKind) -> Option<Inspection> {
        if !dentry.is_root() {
            let directory = self.paths.directory(dentry.parent)?;
            let (kind, filesystem) = (kind(directory.is_root()), directory.filesystem.to_vec());
            return Some(Inspection {
                kind,
                filesystem,
                directory: directory.path(),
                name: dentry.name,
                pattern: None,
            });
        }
        let root = self.paths.directory(dentry.address)?;
        let kind = kind(false);
        let filesystem = root.filesystem.to_vec();
        let path = root.path();
        if root.is_mounted() || dentry.name == b"/" {
            let (directory, name) = paths::split(&path);
            return Some(Inspection {
                kind,
                filesystem,
                directory: directory.to_vec(),
                name: name.to_vec(),
                pattern: None,
            });
        }
        let name = if dentry.name.is_empty() { self.number_of(&dentry) } else { dentry.name };
        Some(Inspection { kind, filesystem, directory: path, name, pattern: None })
    }

    /// Pipes and sockets have no names; they go by their inodes' numbers, as in /proc/PID/fd.
    fn number_of(&self, dentry: &Dentry) -> Vec<u8> {
        let address = dentry.inode.filter(|&address| address != 0);
        let inode = address.and_then(|address| self.inode(address));
        inode.map_or_else(|| b"(no name)".to_vec(), |inode| number(inode.number))
    }
}

fn number(inode: u64) -> Vec<u8> {
    format!("[{inode}]").into_bytes()
}
