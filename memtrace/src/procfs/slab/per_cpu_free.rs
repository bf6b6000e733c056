//! Free objects in a cache's per-CPU lists, which CPUs take without locks. Slabinfo counts them as active.

/// Full sheaves of a node, at most (`MAX_FULL_SHEAVES`).
const SHEAVES_PER_NODE: u64 = 10;

/// Sheaves of a CPU: one to take from, a spare one, and one that collects objects for RCU to free.
const SHEAVES_PER_CPU: u64 = 3;

/// How many free objects a cache may have in per-CPU lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerCpuFree {
    pub objects_per_slab: u64,
    /// Free objects that a CPU may have in slabs of its own, if these are half full; 0 where CPUs have none.
    pub cpu_partial: u64,
    /// Objects in a sheaf; 0 where the cache has none. They came with Linux commit 2d517aa09bbc ("slab: add opt-in
    /// caching layer of percpu sheaves") (in v6.18).
    pub sheaf_capacity: u64,
}

impl PerCpuFree {
    /// The maximum number of objects: each CPU's slab and its partial slabs may be all free by now. Since Linux commit
    /// b47291ef02b0 ("mm, slub: change percpu partial accounting from objects to pages") (in v5.16) partial slabs are
    /// counted as half full.
    pub fn most(self, cpus: u64, nodes: u64) -> u64 {
        let partial_slabs = (2 * self.cpu_partial).div_ceil(self.objects_per_slab.max(1));
        let in_slabs = self.objects_per_slab * (1 + partial_slabs);
        cpus * (in_slabs + SHEAVES_PER_CPU * self.sheaf_capacity)
            + nodes * SHEAVES_PER_NODE * self.sheaf_capacity
    }
}

#[cfg(test)]
mod tests {
    use super::PerCpuFree;

    #[test]
    fn slabs_and_sheaves_of_all_cpus_and_nodes_add_up() {
        let slabs = PerCpuFree { objects_per_slab: 21, cpu_partial: 120, sheaf_capacity: 0 };
        assert_eq!([slabs.most(1, 1), slabs.most(2, 1)], [21 * 13, 2 * 21 * 13]);
        let sheaves = PerCpuFree { objects_per_slab: 16, cpu_partial: 0, sheaf_capacity: 32 };
        assert_eq!(sheaves.most(2, 1), 2 * (16 + 3 * 32) + 10 * 32);
        assert_eq!(PerCpuFree::default().most(256, 8), 0);
    }
}
