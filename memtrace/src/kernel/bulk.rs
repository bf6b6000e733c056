//! Allocations and frees that fire no tracepoint: many objects at once, and `kfree_rcu`. Trampolines on the functions that all of
//! them go through.

use memtrace_common::names::program;

use super::{
    functions::{KFREE_RCU_SHEAF, KMEM_CACHE_FREE_BULK},
    layout::Layout,
    reason::Reason,
};

/// A program, and the function that it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkHook {
    pub program: &'static str,
    pub function: &'static str,
    pub at: At,
}

/// What a hook sees, and so at which end of its function it is: frees are read before objects are given back, allocations after
/// they are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    EntryOfFree,
    /// Of a function that says whether it took the object.
    ExitOfFree,
    ExitOfAlloc,
}

impl At {
    pub fn is_free(self) -> bool {
        matches!(self, Self::EntryOfFree | Self::ExitOfFree)
    }
}

/// All hooks that this kernel needs, frees first. With only some of them, allocations would be seen without their frees, or the
/// other way round.
///
/// The functions have the same arguments from v5.10 to v7.3. Where memory control refuses an allocation, the objects
/// are given back without having been handed out: as frees of unknown objects.
pub fn hooks(layout: &Layout) -> Result<Vec<BulkHook>, Reason> {
    let functions = &layout.functions;
    if functions.argument_count(KMEM_CACHE_FREE_BULK) != Some(3) {
        return Err(format!("{KMEM_CACHE_FREE_BULK} is missing or has other arguments on this kernel"));
    }
    let (alloc_function, _) = functions
        .alloc_bulk()
        .filter(|(_, function)| function.arguments == 4)
        .ok_or("kmem_cache_alloc_bulk is missing or has other arguments on this kernel")?;
    let sheaf = functions.get(KFREE_RCU_SHEAF).map(|_| BulkHook {
        program: program::KFREE_RCU_SHEAF_FEXIT,
        function: KFREE_RCU_SHEAF,
        at: At::ExitOfFree,
    });
    let free =
        BulkHook { program: program::FREE_BULK_FENTRY, function: KMEM_CACHE_FREE_BULK, at: At::EntryOfFree };
    let alloc =
        BulkHook { program: program::ALLOC_BULK_FEXIT, function: alloc_function, at: At::ExitOfAlloc };
    Ok([Some(free), sheaf, Some(alloc)].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::types;

    #[test]
    fn hooks_are_on_functions_that_there_are_frees_first() {
        let Some(types) = types::tests::some_kernel() else { return };
        let layout = Layout::from_types(&types).unwrap();
        let hooks = hooks(&layout).unwrap();
        assert!(hooks.is_sorted_by_key(|hook| !hook.at.is_free()), "{hooks:?}");
        assert!(hooks.iter().all(|hook| layout.functions.get(hook.function).is_some()), "{hooks:?}");
        let sheaves = hooks.iter().any(|hook| hook.function == KFREE_RCU_SHEAF);
        assert_eq!(sheaves, types.has_structure("slab_sheaf"));
    }
}
