//! Where the fields lie that describe objects. A field that this kernel does not have costs only the information that it holds.

use super::{field::Field, file::FileFields, inode::InodeFields, paths::PathFields, sock::SockFields};
use crate::kernel::types::KernelTypes;

#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub paths: PathFields,
    pub inode: InodeFields,
    pub file: FileFields,
    pub sock: SockFields,
}

impl Fields {
    pub fn find(types: &KernelTypes) -> Self {
        Self {
            paths: PathFields::find(types),
            inode: InodeFields::find(types),
            file: FileFields::find(types),
            sock: SockFields::find(types),
        }
    }

    /// What inspecting an object can show, and whether this kernel's types allow it.
    pub fn shows(&self) -> [(&'static str, bool); 8] {
        let Self { paths, inode, file, sock } = self;
        let PathFields { dentry, superblock, mount, nsproxy_mounts, .. } = paths;
        let has = |fields: &[Field]| fields.iter().all(Option::is_some);
        let mounts = mount.next.is_some() || mount.list.is_some();
        let names = has(&[dentry.parent, dentry.name, dentry.name_len]);
        [
            ("names of dentries", names),
            ("negative dentries", names && has(&[dentry.inode])),
            (
                "paths",
                mounts
                    && has(&[dentry.superblock, superblock.mounts, *nsproxy_mounts])
                    && has(&[mount.parent, mount.mountpoint, mount.root, mount.namespace]),
            ),
            ("filesystems", has(&[dentry.superblock, superblock.file_system_type, superblock.type_name])),
            ("inodes", has(&[inode.mode, inode.superblock, inode.number])),
            ("open files", has(&[file.inode, file.dentry, inode.mode])),
            ("sockets", has(&[sock.protocol, sock.protocol_name, sock.family, sock.state])),
            ("ports", has(&[sock.local_port, sock.remote_port, sock.local_v4, sock.remote_v4])),
        ]
    }
}
