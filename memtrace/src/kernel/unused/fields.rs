//! Where the kernel counts unused dentries and inodes, in bytes.

use crate::kernel::types::{KernelTypes, TypesError};

#[derive(Clone, Debug)]
pub struct UnusedFields {
    pub superblock: SuperblockFields,
    pub lists: ListFields,
    pub cgroups: ControlFields,
}

/// Of `struct super_block`, and what it leads to.
#[derive(Clone, Debug)]
pub struct SuperblockFields {
    /// Links all of them.
    pub list: u32,
    pub root: u32,
    pub device: u32,
    pub dentries: u32,
    pub inodes: u32,
    pub dentry_superblock: u32,
    pub inode_superblock: u32,
}

/// Of `struct list_lru`.
#[derive(Clone, Debug)]
pub struct ListFields {
    /// A pointer to an entry for each node.
    pub nodes: u32,
    pub node_size: u32,
    /// In such an entry: of all cgroups, and of the root's own.
    pub all: u32,
    pub root: u32,
    pub by_cgroup: ByCgroup,
}

/// How the lists of the other cgroups are found, by their numbers.
#[derive(Clone, Debug)]
pub enum ByCgroup {
    /// In a tree, each with an array of one for each node: Linux commit bbca91cca9a9 ("mm: list_lru: replace linear array with xarray")
    /// (in v5.18).
    Tree { head: u32, shift: u32, slots: u32, slot_count: u32, lists: u32, list_size: u32, count: u32 },
    /// In an array of pointers, one array for each node.
    Arrays { array: u32, lists: u32, count: u32 },
    /// The kernel has no memory cgroups.
    No,
}

/// From a memory cgroup to the others, and to its number in such lists.
#[derive(Clone, Debug)]
pub struct ControlFields {
    pub parent: u32,
    pub children: u32,
    pub sibling: u32,
    pub state: u32,
    pub number: u32,
}

impl UnusedFields {
    pub fn find(types: &KernelTypes) -> Result<Self, TypesError> {
        let superblock = |field| types.offset("super_block", field);
        Ok(Self {
            superblock: SuperblockFields {
                list: superblock("s_list")?,
                root: superblock("s_root")?,
                device: superblock("s_dev")?,
                dentries: superblock("s_dentry_lru")?,
                inodes: superblock("s_inode_lru")?,
                dentry_superblock: types.offset("dentry", "d_sb")?,
                inode_superblock: types.offset("inode", "i_sb")?,
            },
            lists: lists(types)?,
            cgroups: ControlFields {
                parent: types.offset("cgroup_subsys_state", "parent")?,
                children: types.offset("cgroup_subsys_state", "children")?,
                sibling: types.offset("cgroup_subsys_state", "sibling")?,
                state: types.offset("mem_cgroup", "css")?,
                number: types.offset("mem_cgroup", "kmemcg_id")?,
            },
        })
    }
}

fn lists(types: &KernelTypes) -> Result<ListFields, TypesError> {
    Ok(ListFields {
        nodes: types.offset("list_lru", "node")?,
        node_size: types.size("list_lru_node")?,
        all: types.offset("list_lru_node", "nr_items")?,
        root: types.offset("list_lru_node", "lru.nr_items")?,
        by_cgroup: by_cgroup(types)?,
    })
}

fn by_cgroup(types: &KernelTypes) -> Result<ByCgroup, TypesError> {
    if let Ok(head) = types.offset("list_lru", "xa.xa_head") {
        return Ok(ByCgroup::Tree {
            head,
            shift: types.offset("xa_node", "shift")?,
            slots: types.offset("xa_node", "slots")?,
            slot_count: types.array_length("xa_node", "slots")?,
            lists: types.offset("list_lru_memcg", "node")?,
            list_size: types.size("list_lru_one")?,
            count: types.offset("list_lru_one", "nr_items")?,
        });
    }
    let Ok(array) = types.offset("list_lru_node", "memcg_lrus") else { return Ok(ByCgroup::No) };
    Ok(ByCgroup::Arrays {
        array,
        lists: types.offset("list_lru_memcg", "lru")?,
        count: types.offset("list_lru_one", "nr_items")?,
    })
}
