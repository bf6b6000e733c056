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

    /// The bulk allocation function, under this kernel's name for it.
    pub fn alloc_bulk(&self) -> Option<(&'static str, &KernelFunction)> {
        let names = [KMEM_CACHE_ALLOC_BULK_NOPROF, KMEM_CACHE_ALLOC_BULK];
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    /// How many arguments a function takes; None where the kernel has no such function.
    pub fn argument_count(&self, name: &str) -> Option<u32> {
        self.get(name).map(|function| function.arguments)
    }

    /// What aya wants to know of the kernel's BTF to load a trampoline: the number of the function's type. Parsed by aya, the
    /// kernel's own takes 12 ms, this 4: all other types are blank.
    pub fn btf(&self) -> Result<Btf, BtfError> {
        Btf::parse(&self.encoded(), Endianness::default())
    }

    /// As in the kernel's Documentation/bpf/btf.rst; what is blank is a forward declaration, the shortest type there is.
    fn encoded(&self) -> Vec<u8> {
        const MAGIC_AND_VERSION: u32 = 0x0001_eb9f;
        const HEADER_LEN: u32 = 24;
        const BLANK: [u32; 3] = [0, 7 << 24, 0];
        const KIND_FUNC: u32 = 12 << 24;
        let last = self.0.values().map(|function| function.id).max().unwrap_or(0);
        // Numbers begin with 1.
        let mut types = vec![BLANK; last as usize];
        let mut names = vec![0];
        for (name, function) in &self.0 {
            types[function.id as usize - 1] = [names.len() as u32, KIND_FUNC, 0];
            names.extend(name.bytes().chain([0]));
        }
        let types = types.as_flattened();
        let types_len = size_of_val(types) as u32;
        let header = [MAGIC_AND_VERSION, HEADER_LEN, 0, types_len, types_len, names.len() as u32];
        let mut encoded = Vec::with_capacity(HEADER_LEN as usize + size_of_val(types) + names.len());
        for word in header.iter().chain(types) {
            encoded.extend_from_slice(&word.to_ne_bytes());
        }
        encoded.extend(names);
        encoded
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
