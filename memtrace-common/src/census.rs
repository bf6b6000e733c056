//! Looking at slabs in the kernel's memory: userspace runs `scan` to learn which page frames belong to slabs, and `look`
//! to see what one slab holds (`BPF_PROG_TEST_RUN`). A run goes under RCU and without preemption, so that what it follows cannot
//! go away meanwhile, and must be short. The allocation path pays nothing for either.

/// Page frames of one run of `scan`.
pub const SCAN_PAGES: usize = 64;

/// Objects of a slab that `look` can tell apart; a slab with more is left out.
pub const MAX_OBJECTS: u32 = 512;

/// Of these, as many as one run goes through: the verifier goes through each step, and compares it with all before it.
pub const STEPS: u32 = 64;

/// Objects whose charge one run of `look` follows.
pub const SLOTS: usize = 2;

/// For a slot that is not asked for.
pub const NO_SLOT: u64 = u64::MAX;

/// The one entry of the map `SCAN`: question and answer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Addresses of `struct page`; those behind the last one are 0.
    pub pages: [u64; SCAN_PAGES],
    /// The first page of the compound page that a page is in; 0 where nothing is mapped.
    pub heads: [u64; SCAN_PAGES],
    /// What is there in place of `slab->slab_cache`: a cache's address in a slab, anything elsewhere, 0 where nothing is mapped.
    pub caches: [u64; SCAN_PAGES],
}

/// A bit for each object of a slab, in their order.
pub type Objects = [u64; MAX_OBJECTS as usize / 64];

/// For a list that is to be gone through from its beginning.
pub const BEGINNING: u64 = u64::MAX;

/// The question to `look`, as the program's arguments.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    /// Address of the `struct slab`.
    pub slab: u64,
    /// Its first object.
    pub first: u64,
    /// Bytes from one object to the next.
    pub size: u64,
    /// Where in a free object the pointer to the next one is.
    pub link: u64,
    /// `kmem_cache.random`, which hides those pointers; 0 where the kernel does not hide them.
    pub random: u64,
    /// The `struct kmem_cache_cpu` of the processor that allocates from this slab; 0 where none does.
    pub cpu: u64,
    /// Bytes from one charge to the next, where they are not in the objects.
    pub stride: u64,
    /// Numbers of the objects whose charges are followed, or [`NO_SLOT`].
    pub slots: [u64; SLOTS],
    /// How many runs came before on this slab; if any, the answer is added to what they found.
    pub round: u64,
    /// Where the lists of free objects go on: the slab's and its processor's; 0 at their end, [`BEGINNING`] at first.
    pub lists: [u64; 2],
}

/// Arguments of a raw tracepoint's program, at most: `MAX_BPF_FUNC_ARGS`.
const _: () = assert!(size_of::<Question>() <= 12 * 8);

/// The one entry of the map `LOOK`: the answer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// 1: everything could be read, and nothing changed meanwhile.
    pub is_whole: u64,
    /// Where the lists go on, as in the question to come.
    pub lists: [u64; 2],
    pub cache: u64,
    pub freelist: u64,
    /// Counts what the slab's processor does with its free objects; 0 where no processor allocates from it.
    pub tid: u64,
    /// `slab->counters`: 16 bits of objects that are in use, 15 of all, 1 whether a processor allocates from it.
    pub counters: u64,
    /// What leads to the charges: `slab->obj_exts`, `memcg_data` or `page->obj_cgroups`.
    pub vector: u64,
    /// `slab->__page_type`, `page->page_type`.
    pub page_type: u64,
    /// `page->flags`.
    pub flags: u64,
    /// On the slab's list of free objects, or on its processor's.
    pub free: Objects,
    /// Charged to somebody.
    pub charged: Objects,
    pub charges: [Charged; SLOTS],
}

impl Look {
    /// What changes whenever an object of the slab is allocated or freed, other than from a sheaf.
    pub fn moment(&self) -> [u64; 5] {
        [self.cache, self.freelist, self.tid, self.counters, self.vector]
    }
}

/// Whom an object is charged to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Charged {
    /// The `struct obj_cgroup`; 0 where the object is charged to nobody.
    pub objcg: u64,
    /// Its `refcnt.percpu_count_ptr`.
    pub refcnt: u64,
    /// The cgroup's id.
    pub cgroup: u64,
}

/// In [`Charged::refcnt`]: the cgroup was removed (`__PERCPU_REF_DEAD`, the same value since v3.18).
pub const REF_DEAD: u64 = 2;

/// In [`Look::vector`]: flags, not address. The largest alignment that kernels keep free for them.
pub const VECTOR_FLAGS: u64 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_no_gaps() {
        assert_eq!(size_of::<Question>(), 12 * 8);
    }
}
