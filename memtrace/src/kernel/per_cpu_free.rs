//! Free objects in a cache's per-CPU lists, which CPUs take without locks. Slabinfo counts them as active.

/// Full sheaves of a node, at most (`MAX_FULL_SHEAVES`).
const SHEAVES_PER_NODE: u64 = 10;

/// Sheaves of a CPU: one to take from, a spare one, and one that collects objects for RCU to free.
const SHEAVES_PER_CPU: u64 = 3;

/// How many free objects a cache may have in per-CPU lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerCpuFree {
    pub objects_per_slab: u32,
    /// Slabs that a CPU may have besides the one it allocates from; 0 where CPUs have none.
    pub partial_slabs: u32,
    /// Objects in a sheaf; 0 where the cache has none. They came with Linux commit 2d517aa09bbc ("slab: add opt-in
    /// caching layer of percpu sheaves") (in v6.18).
    pub sheaf_capacity: u32,
}

impl PerCpuFree {
    /// The maximum number of objects: each CPU's slab and its partial slabs may be all free by now.
    pub fn most(self, cpus: u64, nodes: u64) -> u64 {
        let [objects_per_slab, partial_slabs, sheaf_capacity] =
            [self.objects_per_slab, self.partial_slabs, self.sheaf_capacity].map(u64::from);
        let in_slabs = objects_per_slab.saturating_mul(1 + partial_slabs);
        let of_cpu = in_slabs.saturating_add(SHEAVES_PER_CPU * sheaf_capacity);
        cpus.saturating_mul(of_cpu).saturating_add(nodes * SHEAVES_PER_NODE * sheaf_capacity)
    }

    /// Slabs where the kernel limits the objects in them: it counts those that are free as a slab is added, one at least, and not those
    /// that are freed later. Since Linux commit b47291ef02b0 ("mm, slub: change percpu partial accounting from objects to pages") (in
    /// v5.16) it counts slabs.
    pub fn slabs_within(objects: u32) -> u32 {
        // The limit is looked at before one is added.
        if objects == 0 { 0 } else { objects.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::PerCpuFree;

    #[test]
    fn slabs_and_sheaves_of_all_cpus_and_nodes_add_up() {
        let slabs = PerCpuFree { objects_per_slab: 21, partial_slabs: 12, sheaf_capacity: 0 };
        assert_eq!([slabs.most(1, 1), slabs.most(2, 1)], [21 * 13, 2 * 21 * 13]);
        let sheaves = PerCpuFree { objects_per_slab: 16, partial_slabs: 0, sheaf_capacity: 32 };
        assert_eq!(sheaves.most(2, 1), 2 * (16 + 3 * 32) + 10 * 32);
        assert_eq!(PerCpuFree::default().most(256, 8), 0);
        let wild =
            PerCpuFree { objects_per_slab: u32::MAX, partial_slabs: u32::MAX, sheaf_capacity: u32::MAX };
        assert_eq!(wild.most(u64::MAX, 8), u64::MAX);
    }

    #[test]
    fn each_slab_had_one_free_object_when_it_was_added() {
        assert_eq!([0, 13, 30, u32::MAX].map(PerCpuFree::slabs_within), [0, 14, 31, u32::MAX]);
    }
}
