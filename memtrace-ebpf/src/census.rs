//! Looks at slabs when userspace asks: see [`memtrace_common::census`].

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use memtrace_common::{
    census::{
        BEGINNING, Charged, Look, MAX_OBJECTS, NO_SLOT, Objects, Question, SCAN_PAGES, SLOTS, STEPS,
        VECTOR_FLAGS,
    },
    page,
};

use crate::{
    config::config,
    kernel::{opaque, read},
    maps,
};

/// Never attached; run with the question in its map.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn scan(_: RawTracePointContext) -> Option<()> {
    let scan = maps::SCAN.get_ptr_mut(0)?;
    for index in 0..SCAN_PAGES {
        // SAFETY: `scan` is the live map value, and `index` is within its arrays.
        unsafe {
            let page = (*scan).pages[index];
            let (head, cache) = slab_of(page).unwrap_or((0, 0));
            (*scan).heads[index] = head;
            (*scan).caches[index] = cache;
        }
    }
    Some(())
}

/// The first page of the slab that a page would be in, and the cache that the slab would be of.
#[inline(always)]
fn slab_of(page: u64) -> Option<(u64, u64)> {
    if page == 0 {
        return None;
    }
    let compound_head = read::<u64>(page + u64::from(config!(offsets.page_compound_head)))?;
    let head = page::head(page, compound_head);
    Some((head, read(head + u64::from(config!(offsets.slab_cache)))?))
}

/// Never attached; run with a [`Question`] as arguments.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn look(ctx: RawTracePointContext) -> Option<()> {
    let question = Question {
        slab: ctx.arg(0),
        first: ctx.arg(1),
        size: ctx.arg(2),
        link: ctx.arg(3),
        random: ctx.arg(4),
        cpu: ctx.arg(5),
        stride: ctx.arg(6),
        slots: [ctx.arg(7), ctx.arg(8)],
        round: ctx.arg(9),
        lists: [ctx.arg(10), ctx.arg(11)],
    };
    let look = maps::LOOK.get_ptr_mut(0)?;
    // SAFETY: `look` is the live map value.
    unsafe {
        (*look).is_whole = 0;
        if question.round == 0 {
            (*look).free = [0; _];
            (*look).charged = [0; _];
        }
        (*look).charges = [Charged { objcg: 0, refcnt: 0, cgroup: 0 }; SLOTS];
    }
    let before = State::read(&question)?;
    let flags = read::<u64>(question.slab + u64::from(config!(slabs.flags)))?;
    let page_type = read::<u32>(question.slab + u64::from(config!(slabs.page_type)))?;
    // SAFETY: as above.
    unsafe {
        (*look).cache = before.cache;
        (*look).freelist = before.freelist;
        (*look).tid = before.cpu_tid;
        (*look).counters = before.counters;
        (*look).vector = before.vector;
        (*look).flags = flags;
        (*look).page_type = page_type.into();
    }
    mark_lists(look, &question, &before)?;
    if config!(slabs.vector) != 0 && before.vector & !VECTOR_FLAGS != 0 {
        let charges = Charges::of(&question, &before);
        let first = question.round * u64::from(STEPS);
        if mark_charged(charges.start, charges.stride, first, before.objects()) == CHANGED {
            return None;
        }
        for index in 0..SLOTS {
            if question.slots[index] != NO_SLOT {
                // SAFETY: as above; `index` is within the array.
                unsafe { (*look).charges[index] = charges.follow(question.slots[index])? };
            }
        }
    }
    if State::read(&question)? == before {
        // SAFETY: as above.
        unsafe { (*look).is_whole = 1 };
    }
    Some(())
}

/// Marks the objects on the slab's list of free ones, and on its processor's.
#[inline(always)]
fn mark_lists(look: *mut Look, question: &Question, before: &State) -> Option<()> {
    let heads = [before.freelist, if before.cpu_slab == question.slab { before.cpu_freelist } else { 0 }];
    for (index, head) in heads.into_iter().enumerate() {
        let list = question.lists[index];
        let start = if list == BEGINNING { head } else { list };
        let rest = mark_free(start, question.first, question.size, question.link, question.random);
        if rest == CHANGED {
            return None;
        }
        // SAFETY: `look` is the live map value, and `index` is within its array.
        unsafe { (*look).lists[index] = rest };
    }
    Some(())
}

/// What changes whenever an object of a slab is allocated or freed, other than from a sheaf.
#[derive(PartialEq)]
struct State {
    cache: u64,
    freelist: u64,
    counters: u64,
    vector: u64,
    cpu_slab: u64,
    cpu_freelist: u64,
    cpu_tid: u64,
}

impl State {
    #[inline(always)]
    fn read(question: &Question) -> Option<Self> {
        let slab = |offset: u32| read::<u64>(question.slab + u64::from(offset));
        let cpu = |offset: u32| {
            if question.cpu == 0 { Some(0) } else { read::<u64>(question.cpu + u64::from(offset)) }
        };
        Some(Self {
            cache: slab(config!(offsets.slab_cache))?,
            freelist: slab(config!(slabs.freelist))?,
            counters: slab(config!(slabs.counters))?,
            vector: if config!(slabs.vector) == 0 { 0 } else { slab(config!(slabs.vector))? },
            cpu_slab: cpu(config!(slabs.cpu_slab))?,
            cpu_freelist: cpu(config!(slabs.cpu_freelist))?,
            cpu_tid: cpu(config!(slabs.cpu_tid))?,
        })
    }

    #[inline(always)]
    fn objects(&self) -> u64 {
        (self.counters >> 16) & 0x7fff
    }
}

/// What the functions below return where the slab changed meanwhile. No object is there.
const CHANGED: u64 = 1;

/// Marks the objects on a list of free ones, and returns where it goes on: 0 at its end. Where the list leads out of the slab, it
/// changed.
///
/// As a global function it is verified once, and what comes after it once, and not for each step that may be the last one: Linux
/// commit 51c39bb1d5d1 ("bpf: Introduce function-by-function verification") (in v5.6).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn mark_free(start: u64, first: u64, size: u64, link: u64, random: u64) -> u64 {
    let Some(look) = maps::LOOK.get_ptr_mut(0) else { return CHANGED };
    // SAFETY: `look` is the live map value; only the field's address is formed.
    let free = unsafe { &raw mut (*look).free };
    let mut object = start;
    for _ in 0..STEPS {
        if object == 0 {
            break;
        }
        let offset = object.wrapping_sub(first);
        let number = offset / size.max(1);
        if number >= u64::from(MAX_OBJECTS) || number * size != offset {
            return CHANGED;
        }
        set(free, number);
        let at = object + link;
        let Some(stored) = read::<u64>(at) else { return CHANGED };
        object = stored ^ if random == 0 { 0 } else { random ^ at.swap_bytes() };
    }
    object
}

/// Marks the objects that are charged to somebody, from this number on.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn mark_charged(start: u64, stride: u64, first: u64, objects: u64) -> u64 {
    let Some(look) = maps::LOOK.get_ptr_mut(0) else { return CHANGED };
    // SAFETY: as above.
    let charged = unsafe { &raw mut (*look).charged };
    let charges = Charges { start, stride };
    for step in 0..u64::from(STEPS) {
        let number = first + step;
        if number >= objects {
            break;
        }
        let Some(charge) = charges.read(number) else { return CHANGED };
        if charge & !VECTOR_FLAGS != 0 {
            set(charged, number);
        }
    }
    0
}

#[inline(always)]
fn set(objects: *mut Objects, number: u64) {
    let number = opaque(number) & (u64::from(MAX_OBJECTS) - 1);
    // SAFETY: `objects` is in a live map value, and has a bit for each number below MAX_OBJECTS.
    unsafe { (*objects)[(number / 64) as usize] |= 1 << (number % 64) };
}

/// Where a slab's objects say whom they are charged to.
struct Charges {
    start: u64,
    stride: u64,
}

impl Charges {
    #[inline(always)]
    fn of(question: &Question, state: &State) -> Self {
        let is_in_object = state.counters & config!(slabs.in_object) != 0;
        let stride = if is_in_object { question.size } else { question.stride };
        Self { start: state.vector & !VECTOR_FLAGS, stride }
    }

    #[inline(always)]
    fn read(&self, number: u64) -> Option<u64> {
        read(self.start.wrapping_add(number.wrapping_mul(self.stride)))
    }

    /// `entry.objcg->memcg->css.cgroup->kn->id`.
    #[inline(always)]
    fn follow(&self, number: u64) -> Option<Charged> {
        let objcg = self.read(number)? & !VECTOR_FLAGS;
        if objcg == 0 {
            return Some(Charged { objcg, refcnt: 0, cgroup: 0 });
        }
        let refcnt = read::<u64>(objcg + u64::from(config!(slabs.objcg_refcnt)))?;
        let memcg = read::<u64>(objcg + u64::from(config!(slabs.objcg_memcg)))?;
        let state = memcg + u64::from(config!(slabs.memcg_state));
        let cgroup = read::<u64>(state + u64::from(config!(slabs.state_cgroup)))?;
        let node = read::<u64>(cgroup + u64::from(config!(slabs.cgroup_node)))?;
        let id = read::<u64>(node + u64::from(config!(slabs.node_id)))?;
        Some(Charged { objcg, refcnt, cgroup: id })
    }
}
