use super::{super::types, *};

/// The programs take arguments by constant indices, the verifier wants it so: an index that they have no arm for would
/// silently trace nothing.
#[test]
fn the_programs_know_every_argument() {
    let Some(types) = types::tests::some_kernel() else { return };
    let Arguments {
        alloc_cache,
        free_cache,
        alloc_gfp,
        kmalloc_gfp,
        alloc_return,
        alloc_lru_return,
        alloc_node_return,
        d_alloc_return,
        d_alloc_parallel_return,
        free_is_late: _,
        alloc_bulk_returns,
        kfree_rcu_sheaf_return,
    } = Layout::from_types(&types).unwrap().arguments;
    for (name, index, known) in [
        ("alloc_cache", alloc_cache, &[2, NO_ARGUMENT][..]),
        ("free_cache", free_cache, &[2, NO_ARGUMENT]),
        ("alloc_gfp", alloc_gfp, &[3, 4, 5]),
        ("kmalloc_gfp", kmalloc_gfp, &[4, 5]),
        // The return value stands behind the last argument.
        ("alloc_return", alloc_return, &[2, 3, NO_ARGUMENT]),
        ("alloc_lru_return", alloc_lru_return, &[3, 4, NO_ARGUMENT]),
        ("alloc_node_return", alloc_node_return, &[3, 4, NO_ARGUMENT]),
        ("d_alloc_return", d_alloc_return, &[2, 3]),
        ("d_alloc_parallel_return", d_alloc_parallel_return, &[2, 3]),
        ("alloc_bulk_returns", alloc_bulk_returns, &[RETURNS_COUNT, RETURNS_BOOL, NO_ARGUMENT]),
        ("kfree_rcu_sheaf_return", kfree_rcu_sheaf_return, &[2, 3, NO_ARGUMENT]),
    ] {
        assert!(known.contains(&index), "{name}: {index}");
    }
}

#[test]
fn fields_of_one_structure_are_apart() {
    let Some(types) = types::tests::some_kernel() else { return };
    let Layout { offsets, cache, slab, task, .. } = Layout::from_types(&types).unwrap();
    for (structure, fields) in [
        (
            "kmem_cache",
            vec![cache.name, cache.size, cache.object_size, cache.order_objects, cache.list, cache.nodes],
        ),
        ("dentry", vec![offsets.dentry_parent, offsets.dentry_name, offsets.dentry_name_len]),
        ("page", vec![offsets.slab_cache, slab.list, slab.freelist]),
        ("task_struct", vec![offsets.task_flags, task.nsproxy]),
    ] {
        let size = types.size(structure).unwrap();
        assert!(fields.iter().all(|offset| *offset < size), "{structure} of {size}: {fields:?}");
        let mut apart = fields.clone();
        apart.sort_unstable();
        apart.dedup();
        assert_eq!(apart.len(), fields.len(), "{structure}: {fields:?}");
    }
    // Bit 0 of this word tells a tail page, so it is aligned to a word.
    assert_eq!(offsets.page_compound_head % 8, 0);
    assert!(slab.page_size >= 56 && slab.page_size % 8 == 0, "{}", slab.page_size);
}

/// Linux commit 11e9734bcb6a ("mm/slab_common: unify NUMA and UMA version of tracepoints") (in v6.1) did both at once.
#[test]
fn the_cache_became_an_argument_as_the_node_tracepoints_went() {
    let Some(types) = types::tests::some_kernel() else { return };
    let layout = Layout::from_types(&types).unwrap();
    assert_eq!(layout.alloc_names_cache(), !layout.has_node_tracepoints);
}
