//! Where the fields lie that tell what an object is. Looking does without those that a kernel does not have, and tells
//! so much less.

use std::ops::Range;

use super::inode;
use crate::kernel::types::KernelTypes;

/// Offset in bytes; None where this kernel has no such field.
pub type Field = Option<u32>;

#[derive(Clone, Debug, Default)]
pub struct Fields {
    pub dentry: DentryFields,
    pub inode: InodeFields,
    pub file: FileFields,
    pub sock: SockFields,
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
    /// `i_dentry.first`, which points into a dentry, and where there.
    pub first_alias: Field,
    pub alias_in_dentry: Field,
    /// By the slab cache's name: where the inode is in an object of it.
    pub holders: Vec<(&'static str, u32)>,
}

/// `struct file`.
#[derive(Clone, Debug, Default)]
pub struct FileFields {
    pub span: Range<u32>,
    pub inode: Field,
    pub dentry: Field,
}

/// `struct sock`, most of it in `struct sock_common` at its beginning.
#[derive(Clone, Debug, Default)]
pub struct SockFields {
    /// Of `struct sock_common`.
    pub span: Range<u32>,
    pub family: Field,
    pub state: Field,
    pub local_port: Field,
    pub remote_port: Field,
    pub local_v4: Field,
    pub remote_v4: Field,
    pub local_v6: Field,
    pub remote_v6: Field,
    pub protocol: Field,
    pub protocol_name: Field,
    pub protocol_cache: Field,
    /// `sock.sk_type` and `sock.sk_protocol`, of 16 bits.
    pub kind: Field,
    pub number: Field,
    pub unix_address: Field,
    pub unix_address_len: Field,
    pub unix_address_name: Field,
    /// The socket that belongs to an inode of sockfs: `socket.sk` in its object.
    pub of_inode: Field,
}

/// `struct super_block`.
#[derive(Clone, Debug, Default)]
pub struct SuperblockFields {
    pub file_system_type: Field,
    pub type_name: Field,
    /// Name of its device, or else of its type.
    pub id: Field,
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
            file: FileFields::find(types),
            sock: SockFields::find(types),
            superblock: SuperblockFields {
                file_system_type: field("super_block", "s_type"),
                type_name: field("file_system_type", "name"),
                id: field("super_block", "s_id"),
                mounts: field("super_block", "s_mounts"),
            },
            mount: MountFields::find(types),
            nsproxy_mounts: field("nsproxy", "mnt_ns"),
            namespace_number: field("mnt_namespace", "ns.inum"),
        }
    }
}

impl Fields {
    /// What looking tells, and whether it does here.
    pub fn told(&self) -> [(&'static str, bool); 8] {
        let Self { dentry, inode, superblock, mount, file, sock, nsproxy_mounts, .. } = self;
        let has = |fields: &[Field]| fields.iter().all(Option::is_some);
        let mounts = mount.next.is_some() || mount.list.is_some();
        let names = has(&[dentry.parent, dentry.name, dentry.name_len]);
        [
            ("names of dentries", names),
            ("whether they are negative", names && has(&[dentry.inode])),
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
            ("their ports", has(&[sock.local_port, sock.remote_port, sock.local_v4, sock.remote_v4])),
        ]
    }
}

impl InodeFields {
    fn find(types: &KernelTypes) -> Self {
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
            holders: inode::offsets(types),
        }
    }
}

impl FileFields {
    fn find(types: &KernelTypes) -> Self {
        let [inode, dentry] = ["f_inode", "f_path.dentry"].map(|path| types.offset("file", path).ok());
        Self { span: span(&[inode, dentry]), inode, dentry }
    }
}

impl SockFields {
    fn find(types: &KernelTypes) -> Self {
        let field = |structure, path| types.offset(structure, path).ok();
        let common = |path| field("sock_common", path);
        Self {
            span: 0..types.size("sock_common").unwrap_or_default(),
            family: common("skc_family"),
            state: common("skc_state"),
            local_port: common("skc_num"),
            remote_port: common("skc_dport"),
            local_v4: common("skc_rcv_saddr"),
            remote_v4: common("skc_daddr"),
            local_v6: common("skc_v6_rcv_saddr"),
            remote_v6: common("skc_v6_daddr"),
            protocol: common("skc_prot"),
            protocol_name: field("proto", "name"),
            protocol_cache: field("proto", "slab"),
            kind: field("sock", "sk_type"),
            number: field("sock", "sk_protocol"),
            unix_address: field("unix_sock", "addr"),
            unix_address_len: field("unix_address", "len"),
            unix_address_name: field("unix_address", "name"),
            of_inode: types
                .first_offset(&[("sockfs_inode", "socket.sk"), ("socket_alloc", "socket.sk")])
                .ok(),
        }
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
