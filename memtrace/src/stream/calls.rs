//! Names of code addresses, from the running kernel or from a recording.

use super::event::{Address, StackId};

/// Names of call sites in the kernel.
pub trait CallSites {
    /// `__d_alloc+0x2b`, or `ovl_alloc_inode+0x1c [overlay]`; None where it is unknown.
    fn name(&self, address: Address) -> Option<String>;

    /// The function that it is in: `__d_alloc`, or `ovl_alloc_inode [overlay]`.
    fn function(&self, address: Address) -> Option<String> {
        let name = self.name(address)?;
        let Some((function, offset)) = name.rsplit_once("+0x") else { return Some(name) };
        let module = offset.find(' ').map_or("", |at| &offset[at..]);
        Some(format!("{function}{module}"))
    }
}

/// Names of the functions in stacks.
pub trait StackNames {
    /// One allocation in this many carries its stack.
    fn period(&self) -> u32;
    /// The innermost first.
    fn names(&self, id: StackId) -> Vec<String>;
}
