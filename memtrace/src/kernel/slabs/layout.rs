//! What looking at slabs takes to know of this kernel's types.

use memtrace_common::config::Slabs;

use crate::kernel::{
    reason::Reason,
    types::{KernelTypes, TypesError},
};

/// Offsets and sizes in bytes, as this kernel's BTF has them.
#[derive(Clone, Debug)]
pub struct SlabsLayout {
    /// For the program that looks at slabs.
    pub slabs: Slabs,
    /// Bytes from one charge to the next, where they are in an array; or why charges cannot be read.
    pub stride: Result<u32, Reason>,
    /// How a page says that it is of a slab.
    pub mark: Mark,
    pub cache: CacheFields,
    /// What processors and nodes have at hand.
    pub at_hand: AtHandFields,
    pub anchor: AnchorFields,
}

/// The second witness that a page is of a slab; the first is its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In the uppermost byte of its type: Linux commit 4ffca5a96678 ("mm: support only one page_type per page") (in v6.12).
    Type(u32),
    /// A bit of its flags: `PG_slab`.
    Flag(u32),
    /// The types do not say: v6.10 and v6.11 have a bit of the page's type.
    Unknown,
}

/// Of `struct kmem_cache`.
#[derive(Clone, Debug)]
pub struct CacheFields {
    /// Where in a free object the pointer to the next one is.
    pub link: u32,
    /// What hides that pointer: CONFIG_SLAB_FREELIST_HARDENED.
    pub random: Option<u32>,
    /// In front of each object: for red zones.
    pub left_pad: Option<u32>,
    /// For each processor, what it allocates from: up to v6.19.
    pub cpu_slab: Option<u32>,
    /// For each processor, free objects: from v6.18.
    pub cpu_sheaves: Option<u32>,
}

/// Free objects that processors and nodes have at hand in sheaves: `struct slub_percpu_sheaves`, `slab_sheaf`, `node_barn`.
#[derive(Clone, Debug)]
pub struct AtHandFields {
    /// Of the sheaves of a processor.
    pub sheaves: Vec<u32>,
    pub sheaf_size: u32,
    pub sheaf_objects: u32,
    pub sheaf_list: u32,
    /// From the entry of a node in a cache to its barn, and from one entry to the next.
    pub barn: Option<BarnFields>,
}

#[derive(Clone, Debug)]
pub struct BarnFields {
    /// In `kmem_cache`: the first node's.
    pub nodes: u32,
    pub node_stride: u32,
    /// In what is found there.
    pub pointer: BarnPointer,
    /// `node_barn.sheaves_full`.
    pub full: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum BarnPointer {
    /// The entry itself has it: `kmem_cache_per_node_ptrs`, from v7.1.
    InEntry(u32),
    /// `kmem_cache_node` has it.
    InNode(u32),
}

/// From a task to the page of a file of its own.
#[derive(Clone, Debug)]
pub struct AnchorFields {
    pub task_files: u32,
    pub files_table: u32,
    pub table_files: u32,
    pub file_inode: u32,
    pub inode_mapping: u32,
    pub mapping_page: u32,
    pub file_private: u32,
    /// `bpf_array.pptrs`.
    pub map_values: u32,
}

impl SlabsLayout {
    pub fn find(types: &KernelTypes) -> Result<Self, TypesError> {
        let vector = vector(types);
        let cache = |field| types.offset("kmem_cache", field);
        Ok(Self {
            slabs: slabs(types, vector.as_ref().map_or(0, |(vector, _)| *vector))?,
            stride: vector.map(|(_, stride)| stride),
            mark: mark(types),
            cache: CacheFields {
                link: cache("offset")?,
                random: cache("random").ok(),
                left_pad: cache("red_left_pad").ok(),
                cpu_slab: cache("cpu_slab").ok(),
                cpu_sheaves: cache("cpu_sheaves").ok(),
            },
            at_hand: at_hand(types),
            anchor: anchor(types)?,
        })
    }
}

fn slab(types: &KernelTypes, field: &str) -> Result<u32, TypesError> {
    types.first_offset(&[("slab", field), ("page", field)])
}

fn slabs(types: &KernelTypes, vector: u32) -> Result<Slabs, TypesError> {
    let counters = slab(types, "counters")?;
    let in_object = types.bit_offset("slab", "obj_exts_in_object");
    let charges = |structure, path| if vector == 0 { Ok(0) } else { types.offset(structure, path) };
    let cpu = |fields: &[(&str, &str)]| types.first_offset(fields).unwrap_or_default();
    Ok(Slabs {
        in_object: in_object.map_or(0, |bit| 1 << (bit - counters * 8)),
        freelist: slab(types, "freelist")?,
        counters,
        // Linux commit 46df8e73a4a3 ("mm: free up PG_slab") (in v6.10) made it say which pages are of slabs.
        page_type: types.first_offset(&[("slab", "__page_type"), ("page", "page_type")])?,
        flags: types.offset("page", "flags")?,
        vector,
        objcg_refcnt: charges("obj_cgroup", "refcnt.percpu_count_ptr")?,
        objcg_memcg: charges("obj_cgroup", "memcg")?,
        memcg_state: charges("mem_cgroup", "css")?,
        state_cgroup: charges("cgroup_subsys_state", "cgroup")?,
        cgroup_node: charges("cgroup", "kn")?,
        node_id: charges("kernfs_node", "id")?,
        cpu_slab: cpu(&[("kmem_cache_cpu", "slab"), ("kmem_cache_cpu", "page")]),
        cpu_freelist: cpu(&[("kmem_cache_cpu", "freelist")]),
        cpu_tid: cpu(&[("kmem_cache_cpu", "tid")]),
    })
}

/// Where the charges of a slab's objects are, and how far apart.
///
/// `page.obj_cgroups` up to v5.10; `memcg_data` since Linux commit 87944e2992bd ("mm: Introduce page memcg flags") (in v5.11);
/// `slab.obj_exts` since 21c690a349ba ("mm: introduce slabobj_ext to support slab object extensions") (in v6.10).
fn vector(types: &KernelTypes) -> Result<(u32, u32), Reason> {
    if let Ok(vector) = types.offset("slab", "obj_exts") {
        let stride = types.size("slabobj_ext").map_err(|error| error.to_string())?;
        let is_of_slab = types.bit_offset("slab", "obj_exts_needs_objcg").is_ok();
        if is_of_slab && stride != POINTER {
            return Err("slabs of this kernel decide for themselves how charges lie in them".to_owned());
        }
        return Ok((vector, stride));
    }
    let vector =
        types.first_offset(&[("slab", "memcg_data"), ("page", "memcg_data"), ("page", "obj_cgroups")]);
    let vector = vector.map_err(|_| "this kernel does not charge slab objects to cgroups".to_owned())?;
    types.offset("obj_cgroup", "memcg").map_err(|error| error.to_string())?;
    Ok((vector, POINTER))
}

/// Bytes.
const POINTER: u32 = 8;

fn mark(types: &KernelTypes) -> Mark {
    if let Ok(kind) = types.enumerator("pagetype", "PGTY_slab") {
        return Mark::Type(kind);
    }
    types.enumerator("pageflags", "PG_slab").map_or(Mark::Unknown, Mark::Flag)
}

fn at_hand(types: &KernelTypes) -> AtHandFields {
    let field = |structure, path| types.offset(structure, path);
    let sheaves = ["main", "spare", "rcu_free"];
    AtHandFields {
        sheaves: sheaves.iter().filter_map(|sheaf| field("slub_percpu_sheaves", sheaf).ok()).collect(),
        sheaf_size: field("slab_sheaf", "size").unwrap_or_default(),
        sheaf_objects: field("slab_sheaf", "objects").unwrap_or_default(),
        sheaf_list: field("slab_sheaf", "barn_list").unwrap_or_default(),
        barn: barn(types).ok(),
    }
}

fn barn(types: &KernelTypes) -> Result<BarnFields, TypesError> {
    let full = types.offset("node_barn", "sheaves_full")?;
    if let Ok(nodes) = types.offset("kmem_cache", "per_node") {
        return Ok(BarnFields {
            nodes,
            node_stride: types.size("kmem_cache_per_node_ptrs")?,
            pointer: BarnPointer::InEntry(types.offset("kmem_cache_per_node_ptrs", "barn")?),
            full,
        });
    }
    Ok(BarnFields {
        nodes: types.offset("kmem_cache", "node")?,
        node_stride: POINTER,
        pointer: BarnPointer::InNode(types.offset("kmem_cache_node", "barn")?),
        full,
    })
}

fn anchor(types: &KernelTypes) -> Result<AnchorFields, TypesError> {
    Ok(AnchorFields {
        task_files: types.offset("task_struct", "files")?,
        files_table: types.offset("files_struct", "fdt")?,
        table_files: types.offset("fdtable", "fd")?,
        file_inode: types.offset("file", "f_inode")?,
        inode_mapping: types.offset("inode", "i_mapping")?,
        mapping_page: types.offset("address_space", "i_pages.xa_head")?,
        file_private: types.offset("file", "private_data")?,
        map_values: types.offset("bpf_array", "pptrs")?,
    })
}
