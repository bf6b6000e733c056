//! A dentry: its name, and what the name stands for.

use std::ops::Range;

use super::{field::Field, part::Part};
use crate::{
    kernel::{memory::Readable, types::KernelTypes},
    stream::event::Address,
};

/// A longer name is no name of Linux (NAME_MAX).
const MAX_NAME: usize = 255;

/// What the kernel adds to a name whose file was removed.
const DELETED: &[u8] = b" (deleted)";

/// `struct dentry`.
#[derive(Clone, Debug, Default)]
pub struct DentryFields {
    /// All of it: short names lie inside.
    pub span: Range<u32>,
    pub parent: Field,
    pub name: Field,
    pub name_len: Field,
    pub inode: Field,
    pub superblock: Field,
    /// `d_hash.pprev`: 0 where no lookup finds it, as when its file was removed.
    pub hashed: Field,
    /// What comes before the bytes of a name outside: `external_name.name`.
    pub external_name: Field,
}

impl DentryFields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |path| types.offset("dentry", path).ok();
        Self {
            span: 0..types.size("dentry").unwrap_or_default(),
            parent: field("d_parent"),
            name: field("d_name.name"),
            name_len: field("d_name.len"),
            inode: field("d_inode"),
            superblock: field("d_sb"),
            hashed: field("d_hash.pprev"),
            external_name: types.offset("external_name", "name").ok(),
        }
    }
}

/// A dentry as it is now.
#[derive(Clone, Debug)]
pub struct Dentry {
    pub address: Address,
    pub parent: Address,
    pub superblock: Option<Address>,
    /// Its bytes; of a removed file, marked as in /proc/PID/fd.
    pub name: Vec<u8>,
    /// 0 where nothing has this name. None where that is not known.
    pub inode: Option<Address>,
    /// Memory that its name takes outside of it.
    pub name_bytes: u16,
}

impl Dentry {
    /// None where there is none that can be read. It may be freed, or be another, by the time this returns.
    pub fn read(memory: &dyn Readable, fields: &DentryFields, address: Address) -> Option<Self> {
        let part = Part::read(memory, address, &fields.span)?;
        let (at, len) = (part.u64(fields.name)?, part.u32(fields.name_len)? as usize);
        if len > MAX_NAME {
            return None;
        }
        let inside = part.at(at, len);
        let mut name = match inside {
            Some(name) => name.to_vec(),
            None => {
                let mut name = vec![0; len];
                memory.read(at, &mut name).ok()?;
                name
            }
        };
        let (parent, inode) = (part.u64(fields.parent)?, part.u64(fields.inode));
        let is_removed = part.u64(fields.hashed) == Some(0) && parent != address;
        if is_removed && inode.is_some_and(|inode| inode != 0) {
            name.extend_from_slice(DELETED);
        }
        let name_bytes = match (inside, fields.external_name) {
            (None, Some(before)) => kmalloc_size(before as usize + len + 1),
            _ => 0,
        };
        Some(Self { address, parent, superblock: part.u64(fields.superblock), name, inode, name_bytes })
    }

    /// The root of its filesystem, or one without a place in any.
    pub fn is_root(&self) -> bool {
        self.parent == self.address
    }
}

/// The size of the kmalloc object for this many bytes.
fn kmalloc_size(bytes: usize) -> u16 {
    match bytes {
        65..=96 => 96,
        129..=192 => 192,
        // No name takes more than 512.
        _ => bytes.next_power_of_two().clamp(8, 512) as u16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kmalloc_has_two_sizes_between_powers_of_two() {
        let sizes = [1, 8, 9, 64, 65, 96, 97, 128, 129, 192, 193, 280].map(kmalloc_size);
        assert_eq!(sizes, [8, 8, 16, 64, 96, 96, 128, 128, 192, 192, 256, 512]);
    }
}
