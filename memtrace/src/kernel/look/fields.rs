//! Where the fields lie that tell what an object is. Looking does without those that a kernel does not have, and tells
//! so much less.

use std::ops::Range;

use crate::kernel::types::KernelTypes;

/// Offset in bytes; None where this kernel has no such field.
pub type Field = Option<u32>;

#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub dentry: DentryFields,
    pub inode: InodeFields,
    pub superblock: SuperblockFields,
    pub mount: MountFields,
    /// `nsproxy.mnt_ns`, and `mnt_namespace.ns.inum`.
    pub nsproxy_mounts: Field,
    pub namespace_number: Field,
}

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

/// `struct inode`.
#[derive(Clone, Debug, Default)]
pub struct InodeFields {
    pub span: Range<u32>,
    pub mode: Field,
    pub superblock: Field,
    pub number: Field,
}

/// `struct super_block`.
#[derive(Clone, Debug, Default)]
pub struct SuperblockFields {
    pub file_system_type: Field,
    pub type_name: Field,
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

impl Fields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |structure, path| types.offset(structure, path).ok();
        Self {
            dentry: DentryFields {
                span: 0..types.size("dentry").unwrap_or_default(),
                parent: field("dentry", "d_parent"),
                name: field("dentry", "d_name.name"),
                name_len: field("dentry", "d_name.len"),
                inode: field("dentry", "d_inode"),
                superblock: field("dentry", "d_sb"),
                hashed: field("dentry", "d_hash.pprev"),
                external_name: field("external_name", "name"),
            },
            inode: InodeFields::find(types),
            superblock: SuperblockFields {
                file_system_type: field("super_block", "s_type"),
                type_name: field("file_system_type", "name"),
                mounts: field("super_block", "s_mounts"),
            },
            mount: MountFields::find(types),
            nsproxy_mounts: field("nsproxy", "mnt_ns"),
            namespace_number: field("mnt_namespace", "ns.inum"),
        }
    }
}

impl InodeFields {
    fn find(types: &KernelTypes) -> Self {
        let field = |path| types.offset("inode", path).ok();
        let [mode, superblock, number] = ["i_mode", "i_sb", "i_ino"].map(field);
        Self { span: span(&[mode, superblock, number]), mode, superblock, number }
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

/// What holds all of these fields, each of 8 bytes at most.
fn span(fields: &[Field]) -> Range<u32> {
    let known = || fields.iter().flatten().copied();
    known().min().unwrap_or_default()..known().max().map_or(0, |last| last + 8)
}
