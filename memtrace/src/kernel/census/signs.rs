//! What an object tells of its past, and whether it lives: the kernel's memory keeps dead ones as they were.

use super::{sample::Signs, sign_fields::SignFields};
use crate::{
    kernel::{
        inspect::Inspectable,
        memory::{Memory, Readable as _},
    },
    procfs::open_files::InodeId,
    stream::event::Address,
};

/// Of a device's number in the kernel, those of the minor one (`MINORBITS`).
const MINOR_BITS: u32 = 20;

/// What the object of this kind tells, and whether it is dead.
pub fn read(
    fields: &SignFields,
    memory: &Memory,
    kind: Inspectable,
    object: Address,
) -> Option<(Signs, bool)> {
    let u32_at = |base: Address, offset: Option<u32>| memory.u32(base.checked_add(offset?.into())?).ok();
    let u64_at = |base: Address, offset: Option<u32>| memory.u64(base.checked_add(offset?.into())?).ok();
    let mut signs = Signs::default();
    match kind {
        Inspectable::Dentry => {
            let count = u32_at(object, fields.dentry_count)? as i32;
            let flags = u32_at(object, fields.dentry_flags)?;
            // One in use is asked for all the time.
            signs.asked_once = (count == 0).then_some(flags & fields.referenced == 0);
            Some((signs, count < 0))
        }
        Inspectable::Inode(offset) | Inspectable::SocketInode(offset) => {
            let inode = object.checked_add(offset.into())?;
            signs.uid = u32_at(inode, fields.inode_uid);
            signs.inode = inode_id(fields, memory, inode);
            Some((signs, u32_at(inode, fields.inode_state)? & fields.going != 0))
        }
        Inspectable::File => {
            let cred = u64_at(object, fields.file_cred)?;
            signs.uid = u32_at(cred, fields.cred_uid);
            signs.inode = u64_at(object, fields.file_inode).and_then(|inode| inode_id(fields, memory, inode));
            Some((signs, false))
        }
        Inspectable::Socket(_) => {
            signs.uid = u32_at(object, fields.sock_uid);
            // One that nobody has a descriptor of has none.
            let socket = u64_at(object, fields.sock_socket).filter(|&socket| socket != 0);
            let inode =
                socket.zip(fields.socket_inode).map(|(socket, inode)| socket.wrapping_add(inode.into()));
            signs.inode = inode.and_then(|inode| inode_id(fields, memory, inode));
            Some((signs, false))
        }
    }
}

fn inode_id(fields: &SignFields, memory: &Memory, inode: Address) -> Option<InodeId> {
    let at = |base: Address, offset: Option<u32>| Some(base.wrapping_add(offset?.into()));
    let superblock = memory.u64(at(inode, fields.inode_superblock)?).ok()?;
    let device = memory.u32(at(superblock, fields.superblock_device)?).ok()?;
    let number = memory.u64(at(inode, fields.inode_number)?).ok()?;
    Some(InodeId { major: device >> MINOR_BITS, minor: device & ((1 << MINOR_BITS) - 1), number })
}
