//! All filesystems that are mounted anywhere: their superblocks are in a circle, which is entered by a file of ours.

use std::{collections::HashSet, fs::File};

use super::{UnusedError, fields::SuperblockFields};
use crate::kernel::{
    layout::Layout,
    memory::{Memory, MemoryError, Readable as _},
    slabs::own_file,
};

/// More than any host has: a longer walk has lost its way.
const MOST: usize = 100_000;
/// Bits of a device's minor number in the kernel (`MINORBITS`).
const MINOR_BITS: u32 = 20;

pub struct Superblock {
    pub filesystem: Vec<u8>,
    pub id: Vec<u8>,
    pub device: String,
    /// Addresses of its lists.
    pub dentries: u64,
    pub inodes: u64,
}

pub fn all(
    memory: &Memory,
    fields: &SuperblockFields,
    layout: &Layout,
) -> Result<Vec<Superblock>, UnusedError> {
    let anchor = &layout.slabs.as_ref().map_err(|why| UnusedError::Layout(why.clone()))?.anchor;
    let file = own_file::address(memory, anchor, File::open("/")?)?;
    let inode = memory.u64(file.wrapping_add(anchor.file_inode.into()))?;
    let first = memory.u64(inode.wrapping_add(fields.inode_superblock.into()))?;
    let (mut found, mut seen, mut at) = (Vec::new(), HashSet::new(), first);
    while seen.insert(at) && seen.len() < MOST {
        // The circle's head is no superblock.
        found.extend(read(memory, fields, layout, at).unwrap_or_default());
        let next = memory.u64(at.wrapping_add(fields.list.into()))?;
        at = next.wrapping_sub(fields.list.into());
    }
    Ok(found)
}

/// None where there is none, or one that is not mounted yet or not any more: the root of its directories is not its own.
fn read(
    memory: &Memory,
    fields: &SuperblockFields,
    layout: &Layout,
    address: u64,
) -> Result<Option<Superblock>, MemoryError> {
    let at = |offset: u32| address.wrapping_add(offset.into());
    let root = memory.u64(at(fields.root))?;
    if root == 0 || memory.u64(root.wrapping_add(fields.dentry_superblock.into()))? != address {
        return Ok(None);
    }
    let names = &layout.inspect.paths.superblock;
    let (Some(file_system_type), Some(type_name), Some(id)) =
        (names.file_system_type, names.type_name, names.id)
    else {
        return Ok(None);
    };
    let kind = memory.u64(at(file_system_type))?;
    let device = memory.u32(at(fields.device))?;
    Ok(Some(Superblock {
        filesystem: memory.string(memory.u64(kind.wrapping_add(type_name.into()))?)?,
        id: memory.string(at(id))?,
        device: format!("{}:{}", device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1)),
        dentries: at(fields.dentries),
        inodes: at(fields.inodes),
    }))
}
