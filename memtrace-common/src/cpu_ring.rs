//! Rings with a single writer: each program that sends events has one on each CPU.
//!
//! The kernel does not run a program that is already running on that CPU, whatever interrupts it: Linux commit 05b24ff9b2cf
//! ("bpf: Prevent bpf program recursion for raw tracepoint probes") (in v6.1), ca06f55b9002 ("bpf: Add per-program recursion
//! prevention mechanism") (in v5.12) for trampolines. So nobody else writes to a ring: it takes no lock, no atomic instruction and
//! no helper call. All rings lie in one array that userspace maps (`BPF_F_MMAPABLE`), as chunks of one size; what writer and reader
//! tell each other lies in another.
//!
//! **Order.** Rings are merged by the times of their records, which never go back in a ring. An allocation's is the clock's; it
//! is noted for the object's page, before anybody has the object. A free's is the latest that is noted for its page, or that of
//! the free before it in its ring if that is later: not before its object's allocation, and not after the free itself, which
//! needs no clock. The next allocation at that address reads the clock later. So what happens to one object is in its order, and
//! of two equal times the free's is the later one. The reader looks at the clock, then at the rings of frees, then at the others,
//! and reads what was some time before: what comes in front of it was written by then, since an event that is still being written
//! has no successor yet.
//!
//! **Room.** `head` and `tail` count bytes on and on. A record lies in the chunk that it begins in, and may reach into the
//! chunk's overhang; the next one begins in the next chunk, so much further. Behind the last chunk the ring goes on at its
//! beginning. A writer that finds its ring empty goes on at the beginning, too, so that the same lines are written again and
//! again while the reader keeps up, and stay in the CPU's cache: it says at which position (`restarted`).

use crate::{
    event::{LONG_NAME_LEN, MAX_FRAMES, SHORT_NAME_LEN, UserCall},
    generation::CacheId,
    names::program,
    ring::PAGE_SHIFT,
};

/// Programs that write to rings, by their number.
pub const WRITERS: [&str; 20] = [
    program::KMEM_CACHE_ALLOC,
    program::KMEM_CACHE_ALLOC_NODE,
    program::KMALLOC,
    program::KMALLOC_NODE,
    program::KMEM_CACHE_FREE,
    program::KFREE,
    program::KMEM_CACHE_ALLOC_BACKUP,
    program::KMALLOC_BACKUP,
    program::KMEM_CACHE_FREE_BACKUP,
    program::KFREE_BACKUP,
    program::ALLOC_FEXIT,
    program::ALLOC_LRU_FEXIT,
    program::ALLOC_NODE_FEXIT,
    program::FREE_FENTRY,
    program::FREE_BULK_FENTRY,
    program::ALLOC_BULK_FEXIT,
    program::KFREE_RCU_SHEAF_FEXIT,
    program::D_ALLOC_FEXIT,
    program::D_ALLOC_PARALLEL_FEXIT,
    program::D_ALLOC_KRETPROBE,
];

/// Numbers of [`WRITERS`].
pub mod writer {
    pub const KMEM_CACHE_ALLOC: usize = 0;
    pub const KMEM_CACHE_ALLOC_NODE: usize = 1;
    pub const KMALLOC: usize = 2;
    pub const KMALLOC_NODE: usize = 3;
    pub const KMEM_CACHE_FREE: usize = 4;
    pub const KFREE: usize = 5;
    pub const KMEM_CACHE_ALLOC_BACKUP: usize = 6;
    pub const KMALLOC_BACKUP: usize = 7;
    pub const KMEM_CACHE_FREE_BACKUP: usize = 8;
    pub const KFREE_BACKUP: usize = 9;
    pub const ALLOC_FEXIT: usize = 10;
    pub const ALLOC_LRU_FEXIT: usize = 11;
    pub const ALLOC_NODE_FEXIT: usize = 12;
    pub const FREE_FENTRY: usize = 13;
    pub const FREE_BULK_FENTRY: usize = 14;
    pub const ALLOC_BULK_FEXIT: usize = 15;
    pub const KFREE_RCU_SHEAF_FEXIT: usize = 16;
    pub const D_ALLOC_FEXIT: usize = 17;
    pub const D_ALLOC_PARALLEL_FEXIT: usize = 18;
    pub const D_ALLOC_KRETPROBE: usize = 19;
}

/// Bytes of a chunk in which records begin.
pub const CHUNK: u32 = 64 << 10;
/// Behind these, room for the rest of the last record.
pub const OVERHANG: u32 = 2 << 10;

pub type Chunk = [u8; (CHUNK + OVERHANG) as usize];

/// The smallest ring: a record of any kind fits.
pub const MIN_RING: u32 = 4 << 10;

/// Where a writer's rings are: one for each CPU, one behind the other. All zero for a program that is not loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of the first CPU's ring.
    pub ring: u32,
    /// Its first chunk.
    pub chunk: u32,
    /// Bytes of each ring: whole chunks, or less than one.
    pub bytes: u32,
}

impl Place {
    /// Chunks that each ring takes.
    #[inline(always)]
    pub const fn chunks(self) -> u32 {
        self.bytes.div_ceil(CHUNK)
    }
}

/// What a ring's writer and reader tell each other; each has lines of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Behind the last record. Written after everything else.
    pub head: u64,
    /// Where in the ring the next record begins, unless it is behind the ring's end.
    pub at: u64,
    /// The last position from which the ring went on at its beginning although its end was not reached.
    pub restarted: u64,
    /// Time of the last record: nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
    /// The position of the last record that is far behind the one before it, and its time: the first one's at first.
    pub jumped: u64,
    pub jump_time: u64,
    /// Records so far, those of [`Context`] not counted.
    pub events: u64,
    /// Events for which there was no room.
    pub lost: u64,
    /// Who the last allocation was by.
    pub by: By,
    pub reserved: [u64; 3],
    /// What is in front of this was read.
    pub tail: u64,
    pub reserved_of_reader: [u64; 15],
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub at: u64,
    /// It goes to the ring's beginning because nothing is unread.
    pub restarts: bool,
}

impl Spot {
    /// The writer's rule, for `len` bytes in a ring of so many; the numbers are those of [`Control`]. None where there is no room.
    #[inline(always)]
    pub const fn find(head: u64, tail: u64, at: u64, bytes: u32, len: u64) -> Option<Self> {
        if head.wrapping_add(len).wrapping_sub(tail) > bytes as u64 {
            return None;
        }
        if head == tail {
            return Some(Self { at: 0, restarts: true });
        }
        Some(Self { at: if at >= bytes as u64 { 0 } else { at }, restarts: false })
    }
}

/// The reader's: where the record at `position` is, if the one before it ends at `at`.
#[inline(always)]
pub const fn follow(position: u64, restarted: u64, at: u32, bytes: u32) -> u32 {
    if position == restarted || at >= bytes { 0 } else { at }
}

/// On whose behalf objects are allocated: process and [`start_tag`](crate::event::start_tag), flags, cgroup, command name.
pub type By = [u64; 5];

/// Steps of a stamp: 8 ns, as a power of two.
pub const STAMP_SHIFT: u32 = 3;

/// The time of an allocation, by the clock and by what is noted for its object's page: later than all that is noted, also where the clock
/// stands still for longer than the free of an object and its next allocation are apart. That of ACPI's timer does so for 280 ns.
#[inline(always)]
pub const fn alloc_time(now: u64, noted: u64) -> u64 {
    let after = noted + (1 << STAMP_SHIFT);
    if now > after { now } else { after }
}

/// A time as records carry it. It comes again after 34 seconds.
#[inline(always)]
pub const fn stamp(time_ns: u64) -> u32 {
    (time_ns >> STAMP_SHIFT) as u32
}

/// A time as it is read from a record.
#[inline]
pub const fn in_steps(time_ns: u64) -> u64 {
    time_ns >> STAMP_SHIFT << STAMP_SHIFT
}

/// The first time with this stamp that is not before the last one.
#[inline]
pub const fn time(stamp_of_it: u32, last: u64) -> u64 {
    let behind = stamp_of_it.wrapping_sub(stamp(last));
    ((last >> STAMP_SHIFT) + behind as u64) << STAMP_SHIFT
}

/// A record that is further behind the last one has jumped: see [`Control::jumped`].
const JUMP: u64 = 1 << 34;

/// Whether the record of this time has to say so.
#[inline(always)]
pub const fn jumps(time_ns: u64, last: u64) -> bool {
    time_ns.wrapping_sub(last) >= JUMP
}

/// Places for the times of pages; pages that share one only make frees later than they had to be.
pub const PAGE_TIMES: u32 = 2048;

/// The latest time that something with a clock happened on a page. Alone in its cache line: a CPU mostly has its pages for itself.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PageTime {
    pub time: u64,
    pub reserved: [u64; 7],
}

/// The place of an object's page.
#[inline(always)]
pub const fn page_place(ptr: u64) -> u32 {
    (ptr >> PAGE_SHIFT) as u32 % PAGE_TIMES
}

/// In the lowest bits of a record's first word, which is otherwise an address, and these are aligned.
pub const KIND_MASK: u64 = 7;
/// A [`Head`] alone; its detail is a [`cache_tag`](crate::event::cache_tag).
pub const FREE: u64 = 0;
/// An [`AllocRecord`].
pub const ALLOC: u64 = 1;
/// An [`AllocStackRecord`].
pub const ALLOC_STACK: u64 = 2;
/// A [`NameRecord`], both names short, or not.
pub const SHORT_NAME: u64 = 3;
pub const LONG_NAME: u64 = 4;
/// A [`Context`].
pub const CONTEXT: u64 = 5;
/// As [`FREE`] and [`ALLOC`], by a backup program: they may repeat what the probe sent.
pub const FREE_AGAIN: u64 = 6;
pub const ALLOC_AGAIN: u64 = 7;

/// How the record of an event begins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Address of the object, with the record's kind.
    pub object: u64,
    pub detail: u32,
    /// [`stamp`].
    pub stamp: u32,
}

/// An object was handed out, to the last context of its ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocRecord {
    /// Its detail is the allocation's flags.
    pub head: Head,
    pub cache: CacheId,
    pub call_site: u64,
}

/// With the calls that led to it: as in [`AllocStackEvent`](crate::event::AllocStackEvent).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocStackRecord {
    pub alloc: AllocRecord,
    pub kernel_len: i32,
    pub user_len: i32,
    /// 1: by a backup program.
    pub may_repeat: u64,
    pub kernel: [u64; MAX_FRAMES],
    pub user: [UserCall; MAX_FRAMES],
}

/// As [`NameEvent`](crate::event::NameEvent).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRecord<const N: usize> {
    /// Its detail is the name's full length.
    pub head: Head,
    /// Address of the parent's dentry.
    pub parent: u64,
    /// The parent name's full length.
    pub parent_name_len: u32,
    pub reserved: u32,
    pub name: [u8; N],
    pub parent_name: [u8; N],
}

/// Who allocates from here on in this ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// [`CONTEXT`].
    pub kind: u64,
    pub by: By,
}

const _: () = {
    assert!(size_of::<Control>() == 256 && core::mem::offset_of!(Control, tail) == 128);
    assert!(size_of::<Head>() == 16 && size_of::<AllocRecord>() == 32 && size_of::<Context>() == 48);
    assert!(size_of::<AllocStackRecord>() == 48 + (8 + 32) * MAX_FRAMES);
    assert!(size_of::<NameRecord<SHORT_NAME_LEN>>() == 32 + 2 * SHORT_NAME_LEN);
    assert!(size_of::<NameRecord<LONG_NAME_LEN>>() == 32 + 2 * LONG_NAME_LEN);
    let most = size_of::<Context>() + size_of::<AllocStackRecord>();
    assert!(most <= OVERHANG as usize && most <= MIN_RING as usize);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_have_their_numbers() {
        for (number, name) in [
            (writer::KMEM_CACHE_ALLOC, program::KMEM_CACHE_ALLOC),
            (writer::KMEM_CACHE_ALLOC_NODE, program::KMEM_CACHE_ALLOC_NODE),
            (writer::KMALLOC, program::KMALLOC),
            (writer::KMALLOC_NODE, program::KMALLOC_NODE),
            (writer::KMEM_CACHE_FREE, program::KMEM_CACHE_FREE),
            (writer::KFREE, program::KFREE),
            (writer::KMEM_CACHE_ALLOC_BACKUP, program::KMEM_CACHE_ALLOC_BACKUP),
            (writer::KMALLOC_BACKUP, program::KMALLOC_BACKUP),
            (writer::KMEM_CACHE_FREE_BACKUP, program::KMEM_CACHE_FREE_BACKUP),
            (writer::KFREE_BACKUP, program::KFREE_BACKUP),
            (writer::ALLOC_FEXIT, program::ALLOC_FEXIT),
            (writer::ALLOC_LRU_FEXIT, program::ALLOC_LRU_FEXIT),
            (writer::ALLOC_NODE_FEXIT, program::ALLOC_NODE_FEXIT),
            (writer::FREE_FENTRY, program::FREE_FENTRY),
            (writer::FREE_BULK_FENTRY, program::FREE_BULK_FENTRY),
            (writer::ALLOC_BULK_FEXIT, program::ALLOC_BULK_FEXIT),
            (writer::KFREE_RCU_SHEAF_FEXIT, program::KFREE_RCU_SHEAF_FEXIT),
            (writer::D_ALLOC_FEXIT, program::D_ALLOC_FEXIT),
            (writer::D_ALLOC_PARALLEL_FEXIT, program::D_ALLOC_PARALLEL_FEXIT),
            (writer::D_ALLOC_KRETPROBE, program::D_ALLOC_KRETPROBE),
        ] {
            assert_eq!(WRITERS[number], name);
        }
    }

    #[test]
    fn a_stamp_tells_the_time_up_to_34_seconds_later() {
        let last = 0x0012_3456_789a_bcd0;
        for later in [0, 16, 1_000_000, 34_000_000_000] {
            assert_eq!(
                time(stamp(last + later), last),
                (last + later) >> STAMP_SHIFT << STAMP_SHIFT,
                "{later}"
            );
        }
        assert!(jumps(last + 20_000_000_000, last) && !jumps(last + 15_000_000_000, last));
    }
}
