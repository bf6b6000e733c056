//! What an object tells of its past, and whether it lives: the kernel's memory keeps dead ones as they were.

use super::sample::Signs;
use crate::{
    kernel::{
        inspect::Inspectable,
        memory::{Memory, Readable as _},
        types::KernelTypes,
    },
    stream::event::Address,
};

/// Offsets in bytes; None where this kernel has no such field.
#[derive(Clone, Debug)]
pub struct SignFields {
    dentry_flags: Option<u32>,
    dentry_count: Option<u32>,
    /// Somebody looked it up again after it was unused: `DCACHE_REFERENCED`.
    referenced: u32,
    inode_state: Option<u32>,
    inode_uid: Option<u32>,
    inode_number: Option<u32>,
    /// `I_FREEING` and `I_CLEAR`.
    going: u32,
    file_cred: Option<u32>,
    cred_uid: Option<u32>,
    sock_uid: Option<u32>,
}

impl SignFields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |structure, path| types.offset(structure, path).ok();
        // Before Linux commit 2773d282cd5b ("docs: dcache: ..."), these were macros, of which BTF knows nothing.
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
            file_cred: field("file", "f_cred"),
            cred_uid: field("cred", "uid"),
            sock_uid: field("sock", "sk_uid"),
        }
    }

    /// What the object of this kind tells, and whether it is dead.
    pub fn read(&self, memory: &Memory, kind: Inspectable, object: Address) -> Option<(Signs, bool)> {
        let u32_at = |base: Address, offset: Option<u32>| memory.u32(base.checked_add(offset?.into())?).ok();
        let u64_at = |base: Address, offset: Option<u32>| memory.u64(base.checked_add(offset?.into())?).ok();
        let mut signs = Signs::default();
        match kind {
            Inspectable::Dentry => {
                let count = u32_at(object, self.dentry_count)? as i32;
                let flags = u32_at(object, self.dentry_flags)?;
                // One in use is asked for all the time.
                signs.asked_once = (count == 0).then_some(flags & self.referenced == 0);
                Some((signs, count < 0))
            }
            Inspectable::Inode(offset) | Inspectable::SocketInode(offset) => {
                let inode = object.checked_add(offset.into())?;
                signs.uid = u32_at(inode, self.inode_uid);
                signs.inode = u64_at(inode, self.inode_number);
                Some((signs, u32_at(inode, self.inode_state)? & self.going != 0))
            }
            Inspectable::File => {
                let cred = u64_at(object, self.file_cred)?;
                signs.uid = u32_at(cred, self.cred_uid);
                Some((signs, false))
            }
            Inspectable::Socket(_) => {
                signs.uid = u32_at(object, self.sock_uid);
                Some((signs, false))
            }
        }
    }
}
