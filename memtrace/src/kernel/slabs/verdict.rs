//! From what a slab shows to whether an object of it is allocated, and whom it is charged to. Pure: on numbers alone.

use memtrace_common::census::{Charged, Look, Objects, REF_DEAD};

use super::layout::Mark;
use crate::stream::event::CgroupId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Allocated,
    /// Dead, but its memory is not given back yet: it waits for readers (RCU).
    BeingFreed,
    Free,
}

/// Who pays for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// No cgroup: the root's own, a kernel thread's, or made before the cache was accounted.
    Nobody,
    Cgroup(CgroupId),
    /// A cgroup that was removed; this is the nearest ancestor that is there. `removed` tells one removed cgroup from another.
    Removed {
        ancestor: CgroupId,
        removed: u64,
    },
    /// The kernel does not say, or says it in a way that we do not understand.
    Unknown,
}

/// The root cgroup's id: `kernfs_create_root` hands it out first.
const ROOT: u64 = 1;

/// Objects that the slab has.
pub fn objects(look: &Look) -> u64 {
    (look.counters >> 16) & 0x7fff
}

/// A processor allocates from the slab, and has its free objects.
fn is_frozen(look: &Look) -> bool {
    look.counters & 1 << 31 != 0
}

/// A processor has taken the slab since we read which slabs the processors have: its free objects are not to be seen. Up to v6.7
/// slabs that wait for a processor are frozen too, but have their list: Linux commit 8cd3fa428b56 (in v6.8).
pub fn is_taken(look: &Look, cpu: u64) -> bool {
    is_frozen(look) && look.freelist == 0 && cpu == 0
}

/// Whether a slab is laid out as those of its cache are, which have up to so many objects. KFENCE has pages of one object each, and its
/// own way to say which are free.
pub fn is_regular(look: &Look, mark: Mark, most: u32) -> bool {
    let objects = objects(look);
    let is_of_kfence = objects == 1 && most > 1;
    is_marked(look, mark) && (1..=most.into()).contains(&objects) && !is_of_kfence
}

/// Whether a page says of itself that it is a slab's, where it can.
fn is_marked(look: &Look, mark: Mark) -> bool {
    match mark {
        Mark::Type(kind) => look.page_type >> 24 == u64::from(kind),
        Mark::Flag(bit) => look.flags & 1 << bit != 0,
        Mark::Unknown => true,
    }
}

pub fn has(objects: &Objects, number: u64) -> bool {
    let word = objects.get((number / 64) as usize);
    word.is_some_and(|word| word & 1 << (number % 64) != 0)
}

/// `in_sheaf`: a processor or a node has it at hand.
///
/// Who is charged is the best witness: the charge is set after an object is handed out, and cleared before it is given back.
pub fn state(look: &Look, number: u64, in_sheaf: bool) -> State {
    if has(&look.free, number) {
        return State::Free;
    }
    if in_sheaf && !has(&look.charged, number) { State::Free } else { State::Allocated }
}

/// Whom an object is charged to. A cgroup that was removed leaves its charges to the nearest ancestor that is there
/// (`memcg_reparent_objcgs`), and kills the counter of what was its own.
pub fn charge(charged: Charged) -> Charge {
    let Charged { objcg, refcnt, cgroup } = charged;
    if objcg == 0 {
        return Charge::Nobody;
    }
    if refcnt & REF_DEAD != 0 {
        return Charge::Removed { ancestor: cgroup, removed: objcg };
    }
    // From v7.1 the root's objects may have an entry too.
    if cgroup == ROOT { Charge::Nobody } else { Charge::Cgroup(cgroup) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            is_whole: 1,
            lists: [0; 2],
            cache: 0,
            freelist: 0,
            tid: 0,
            counters: 0,
            vector: 0,
            page_type: 0,
            flags: 0,
            free: [0; _],
            charged: [0; _],
            charges: [Charged::default(); _],
        }
    }

    #[test]
    fn counters_are_three_in_a_word() {
        let look = Look { counters: 1 << 31 | 21 << 16 | 20, ..look() };
        assert_eq!((objects(&look), is_frozen(&look)), (21, true));
        let look = Look { counters: 1 << 32 | 32 << 16 | 20, ..look };
        assert_eq!((objects(&look), is_frozen(&look)), (32, false));
    }

    #[test]
    fn slabs_that_are_not_like_their_cache_s() {
        let of = |objects: u64| Look { counters: objects << 16, ..look() };
        let is_regular = |objects, most| is_regular(&of(objects), Mark::Unknown, most);
        assert!(is_regular(21, 21) && is_regular(10, 21) && is_regular(1, 1));
        assert!(!is_regular(22, 21) && !is_regular(0, 21) && !is_regular(1, 21));
        assert!(!super::is_regular(&of(21), Mark::Type(0xf5), 21));
    }

    #[test]
    fn a_slab_is_taken_when_its_objects_are_out_of_sight() {
        let frozen = Look { counters: 1 << 31 | 21 << 16 | 21, ..look() };
        assert!(is_taken(&frozen, 0) && !is_taken(&frozen, 64));
        assert!(!is_taken(&Look { freelist: 8, ..frozen }, 0) && !is_taken(&look(), 0));
    }

    #[test]
    fn pages_are_marked_by_type_or_flag() {
        let typed = Look { page_type: 0xf500_0000, ..look() };
        assert!(is_marked(&typed, Mark::Type(0xf5)) && !is_marked(&look(), Mark::Type(0xf5)));
        let flagged = Look { flags: 1 << 9, ..look() };
        assert!(is_marked(&flagged, Mark::Flag(9)) && !is_marked(&look(), Mark::Flag(9)));
        assert!(is_marked(&look(), Mark::Unknown));
    }

    #[test]
    fn witnesses() {
        let mut look = look();
        look.free[1] = 1 << 6;
        look.charged[0] = 1 << 3;
        for (number, in_sheaf, expected) in [
            (0, false, State::Allocated),
            (0, true, State::Free),
            // Handed out after the sheaf was read.
            (3, true, State::Allocated),
            (70, false, State::Free),
            (600, false, State::Allocated),
        ] {
            assert_eq!(state(&look, number, in_sheaf), expected, "{number}");
        }
    }

    #[test]
    fn charges() {
        let charged = |objcg, refcnt, cgroup| charge(Charged { objcg, refcnt, cgroup });
        assert_eq!(charged(0, 0, 0), Charge::Nobody);
        assert_eq!(charged(64, 1, 77), Charge::Cgroup(77));
        assert_eq!(charged(64, 3, 77), Charge::Removed { ancestor: 77, removed: 64 });
        assert_eq!(charged(64, 3, 1), Charge::Removed { ancestor: 1, removed: 64 });
        assert_eq!(charged(64, 0, 1), Charge::Nobody);
    }
}
