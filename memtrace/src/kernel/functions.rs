//! The kernel's functions that trampolines go on, as its BTF describes them.

use std::collections::HashMap;

use aya::{Btf, BtfError, Endianness};

use super::types::{KernelFunction, KernelTypes};

pub const KMEM_CACHE_ALLOC: &str = "kmem_cache_alloc";
pub const KMEM_CACHE_ALLOC_LRU: &str = "kmem_cache_alloc_lru";
pub const KMEM_CACHE_ALLOC_NODE: &str = "kmem_cache_alloc_node";
pub const KMEM_CACHE_FREE: &str = "kmem_cache_free";
pub const KMEM_CACHE_ALLOC_BULK: &str = "kmem_cache_alloc_bulk";
/// Since v6.10: Linux commit 7bd230a26648 ("mm/slab: enable slab allocation tagging for kmalloc and friends").
pub const KMEM_CACHE_ALLOC_BULK_NOPROF: &str = "kmem_cache_alloc_bulk_noprof";
pub const KMEM_CACHE_FREE_BULK: &str = "kmem_cache_free_bulk";
pub const KFREE_RCU_SHEAF: &str = "__kfree_rcu_sheaf";
pub const D_ALLOC: &str = "d_alloc";
pub const D_ALLOC_PARALLEL: &str = "d_alloc_parallel";

const TRACED: [&str; 10] = [
    KMEM_CACHE_ALLOC,
    KMEM_CACHE_ALLOC_LRU,
    KMEM_CACHE_ALLOC_NODE,
    KMEM_CACHE_FREE,
    KMEM_CACHE_ALLOC_BULK,
    KMEM_CACHE_ALLOC_BULK_NOPROF,
    KMEM_CACHE_FREE_BULK,
    KFREE_RCU_SHEAF,
    D_ALLOC,
    D_ALLOC_PARALLEL,
];

/// Those that this kernel has.
#[derive(Clone, Debug)]
pub struct Functions(HashMap<&'static str, KernelFunction>);

impl Functions {
    pub fn find(types: &KernelTypes) -> Self {
        Self(TRACED.iter().filter_map(|&name| Some((name, types.function(name)?))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&KernelFunction> {
        self.0.get(name)
    }

    /// What hands out many objects, under the name that it has here.
    pub fn alloc_bulk(&self) -> Option<(&'static str, &KernelFunction)> {
        let names = [KMEM_CACHE_ALLOC_BULK_NOPROF, KMEM_CACHE_ALLOC_BULK];
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    /// How many arguments a function takes; None where the kernel has no such function.
    pub fn argument_count(&self, name: &str) -> Option<u32> {
        self.get(name).map(|function| function.arguments)
    }

    /// What aya wants to know of the kernel's BTF to load a trampoline: the number of the function's type. Parsed by aya, the
    /// kernel's own takes some 20 ms; this has all other types blank.
    pub fn btf(&self) -> Result<Btf, BtfError> {
        Btf::parse(&self.encoded(), Endianness::default())
    }

    /// As in the kernel's Documentation/bpf/btf.rst.
    fn encoded(&self) -> Vec<u8> {
        const MAGIC_AND_VERSION: u32 = 0x0001_eb9f;
        const HEADER_LEN: u32 = 24;
        const KIND_FWD: u32 = 7 << 24;
        const KIND_FUNC: u32 = 12 << 24;
        let names: HashMap<u32, &str> = self.0.iter().map(|(&name, function)| (function.id, name)).collect();
        let mut strings = vec![0];
        let mut types: Vec<u32> = Vec::new();
        for id in 1..=names.keys().copied().max().unwrap_or(0) {
            match names.get(&id) {
                Some(name) => {
                    types.extend([strings.len() as u32, KIND_FUNC, 0]);
                    strings.extend(name.bytes().chain([0]));
                }
                None => types.extend([0, KIND_FWD, 0]),
            }
        }
        let types_len = (types.len() * size_of::<u32>()) as u32;
        let header = [MAGIC_AND_VERSION, HEADER_LEN, 0, types_len, types_len, strings.len() as u32];
        header.into_iter().chain(types).flat_map(u32::to_ne_bytes).chain(strings).collect()
    }
}

#[cfg(test)]
mod tests {
    use aya_obj::btf::BtfKind;

    use super::*;

    #[test]
    fn aya_finds_each_function_under_its_number() {
        let function = |id| KernelFunction { id, arguments: 0, returns_bool: false };
        let functions =
            Functions(HashMap::from([(D_ALLOC, function(70_000)), (KMEM_CACHE_FREE, function(1))]));
        let btf = functions.btf().unwrap();
        for (name, function) in &functions.0 {
            assert_eq!(btf.id_by_type_name_kind(name, BtfKind::Func).unwrap(), function.id, "{name}");
        }
        assert!(btf.id_by_type_name_kind(D_ALLOC_PARALLEL, BtfKind::Func).is_err());
        assert!(Functions(HashMap::new()).btf().is_ok());
    }
}
