//! Names of live dentries, read on request. For hosts where `d_alloc` cannot be hooked.

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

/// Reads the name of the dentry at an address; None where there is none that can be read. The dentry may be freed, or
/// be another one, by the time this returns: the caller finds out.
pub fn name(memory: &Memory, layout: &Layout, dentry: Address) -> Option<DentryName> {
    let parent = memory.u64(dentry + u64::from(layout.offsets.dentry_parent)).ok()?;
    let parent = if parent == dentry { Vec::new() } else { own_name(memory, layout, parent)? };
    let mut name = own_name(memory, layout, dentry)?;
    if name.is_empty() {
        name = NO_NAME.to_vec();
    }
    Some(DentryName { name, parent })
}

fn own_name(memory: &Memory, layout: &Layout, dentry: Address) -> Option<Vec<u8>> {
    let len = memory.u32(dentry + u64::from(layout.offsets.dentry_name_len)).ok()? as usize;
    let address = memory.u64(dentry + u64::from(layout.offsets.dentry_name)).ok()?;
    let mut name = vec![0; len.min(NAME_MAX)];
    memory.read(address, &mut name).ok()?;
    Some(name)
}
