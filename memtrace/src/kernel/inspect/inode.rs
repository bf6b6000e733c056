//! An inode: what kind of file it is, of which filesystem, and by which dentry it is known.

use std::ops::Range;

use super::{
    field::{Field, span},
    part::Part,
};
use crate::{
    kernel::{memory::Memory, types::KernelTypes},
    stream::event::{Address, FileType},
};

/// Each filesystem has a structure of its own around an inode, from a slab cache of its own: the cache's name, the structure, the
/// fields that the inode may be, and the module where the filesystem is one.
const HOLDERS: [(&str, &str, &[&str], &str); 26] = [
    ("proc_inode_cache", "proc_inode", &["vfs_inode"], ""),
    ("shmem_inode_cache", "shmem_inode_info", &["vfs_inode"], ""),
    // In v7.x there is more around; before, this is all.
    ("sock_inode_cache", "sockfs_inode", &["vfs_inode"], ""),
    ("sock_inode_cache", "socket_alloc", &["vfs_inode"], ""),
    ("bdev_cache", "bdev_inode", &["vfs_inode"], ""),
    ("hugetlbfs_inode_cache", "hugetlbfs_inode_info", &["vfs_inode"], ""),
    ("mqueue_inode_cache", "mqueue_inode_info", &["vfs_inode"], ""),
    ("tracefs_inode_cache", "tracefs_inode", &["vfs_inode"], ""),
    ("debugfs_inode_cache", "debugfs_inode_info", &["vfs_inode"], ""),
    ("ext4_inode_cache", "ext4_inode_info", &["vfs_inode"], "ext4"),
    ("ext2_inode_cache", "ext2_inode_info", &["vfs_inode"], "ext2"),
    ("xfs_inode", "xfs_inode", &["i_vnode"], "xfs"),
    ("btrfs_inode", "btrfs_inode", &["vfs_inode"], "btrfs"),
    ("f2fs_inode_cache", "f2fs_inode_info", &["vfs_inode"], "f2fs"),
    ("ovl_inode", "ovl_inode", &["vfs_inode"], "overlay"),
    ("fuse_inode", "fuse_inode", &["inode"], "fuse"),
    ("nfs_inode_cache", "nfs_inode", &["vfs_inode"], "nfs"),
    ("cifs_inode_cache", "cifsInodeInfo", &["netfs.inode", "vfs_inode"], "cifs"),
    ("ceph_inode_info", "ceph_inode_info", &["netfs.inode", "vfs_inode"], "ceph"),
    ("v9fs_inode_cache", "v9fs_inode", &["netfs.inode", "vfs_inode"], "9p"),
    ("squashfs_inode_cache", "squashfs_inode_info", &["vfs_inode"], "squashfs"),
    ("erofs_inode", "erofs_inode", &["vfs_inode"], "erofs"),
    ("fat_inode_cache", "msdos_inode_info", &["vfs_inode"], "fat"),
    ("isofs_inode_cache", "iso_inode_info", &["vfs_inode"], "isofs"),
    ("rpc_inode_cache", "rpc_inode", &["vfs_inode"], "sunrpc"),
    ("ntfs_inode_cache", "ntfs_inode", &["vfs_inode"], "ntfs3"),
];

/// Inodes that nothing is around.
const PLAIN: &str = "inode_cache";

/// Where the inode is in an object of each cache that has inodes.
fn offsets(types: &KernelTypes) -> Vec<(&'static str, u32)> {
    let offset = |types: &KernelTypes, structure, fields: &[&str]| {
        fields.iter().find_map(|field| types.offset(structure, field).ok())
    };
    let holders = HOLDERS.iter().filter_map(|&(cache, structure, fields, module)| {
        let found = offset(types, structure, fields)
            .or_else(|| offset(&types.of_module(module)?, structure, fields))?;
        Some((cache, found))
    });
    holders.chain([(PLAIN, 0)]).collect()
}

/// `struct inode`.
#[derive(Clone, Debug, Default)]
pub struct InodeFields {
    pub span: Range<u32>,
    pub mode: Field,
    pub superblock: Field,
    pub number: Field,
    /// `i_dentry.first`, which points into a dentry, and where there.
    pub first_alias: Field,
    pub alias_in_dentry: Field,
    /// By the slab cache's name: where the inode is in an object of it.
    pub holders: Vec<(&'static str, u32)>,
}

impl InodeFields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |path| types.offset("inode", path).ok();
        let [mode, superblock, number] = ["i_mode", "i_sb", "i_ino"].map(field);
        let first_alias = field("i_dentry.first");
        Self {
            span: span(&[mode, superblock, number, first_alias]),
            mode,
            superblock,
            number,
            first_alias,
            alias_in_dentry: types.first_offset(&[("dentry", "d_u.d_alias"), ("dentry", "d_alias")]).ok(),
            holders: offsets(types),
        }
    }
}

/// An inode as it is now.
pub struct Inode {
    pub superblock: Address,
    pub number: u64,
    pub file_type: FileType,
    /// The first of the dentries that name it, or anything while it is being freed.
    pub alias: Option<Address>,
}

impl Inode {
    /// None where there is none that can be read.
    pub fn read(memory: &Memory, fields: &InodeFields, address: Address) -> Option<Self> {
        let part = Part::read(memory, address, &fields.span)?;
        let dentry = part.u64(fields.first_alias).filter(|&link| link != 0);
        let alias = dentry.zip(fields.alias_in_dentry).and_then(|(link, at)| link.checked_sub(at.into()));
        Some(Self {
            superblock: part.u64(fields.superblock)?,
            number: part.u64(fields.number)?,
            file_type: file_type(part.u16(fields.mode)?)?,
            alias,
        })
    }
}

/// By the bits of `S_IFMT`; None where no inode has such.
fn file_type(mode: u16) -> Option<FileType> {
    match mode >> 12 {
        0o00 => Some(FileType::Anonymous),
        0o01 => Some(FileType::Fifo),
        0o02 => Some(FileType::CharDevice),
        0o04 => Some(FileType::Directory),
        0o06 => Some(FileType::BlockDevice),
        0o10 => Some(FileType::Regular),
        0o12 => Some(FileType::Symlink),
        0o14 => Some(FileType::Socket),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_types() {
        let check = |mode, expected| assert_eq!(file_type(mode), expected, "{mode:o}");
        check(0o100644, Some(FileType::Regular));
        check(0o040755, Some(FileType::Directory));
        check(0o120777, Some(FileType::Symlink));
        check(0o010600, Some(FileType::Fifo));
        check(0o140777, Some(FileType::Socket));
        check(0o020620, Some(FileType::CharDevice));
        check(0o060660, Some(FileType::BlockDevice));
        check(0o000600, Some(FileType::Anonymous));
        check(0o170000, None);
        check(0o030000, None);
    }
}
