//! Where objects keep what they tell of their past.

use crate::kernel::types::KernelTypes;

/// Offsets in bytes; None where this kernel has no such field.
#[derive(Clone, Debug)]
pub struct SignFields {
    pub dentry_flags: Option<u32>,
    pub dentry_count: Option<u32>,
    /// Somebody looked it up again after it was unused: `DCACHE_REFERENCED`.
    pub referenced: u32,
    pub inode_state: Option<u32>,
    pub inode_uid: Option<u32>,
    pub inode_number: Option<u32>,
    /// `I_FREEING` and `I_CLEAR`.
    pub going: u32,
    pub inode_superblock: Option<u32>,
    pub superblock_device: Option<u32>,
    pub file_inode: Option<u32>,
    pub sock_socket: Option<u32>,
    /// From a `struct socket` to its inode.
    pub socket_inode: Option<u32>,
    pub file_cred: Option<u32>,
    pub cred_uid: Option<u32>,
    pub sock_uid: Option<u32>,
}

impl SignFields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |structure, path| types.offset(structure, path).ok();
        // Older kernels have macros of these values, of which BTF knows nothing.
        let flag = |enumeration, name, before| types.enumerator(enumeration, name).unwrap_or(before);
        Self {
            dentry_flags: field("dentry", "d_flags"),
            dentry_count: field("dentry", "d_lockref.count"),
            referenced: flag("dentry_flags", "DCACHE_REFERENCED", 0x40),
            inode_state: field("inode", "i_state"),
            inode_uid: field("inode", "i_uid"),
            inode_number: field("inode", "i_ino"),
            going: flag("inode_state_flags_t", "I_FREEING", 1 << 5)
                | flag("inode_state_flags_t", "I_CLEAR", 1 << 6),
            inode_superblock: field("inode", "i_sb"),
            superblock_device: field("super_block", "s_dev"),
            file_inode: field("file", "f_inode"),
            sock_socket: field("sock", "sk_socket"),
            socket_inode: field("socket_alloc", "vfs_inode")
                .zip(field("socket_alloc", "socket"))
                .and_then(|(inode, socket)| inode.checked_sub(socket)),
            file_cred: field("file", "f_cred"),
            cred_uid: field("cred", "uid"),
            sock_uid: field("sock", "sk_uid"),
        }
    }
}
