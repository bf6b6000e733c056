//! An open file: its dentry and its inode.

use std::ops::Range;

use super::{
    field::{Field, span},
    part::Part,
};
use crate::{
    kernel::{memory::Memory, types::KernelTypes},
    stream::event::Address,
};

/// `struct file`.
#[derive(Clone, Debug, Default)]
pub struct FileFields {
    pub span: Range<u32>,
    pub inode: Field,
    pub dentry: Field,
}

impl FileFields {
    pub fn find(types: &KernelTypes) -> Self {
        let [inode, dentry] = ["f_inode", "f_path.dentry"].map(|path| types.offset("file", path).ok());
        Self { span: span(&[inode, dentry]), inode, dentry }
    }
}

/// An open file as it is now.
pub struct File {
    pub inode: Address,
    pub dentry: Address,
}

impl File {
    /// None where there is none that can be read.
    pub fn read(memory: &Memory, fields: &FileFields, address: Address) -> Option<Self> {
        let part = Part::read(memory, address, &fields.span)?;
        Some(Self { inode: part.u64(fields.inode)?, dentry: part.u64(fields.dentry)? })
    }
}
