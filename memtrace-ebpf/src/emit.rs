//! The only code that writes to the rings, and the counts that say what became of each event.

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_F_USER_BUILD_ID, BPF_F_USER_STACK, BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::{bpf_ktime_get_ns, generated::bpf_get_stack},
    maps::ring_buf::RingBufEntry,
};
use memtrace_common::{
    counters::LossKey,
    event::{
        AllocEvent, AllocStackEvent, FLAG_IO_WORKER, FLAG_KTHREAD, FLAG_MAY_REPEAT, FreeEvent, Header,
        KIND_ALLOC, KIND_ALLOC_STACK, KIND_FREE, MAX_FRAMES, NO_CACHE, NameEvent, cache_tag,
    },
    ring::{self, PAGE_SHIFT},
    sample,
};

use crate::{
    backup::Role,
    config::config,
    filter::TracedTask,
    generation, maps,
    task::{Comm, Current, PF_IO_WORKER, PF_KTHREAD},
    this_cpu::{Kind, ThisCpu, add},
};

/// An object that was handed out.
pub struct Alloc {
    pub ptr: u64,
    pub cache: u64,
    pub call_site: u64,
    pub gfp: u32,
    pub role: Role,
}

/// As [`alloc`]; some carry the calls that led to them.
#[inline(always)]
pub fn alloc_of(ctx: &impl EbpfContext, cpu: ThisCpu, alloc: &Alloc, by: TracedTask) -> Option<()> {
    let TracedTask { task, tgid, comm } = by;
    if config!(stacks.limit) != 0 && sample::carries_stack(alloc.ptr, config!(stacks.limit)) {
        return alloc_with_stack(ctx, cpu, alloc, task, tgid, comm);
    }
    self::alloc(cpu, alloc, task, tgid, comm)
}

/// An allocation by the current task, whose process and command name the filters have read already. None if it is lost.
#[inline(always)]
pub fn alloc(cpu: ThisCpu, alloc: &Alloc, task: Current, tgid: u32, comm: Comm) -> Option<()> {
    let Some(mut record) = reserve::<AllocEvent>(cpu, Kind::Alloc, alloc.ptr) else {
        count_loss(alloc.cache, KIND_ALLOC);
        return None;
    };
    write_alloc(record.as_mut_ptr(), KIND_ALLOC, alloc, task, tgid, comm);
    submit(record);
    Some(())
}

#[inline(always)]
fn alloc_with_stack(
    ctx: &impl EbpfContext,
    cpu: ThisCpu,
    alloc: &Alloc,
    task: Current,
    tgid: u32,
    comm: Comm,
) -> Option<()> {
    let Some(mut record) = reserve::<AllocStackEvent>(cpu, Kind::Alloc, alloc.ptr) else {
        count_loss(alloc.cache, KIND_ALLOC);
        return None;
    };
    let event = record.as_mut_ptr();
    // SAFETY: `event` is a reserved record of this type; only addresses of its fields are formed.
    let (alloc_part, kernel, user) =
        unsafe { (&raw mut (*event).alloc, &raw mut (*event).kernel, &raw mut (*event).user) };
    write_alloc(alloc_part, KIND_ALLOC_STACK, alloc, task, tgid, comm);
    let kernel_len = if config!(stacks.kernel) != 0 { stack(ctx, kernel, 0) } else { 0 };
    // As build id and offset: a process that lives 20 ms is gone before userspace can look up its addresses.
    let of_files = BPF_F_USER_STACK | BPF_F_USER_BUILD_ID;
    let user_len = if config!(stacks.user) != 0 { stack(ctx, user, of_files) } else { 0 };
    // SAFETY: as above.
    unsafe {
        (&raw mut (*event).kernel_len).write(kernel_len);
        (&raw mut (*event).user_len).write(user_len);
    }
    submit(record);
    Some(())
}

/// How many bytes of `to` are filled; negative where there is no stack.
#[inline(always)]
fn stack<T>(ctx: &impl EbpfContext, to: *mut [T; MAX_FRAMES], flags: u32) -> i32 {
    // SAFETY: `to` is part of a reserved record, and has that many writable bytes.
    unsafe {
        bpf_get_stack(ctx.as_ptr(), to.cast(), size_of::<[T; MAX_FRAMES]>() as u32, u64::from(flags)) as i32
    }
}

/// Fills a reserved record.
#[inline(always)]
fn write_alloc(event: *mut AllocEvent, kind: u16, alloc: &Alloc, task: Current, tgid: u32, comm: Comm) {
    let task_flags = task.flags();
    let mut flags = if task_flags & PF_KTHREAD != 0 { FLAG_KTHREAD } else { 0 };
    if task_flags & PF_IO_WORKER != 0 {
        flags |= FLAG_IO_WORKER;
    }
    if alloc.role == Role::Backup {
        flags |= FLAG_MAY_REPEAT;
    }
    // SAFETY: callers pass a reserved record of this type; the helper has no arguments and no side effects.
    unsafe {
        (&raw mut (*event).header).write(Header { kind, flags });
        (&raw mut (*event).tgid).write(tgid);
        (&raw mut (*event).ptr).write(alloc.ptr);
        (&raw mut (*event).time_ns).write(bpf_ktime_get_ns());
        // In a trampoline the cache is a typed pointer: the verifier allows arithmetic only on the value that is read back.
        (&raw mut (*event).cache).write_volatile(alloc.cache);
        let id = generation::cache_id((&raw const (*event).cache).read_volatile());
        (&raw mut (*event).cache).write_volatile(id);
        (&raw mut (*event).call_site).write(alloc.call_site);
        (&raw mut (*event).cgroup).write(task.cgroup());
        (&raw mut (*event).comm).cast::<Comm>().write(comm);
        (&raw mut (*event).started).write(task.started());
        (&raw mut (*event).gfp).write(alloc.gfp);
    }
}

/// None if it is lost.
#[inline(always)]
pub fn free(cpu: ThisCpu, role: Role, ptr: u64, cache: u64) -> Option<()> {
    submit_free(cpu, ptr, cache, if role == Role::Backup { FLAG_MAY_REPEAT } else { 0 })
}

/// The free of an object whose cache is unknown by now. None if it is lost.
#[inline(always)]
pub fn free_of_any_cache(cpu: ThisCpu, ptr: u64) -> Option<()> {
    submit_free(cpu, ptr, NO_CACHE, 0)
}

#[inline(always)]
fn submit_free(cpu: ThisCpu, ptr: u64, cache: u64, flags: u16) -> Option<()> {
    let Some(mut record) = reserve::<FreeEvent>(cpu, Kind::Free, ptr) else {
        count_loss(cache, KIND_FREE);
        return None;
    };
    let event = record.as_mut_ptr();
    // SAFETY: `event` is a reserved record of this type.
    unsafe {
        (&raw mut (*event).header).write(Header { kind: KIND_FREE, flags });
        // As above.
        (&raw mut (*event).ptr).write_volatile(cache);
        (&raw mut (*event).cache_tag).write(cache_tag((&raw const (*event).ptr).read_volatile()));
        (&raw mut (*event).ptr).write_volatile(ptr);
    }
    submit(record);
    Some(())
}

/// Counts events that are lost before their objects were read.
#[inline(always)]
pub fn lose(cpu: ThisCpu, kind: Kind, wire_kind: u16, cache: u64, events: u64) {
    cpu.count_unseen(kind, events);
    add_losses(cache, wire_kind, events);
}

/// Emits a dentry's name; `fill` writes everything but the header. None if it is lost.
#[inline(always)]
pub fn name<const N: usize>(
    cpu: ThisCpu,
    kind: u16,
    dentry: u64,
    fill: impl FnOnce(*mut NameEvent<N>),
) -> Option<()> {
    let mut record = reserve::<NameEvent<N>>(cpu, Kind::Name, dentry)?;
    let event = record.as_mut_ptr();
    // SAFETY: `event` is a reserved record of this type.
    unsafe {
        (&raw mut (*event).header).write(Header { kind, flags: 0 });
        (&raw mut (*event).reserved).write(0);
    }
    fill(event);
    submit(record);
    Some(())
}

/// Emits an event of a process; `fill` writes the whole record. None if it is lost.
#[inline(always)]
pub fn process<T: 'static>(tgid: u32, fill: impl FnOnce(*mut T)) -> Option<()> {
    // All events of a process in one ring, in their order, as if it were an object on a page of its own.
    let mut record = reserve::<T>(ThisCpu::get()?, Kind::Process, u64::from(tgid) << PAGE_SHIFT)?;
    fill(record.as_mut_ptr());
    submit(record);
    Some(())
}

/// Counts an event, and reserves its record in the ring of its object. A full ring is counted.
#[inline(always)]
fn reserve<T: 'static>(cpu: ThisCpu, kind: Kind, ptr: u64) -> Option<RingBufEntry<T>> {
    cpu.count_emitted(kind);
    let ring = maps::RINGS.get(ring::index(ptr, config!(rings.mask)));
    let record = ring.and_then(|ring| ring.reserve_untyped::<T>(0));
    if record.is_none() {
        cpu.count_lost(kind);
    }
    record
}

/// Commits a record without waking the reader: it drains on a timer, which saves an interrupt per event.
#[inline(always)]
fn submit<T>(record: RingBufEntry<T>) {
    record.submit(u64::from(BPF_RB_NO_WAKEUP));
}

#[inline(always)]
fn count_loss(cache: u64, kind: u16) {
    add_losses(cache, kind, 1);
}

/// Where there are more caches than room, losses beyond are in the sum only.
#[inline(always)]
fn add_losses(cache: u64, kind: u16, events: u64) {
    let key = LossKey { cache, kind: u64::from(kind) };
    // It may be there already.
    let _ = maps::LOSSES.insert(key, 0, u64::from(BPF_NOEXIST));
    if let Some(count) = maps::LOSSES.get_ptr_mut(key) {
        add(count, events);
    }
}
