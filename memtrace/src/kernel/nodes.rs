//! On which NUMA node an object's memory is.
//!
//! The flags of the object's page say it, and the page is found from the object's address as for its slab cache: see
//! [`super::pages`]. So the probes have nothing to do, and no physical address is needed. A block of memory belongs to one node, so
//! one page is read per block. Where only one node has memory, nothing is read.

use std::{fs, io};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use memtrace_common::{config::Pages, page};

use super::{
    discover::Kernel,
    layout::PageNode,
    memory::{Memory, Readable as _},
    reason::Reason,
};
use crate::{
    procfs::id_list,
    stream::event::{Address, NO_NODE, NodeId},
};

/// Bytes of a block, as a power of two: 2 MiB. Firmware gives nodes memory in larger pieces.
const BLOCK_SHIFT: u32 = 21;

/// Blocks that are remembered, for 128 GiB; then the memory of them is cleared.
const MAX_BLOCKS: usize = 1 << 16;

/// Nodes that have memory, and those that there can be.
const WITH_MEMORY: &str = "/sys/devices/system/node/has_memory";
const POSSIBLE: &str = "/sys/devices/system/node/possible";

/// Finds the NUMA node of an object.
pub enum Nodes {
    /// The only one that has memory.
    One(NodeId),
    Several(ByPage),
}

/// By the flags of the objects' pages.
pub struct ByPage {
    pages: Pages,
    page_node: PageNode,
    possible: Vec<NodeId>,
    /// By the address of a block in [`BLOCK_SHIFT`].
    blocks: HashMap<u64, NodeId, FixedState>,
}

impl Nodes {
    pub fn find(kernel: &Kernel) -> Result<Self, Reason> {
        match read_list(WITH_MEMORY)?[..] {
            // A kernel without NUMA.
            [] => return Ok(Self::One(0)),
            [only] => return Ok(Self::One(only)),
            _ => {}
        }
        let (pages, page_node) = (kernel.pages.clone()?, kernel.layout.page_node.clone()?);
        if page_node.bits == 0 {
            return Err("the kernel's types do not say how many nodes there can be".to_owned());
        }
        let possible = read_list(POSSIBLE)?;
        Ok(Self::Several(ByPage { pages, page_node, possible, blocks: HashMap::default() }))
    }

    /// The node of an object that is there, or was a moment ago; [`NO_NODE`] where it cannot be read.
    pub fn node(&mut self, memory: &Memory, object: Address) -> NodeId {
        match self {
            Self::One(node) => *node,
            Self::Several(nodes) => nodes.node(|address| memory.u64(address).ok(), object),
        }
    }
}

impl ByPage {
    fn node(&mut self, read: impl FnOnce(Address) -> Option<u64>, object: Address) -> NodeId {
        let block = object >> BLOCK_SHIFT;
        if let Some(&node) = self.blocks.get(&block) {
            return node;
        }
        let Pages { base, page_shift, page_size, .. } = self.pages;
        let page = page::address_of(object, base, page_shift, page_size);
        let Some(flags) = read(page.wrapping_add(u64::from(self.page_node.flags))) else { return NO_NODE };
        let Some(node) = node_of(flags, self.page_node, &self.possible) else { return NO_NODE };
        if self.blocks.len() == MAX_BLOCKS {
            self.blocks.clear();
        }
        self.blocks.insert(block, node);
        node
    }
}

/// What a page's flags say; None if there is no such node, so that they were misread.
fn node_of(flags: u64, page_node: PageNode, possible: &[NodeId]) -> Option<NodeId> {
    NodeId::try_from(page_node.of(flags)).ok().filter(|node| possible.contains(node))
}

/// Empty where there is no such file.
fn read_list(path: &str) -> Result<Vec<NodeId>, Reason> {
    match fs::read(path) {
        Ok(text) => id_list::parse(&text)
            .ok_or_else(|| format!("{path} is not a list of numbers: {}", text.escape_ascii())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::{layout, types};

    fn by_page() -> ByPage {
        let pages = Pages { base: 0, page_shift: 12, page_size: 64, ..Pages::default() };
        let page_node = PageNode { flags: 0, bits: 10 };
        ByPage { pages, page_node, possible: vec![0, 1, 5], blocks: HashMap::default() }
    }

    #[test]
    fn a_block_is_read_once() {
        let (mut nodes, base) = (by_page(), 0xffff_8881_0000_0000);
        let at = |page: u64| move |asked| (asked == page).then_some(5 << 54 | 0x20_0000_0000_1234);
        let page = page::address_of(base + 0x3008, 0, 12, 64);
        assert_eq!(nodes.node(at(page), base + 0x3008), 5);
        assert_eq!(nodes.node(|_| panic!("it is known"), base + 0x1f_fff8), 5);
        assert_eq!(nodes.node(|_| None, base + 0x20_0000), NO_NODE, "what could not be read is asked again");
        assert_eq!(nodes.node(|_| Some(1 << 54), base + 0x20_0000), 1);
        assert_eq!(nodes.node(|_| Some(7 << 54), base + 0x40_0000), NO_NODE, "there is no such node");
    }

    #[test]
    fn memory_of_many_blocks_is_not_all_remembered() {
        let mut nodes = by_page();
        for block in 0..=MAX_BLOCKS as u64 {
            assert_eq!(nodes.node(|_| Some(1 << 54), block << BLOCK_SHIFT), 1);
        }
        assert_eq!(nodes.blocks.len(), 1);
    }

    #[test]
    fn kernels_for_one_node_have_no_bits_for_it() {
        assert_eq!(node_of(u64::MAX, PageNode { flags: 0, bits: 0 }, &[0]), Some(0));
        assert_eq!(node_of(u64::MAX, PageNode { flags: 0, bits: 1 }, &[0, 1]), Some(1));
        assert_eq!(node_of(u64::MAX >> 1, PageNode { flags: 0, bits: 1 }, &[0, 1]), Some(0));
    }

    #[test]
    fn this_kernel_says_how_many_nodes_it_can_have() {
        let Some(types) = types::tests::some_kernel() else { return };
        let page_node = layout::Layout::from_types(&types).unwrap().page_node.unwrap();
        assert!(page_node.bits <= 10, "{page_node:?}");
    }

    proptest! {
        #[test]
        fn flags_tell_the_node_in_their_uppermost_bits(id in 0..1024_u16, rest in any::<u64>()) {
            let flags = u64::from(id) << 54 | rest >> 10;
            prop_assert_eq!(node_of(flags, PageNode { flags: 0, bits: 10 }, &[id]), Some(id));
        }
    }
}
