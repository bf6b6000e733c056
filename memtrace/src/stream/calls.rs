//! What places in code are called: asked of the running kernel, or of a recording.

use super::event::{Address, StackId};

/// What places in the kernel are called.
pub trait CallSites {
    /// `__d_alloc+0x2b`, or `ovl_alloc_inode+0x1c [overlay]`; None where that is not known.
    fn name(&self, address: Address) -> Option<String>;

    /// The function that it is in: `__d_alloc`, or `ovl_alloc_inode [overlay]`.
    fn function(&self, address: Address) -> Option<String> {
        let name = self.name(address)?;
        let Some((function, offset)) = name.rsplit_once("+0x") else { return Some(name) };
        let module = offset.find(' ').map_or("", |at| &offset[at..]);
        Some(format!("{function}{module}"))
    }
}

/// What the calls of stacks are called.
pub trait StackNames {
    /// One allocation in so many tells its stack.
    fn period(&self) -> u32;
    /// The innermost first.
    fn names(&self, id: StackId) -> Vec<String>;
}
