//! Names of live dentries, read on request. For hosts where `d_alloc` cannot be hooked.

use std::collections::HashMap;

use super::{layout::Layout, memory::Memory};
use crate::event::Address;
use memtrace_common::event::NAME_MAX;

/// What pipes and sockets are called here: their dentries have no names.
const NO_NAME: &[u8] = b"(no name)";

/// A dentry's name and its parent's, as they are now; of a root, which is its own parent, only the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DentryName {
    pub name: Vec<u8>,
    pub parent: Vec<u8>,
}

/// Reads names for one report: a directory that holds many of the dentries is read once.
pub struct DentryNames<'a> {
    memory: &'a Memory,
    layout: &'a Layout,
    directories: HashMap<Address, Option<Vec<u8>>>,
}

/// What leads to a dentry's name.
struct Fields {
    parent: Address,
    name: Address,
    len: usize,
}

impl<'a> DentryNames<'a> {
    pub fn new(memory: &'a Memory, layout: &'a Layout) -> Self {
        Self { memory, layout, directories: HashMap::new() }
    }

    /// Reads the name of the dentry at an address; None where there is none that can be read. The dentry may be freed,
    /// or be another one, by the time this returns: the caller finds out.
    pub fn read(&mut self, dentry: Address) -> Option<DentryName> {
        let fields = self.fields(dentry)?;
        let parent = if fields.parent == dentry { Vec::new() } else { self.directory(fields.parent)? };
        let mut name = self.name(&fields)?;
        if name.is_empty() {
            name = NO_NAME.to_vec();
        }
        Some(DentryName { name, parent })
    }

    fn directory(&mut self, dentry: Address) -> Option<Vec<u8>> {
        if let Some(known) = self.directories.get(&dentry) {
            return known.clone();
        }
        let name = self.fields(dentry).and_then(|fields| self.name(&fields));
        self.directories.entry(dentry).or_insert(name).clone()
    }

    /// They lie close together: one read gets them all.
    fn fields(&self, dentry: Address) -> Option<Fields> {
        let offsets = &self.layout.offsets;
        let [parent, name, len] = [offsets.dentry_parent, offsets.dentry_name, offsets.dentry_name_len]
            .map(|offset| offset as usize);
        let start = parent.min(name).min(len);
        let end = (parent + 8).max(name + 8).max(len + 4);
        let mut bytes = vec![0; end - start];
        self.memory.read(dentry + start as u64, &mut bytes).ok()?;
        let address = |offset| Some(u64::from_ne_bytes(*bytes[offset - start..].first_chunk()?));
        let len = u32::from_ne_bytes(*bytes[len - start..].first_chunk()?);
        Some(Fields { parent: address(parent)?, name: address(name)?, len: len as usize })
    }

    fn name(&self, fields: &Fields) -> Option<Vec<u8>> {
        let mut name = vec![0; fields.len.min(NAME_MAX)];
        self.memory.read(fields.name, &mut name).ok()?;
        Some(name)
    }
}
