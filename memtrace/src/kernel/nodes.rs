//! On which NUMA node an object's memory is.
//!
//! The object's page tells, in its flags, and the page is found from the object's address as its slab cache is: see
//! [`super::pages`]. So the probes need not ask, no physical address is needed, and it holds wherever pages are found. A block of
//! memory is of one node, so a page is read once for each block. Where only one node has memory, nothing is read.

use std::{fs, io};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use memtrace_common::{config::Pages, page};

use super::{
    discover::Kernel,
    layout::PageNode,
    memory::{Memory, Readable as _},
    trials::Reason,
};
use crate::stream::event::{Address, NO_NODE, NodeId};

/// Bytes of a block, as a power of two: 2 MiB. Firmware gives nodes memory in larger pieces.
const BLOCK_SHIFT: u32 = 21;

/// So many blocks are remembered, which is 128 GiB; then it begins anew.
const MAX_BLOCKS: usize = 1 << 16;

/// Nodes that have memory, and those that there can be.
const WITH_MEMORY: &str = "/sys/devices/system/node/has_memory";
const POSSIBLE: &str = "/sys/devices/system/node/possible";

/// Tells the NUMA node of an object.
pub enum Nodes {
    /// There is no other.
    One(NodeId),
    Several(ByPage),
}

/// By what the objects' pages say.
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
            return Err("the kernel's types do not tell how many nodes there can be".to_owned());
        }
        let possible = read_list(POSSIBLE)?;
        Ok(Self::Several(ByPage { pages, page_node, possible, blocks: HashMap::default() }))
    }

    /// The node of an object that is there, or was a moment ago; [`NO_NODE`] where it cannot be read.
    pub fn of(&mut self, memory: &Memory, object: Address) -> NodeId {
        match self {
            Self::One(node) => *node,
            Self::Several(nodes) => nodes.of(|address| memory.u64(address).ok(), object),
        }
    }
}

impl ByPage {
    fn of(&mut self, read: impl FnOnce(Address) -> Option<u64>, object: Address) -> NodeId {
        let block = object >> BLOCK_SHIFT;
        if let Some(&node) = self.blocks.get(&block) {
            return node;
        }
        let Pages { base, page_shift, page_size, .. } = self.pages;
        let page = page::of(object, base, page_shift, page_size);
        let Some(flags) = read(page.wrapping_add(u64::from(self.page_node.flags))) else { return NO_NODE };
        let Some(node) = node(flags, self.page_node.bits, &self.possible) else { return NO_NODE };
        if self.blocks.len() == MAX_BLOCKS {
            self.blocks.clear();
        }
        self.blocks.insert(block, node);
        node
    }
}

/// What a page's flags say; None if there is no such node, so that they were misread.
fn node(flags: u64, bits: u32, possible: &[NodeId]) -> Option<NodeId> {
    let node = flags.checked_shr(u64::BITS - bits).unwrap_or(0);
    NodeId::try_from(node).ok().filter(|node| possible.contains(node))
}

/// Empty where there is no such file.
fn read_list(path: &str) -> Result<Vec<NodeId>, Reason> {
    match fs::read_to_string(path) {
        Ok(text) => list(text.trim()).ok_or_else(|| format!("{path} is no list of numbers: {text:?}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

/// `0-1,4`, as the kernel prints sets of numbers.
fn list(text: &str) -> Option<Vec<NodeId>> {
    let ranges = text.split(',').filter(|range| !range.is_empty()).map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<NodeId>().ok()?..=last.parse().ok()?)
    });
    let ranges: Option<Vec<_>> = ranges.collect();
    Some(ranges?.into_iter().flatten().collect())
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
        let page = page::of(base + 0x3008, 0, 12, 64);
        assert_eq!(nodes.of(at(page), base + 0x3008), 5);
        assert_eq!(nodes.of(|_| panic!("it is known"), base + 0x1f_fff8), 5);
        assert_eq!(nodes.of(|_| None, base + 0x20_0000), NO_NODE, "what could not be read is asked again");
        assert_eq!(nodes.of(|_| Some(1 << 54), base + 0x20_0000), 1);
        assert_eq!(nodes.of(|_| Some(7 << 54), base + 0x40_0000), NO_NODE, "there is no such node");
    }

    #[test]
    fn memory_of_many_blocks_is_not_all_remembered() {
        let mut nodes = by_page();
        for block in 0..=MAX_BLOCKS as u64 {
            assert_eq!(nodes.of(|_| Some(1 << 54), block << BLOCK_SHIFT), 1);
        }
        assert_eq!(nodes.blocks.len(), 1);
    }

    #[test]
    fn kernels_for_one_node_have_no_bits_for_it() {
        assert_eq!(node(u64::MAX, 0, &[0]), Some(0));
        assert_eq!(node(u64::MAX, 1, &[0, 1]), Some(1));
        assert_eq!(node(u64::MAX >> 1, 1, &[0, 1]), Some(0));
    }

    #[test]
    fn lists_as_the_kernel_prints_them() {
        assert_eq!(list("0"), Some(vec![0]));
        assert_eq!(list("0-2,4,8-9"), Some(vec![0, 1, 2, 4, 8, 9]));
        assert_eq!(list(""), Some(Vec::new()));
        for odd in ["x", "0-", "-1", "0,x", "70000"] {
            assert_eq!(list(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_kernel_says_how_many_nodes_it_can_have() {
        let Some(types) = types::tests::some_kernel() else { return };
        let page_node = layout::Layout::from_types(&types).unwrap().page_node.unwrap();
        assert!(page_node.bits <= 10, "{page_node:?}");
    }

    proptest! {
        #[test]
        fn any_text(text in "\\PC{0,40}") {
            let _ = list(&text);
        }

        #[test]
        fn flags_tell_the_node_in_their_uppermost_bits(id in 0..1024_u16, rest in any::<u64>()) {
            let flags = u64::from(id) << 54 | rest >> 10;
            prop_assert_eq!(node(flags, 10, &[id]), Some(id));
        }
    }
}
