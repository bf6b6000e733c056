//! How the slabs of a cache are laid out.

use memtrace_common::{
    census::{BEGINNING, MAX_OBJECTS, Question, SLOTS},
    config::Pages,
};

use super::layout::SlabsLayout;
use crate::kernel::{
    caches::KernelCache,
    memory::{Memory, MemoryError, Readable as _},
};

/// Of one cache; offsets and sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub cache: u64,
    pub size: u64,
    /// Objects of a whole slab.
    pub objects: u32,
    link: u64,
    random: u64,
    left_pad: u64,
}

impl Shape {
    pub fn read(memory: &Memory, layout: &SlabsLayout, cache: &KernelCache) -> Result<Self, MemoryError> {
        let at = |offset: u32| cache.address + u64::from(offset);
        let fields = &layout.cache;
        Ok(Self {
            cache: cache.address,
            size: cache.size,
            objects: cache.objects,
            link: memory.u32(at(fields.link))?.into(),
            random: fields.random.map_or(Ok(0), |random| memory.u64(at(random)))?,
            left_pad: fields.left_pad.map_or(Ok(0), |pad| memory.u32(at(pad)).map(u64::from))?,
        })
    }

    /// Its slabs can be looked at.
    pub fn is_readable(&self) -> bool {
        self.size > 0 && (1..=MAX_OBJECTS).contains(&self.objects)
    }

    pub fn question(&self, slab: Slab, stride: u32, cpu: u64, slots: [u64; SLOTS]) -> Question {
        Question {
            slab: slab.head,
            first: slab.address.wrapping_add(self.left_pad),
            size: self.size,
            link: self.link,
            random: self.random,
            cpu,
            stride: stride.into(),
            slots,
            round: 0,
            lists: [BEGINNING; 2],
        }
    }

    pub fn object(&self, slab: Slab, number: u64) -> u64 {
        slab.address.wrapping_add(self.left_pad + number * self.size)
    }

    /// The number of the object at an address; None where no object begins there.
    pub fn number(&self, slab: Slab, object: u64) -> Option<u64> {
        let offset = object.checked_sub(slab.address.wrapping_add(self.left_pad))?;
        (offset % self.size == 0).then_some(offset / self.size)
    }

    /// The numbers of the objects that begin in a page of a slab that has `objects` of them.
    pub fn beginning_in(&self, page: u64, page_bytes: u64, objects: u64) -> std::ops::Range<u64> {
        let from = |offset: u64| offset.saturating_sub(self.left_pad).div_ceil(self.size).min(objects);
        from(page * page_bytes)..from((page + 1) * page_bytes)
    }
}

/// A slab, by its page and by its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slab {
    /// Address of its first `struct page`.
    pub head: u64,
    /// Where its memory begins.
    pub address: u64,
}

impl Slab {
    pub fn at(head: u64, pages: &Pages) -> Self {
        let number = head.wrapping_sub(pages.base) / u64::from(pages.page_size);
        Self { head, address: number << pages.page_shift }
    }
}

#[cfg(test)]
mod tests {
    use memtrace_common::page;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each object begins in exactly one page of its slab.
        #[test]
        fn pages_share_the_objects(size in 8..9000_u64, order in 0..4_u32, left_pad in prop::sample::select(vec![0_u64, 8, 64])) {
            let pages = 1 << order;
            let objects = (pages * 4096 - left_pad) / size;
            prop_assume!(objects > 0);
            let shape = Shape { size, left_pad, ..Shape::default() };
            let mut all = Vec::new();
            for page in 0..pages {
                for number in shape.beginning_in(page, 4096, objects) {
                    let begins = left_pad + number * size;
                    prop_assert!((page * 4096..(page + 1) * 4096).contains(&begins), "{number} in page {page}");
                    all.push(number);
                }
            }
            prop_assert_eq!(all, (0..objects).collect::<Vec<_>>());
        }

        #[test]
        fn a_slab_is_where_its_objects_are(base in (1 << 63)..0xffff_f000_0000_0000_u64, frame in 0..1_u64 << 34, number in 0..64_u64) {
            let pages = Pages { base: base & !63, page_shift: 12, page_size: 64, ..Pages::default() };
            let address = 0xffff_8880_0000_0000 + (frame << 12);
            let slab = Slab::at(page::address_of(address, pages.base, 12, 64), &pages);
            prop_assert_eq!(slab.address, address);
            let shape = Shape { size: 192, left_pad: 64, ..Shape::default() };
            prop_assert_eq!(shape.number(slab, shape.object(slab, number)), Some(number));
            prop_assert_eq!(shape.number(slab, shape.object(slab, number) + 8), None);
        }
    }
}
