//! The only code that writes to the rings, and the counts that say what became of each event.

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_F_USER_BUILD_ID, BPF_F_USER_STACK, BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::{bpf_ktime_get_ns, generated::bpf_get_stack},
    maps::ring_buf::RingBufEntry,
};
use memtrace_common::{
    counters::LossKey,
    cpu_ring::{
        self, ALLOC, ALLOC_AGAIN, ALLOC_STACK, AllocRecord, AllocStackRecord, By, CONTEXT, Context, FREE,
        FREE_AGAIN, Head, NameRecord,
    },
    event::{
        AllocEvent, AllocStackEvent, FLAG_IO_WORKER, FLAG_KTHREAD, FLAG_MAY_REPEAT, FreeEvent, Header,
        KIND_ALLOC, KIND_ALLOC_STACK, KIND_FREE, KIND_LONG_NAME, KIND_SHORT_NAME, MAX_FRAMES, NO_CACHE,
        NameEvent, SHORT_NAME_LEN, cache_tag,
    },
    ring::{self, PAGE_SHIFT},
    sample,
};

use crate::{
    backup::Role,
    config::config,
    cpu_ring::{CpuRing, Room},
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
    /// The program that saw it: one of `writer::*`.
    pub writer: usize,
}

/// As [`alloc`]; some carry the calls that led to them.
#[inline(always)]
pub fn alloc_of(ctx: &impl EbpfContext, alloc: &Alloc, by: TracedTask) -> Option<()> {
    let TracedTask { task, tgid, comm } = by;
    if config!(stacks.limit) == 0 || !sample::carries_stack(alloc.ptr, config!(stacks.limit)) {
        return self::alloc(alloc, task, tgid, comm);
    }
    if crate::cpu_ring::is_used() {
        return alloc_with_stack_to_cpu_ring(ctx, alloc, task, tgid, comm);
    }
    alloc_with_stack(ctx, alloc, task, tgid, comm)
}

/// An allocation by the current task, whose process and command name the filters have read already. None if it is lost.
#[inline(always)]
pub fn alloc(alloc: &Alloc, task: Current, tgid: u32, comm: Comm) -> Option<()> {
    if crate::cpu_ring::is_used() {
        let (room, before) = reserve_alloc(size_of::<AllocRecord>(), alloc, task, tgid, comm)?;
        let kind = if Role::of(alloc.writer) == Role::Backup { ALLOC_AGAIN } else { ALLOC };
        write_alloc_record(&room, room.record(before), kind, alloc);
        room.publish();
        return Some(());
    }
    let Some(mut record) = reserve::<AllocEvent>(ThisCpu::get()?, Kind::Alloc, alloc.ptr) else {
        add_losses(alloc.cache, KIND_ALLOC, 1);
        return None;
    };
    write_alloc(record.as_mut_ptr(), KIND_ALLOC, alloc, task, tgid, comm);
    submit(record);
    Some(())
}

/// Room for an allocation in the ring, with the context in front of it where that differs from the last one. Returns how long
/// that is.
#[inline(always)]
fn reserve_alloc(len: usize, alloc: &Alloc, task: Current, tgid: u32, comm: Comm) -> Option<(Room, u64)> {
    let Some(ring) = CpuRing::of(alloc.writer) else {
        lose(ThisCpu::get()?, Kind::Alloc, KIND_ALLOC, alloc.cache, 1);
        return None;
    };
    let started = u64::from(task.started());
    let by: By = [u64::from(tgid) | started << 32, task_flags(task).into(), task.cgroup(), comm[0], comm[1]];
    let before = if ring.is_by(&by) { 0 } else { size_of::<Context>() as u64 };
    let Some(room) = ring.reserve(before + len as u64, alloc.ptr) else {
        add_losses(alloc.cache, KIND_ALLOC, 1);
        return None;
    };
    if before != 0 {
        room.write_context(Context { kind: CONTEXT, by });
    }
    Some((room, before))
}

#[inline(always)]
fn write_alloc_record(room: &Room, to: *mut AllocRecord, kind: u64, alloc: &Alloc) {
    let Head { object, detail, stamp } = room.head(alloc.ptr | kind, alloc.gfp);
    // SAFETY: callers pass room for a record of this type.
    unsafe {
        // As in `write_alloc`.
        (&raw mut (*to).cache).write_volatile(alloc.cache);
        let id = generation::cache_id((&raw const (*to).cache).read_volatile());
        (&raw mut (*to).cache).write_volatile(id);
        (&raw mut (*to).head.object).write(object);
        (&raw mut (*to).head.detail).write(detail);
        (&raw mut (*to).head.stamp).write(stamp);
        (&raw mut (*to).call_site).write(alloc.call_site);
    }
}

#[inline(always)]
fn alloc_with_stack_to_cpu_ring(
    ctx: &impl EbpfContext,
    alloc: &Alloc,
    task: Current,
    tgid: u32,
    comm: Comm,
) -> Option<()> {
    let (room, before) = reserve_alloc(size_of::<AllocStackRecord>(), alloc, task, tgid, comm)?;
    let record: *mut AllocStackRecord = room.record(before);
    // SAFETY: there is room for a record of this type; only addresses of its fields are formed.
    let (alloc_part, kernel, user) =
        unsafe { (&raw mut (*record).alloc, &raw mut (*record).kernel, &raw mut (*record).user) };
    write_alloc_record(&room, alloc_part, ALLOC_STACK, alloc);
    let (kernel_len, user_len) = stacks(ctx, kernel, user);
    // SAFETY: as above.
    unsafe {
        (&raw mut (*record).kernel_len).write(kernel_len);
        (&raw mut (*record).user_len).write(user_len);
        (&raw mut (*record).may_repeat).write(u64::from(Role::of(alloc.writer) == Role::Backup));
    }
    room.publish();
    Some(())
}

#[inline(always)]
fn alloc_with_stack(
    ctx: &impl EbpfContext,
    alloc: &Alloc,
    task: Current,
    tgid: u32,
    comm: Comm,
) -> Option<()> {
    let Some(mut record) = reserve::<AllocStackEvent>(ThisCpu::get()?, Kind::Alloc, alloc.ptr) else {
        add_losses(alloc.cache, KIND_ALLOC, 1);
        return None;
    };
    let event = record.as_mut_ptr();
    // SAFETY: `event` is a reserved record of this type; only addresses of its fields are formed.
    let (alloc_part, kernel, user) =
        unsafe { (&raw mut (*event).alloc, &raw mut (*event).kernel, &raw mut (*event).user) };
    write_alloc(alloc_part, KIND_ALLOC_STACK, alloc, task, tgid, comm);
    let (kernel_len, user_len) = stacks(ctx, kernel, user);
    // SAFETY: as above.
    unsafe {
        (&raw mut (*event).kernel_len).write(kernel_len);
        (&raw mut (*event).user_len).write(user_len);
    }
    submit(record);
    Some(())
}

/// The stacks that are asked for; returns how many bytes each has.
#[inline(always)]
fn stacks<K, U>(
    ctx: &impl EbpfContext,
    kernel: *mut [K; MAX_FRAMES],
    user: *mut [U; MAX_FRAMES],
) -> (i32, i32) {
    let kernel_len = if config!(stacks.kernel) != 0 { stack(ctx, kernel, 0) } else { 0 };
    // As build id and offset: a process that lives 20 ms is gone before userspace can look up its addresses.
    let of_files = BPF_F_USER_STACK | BPF_F_USER_BUILD_ID;
    let user_len = if config!(stacks.user) != 0 { stack(ctx, user, of_files) } else { 0 };
    (kernel_len, user_len)
}

/// How many bytes of `to` are filled; negative where there is no stack.
#[inline(always)]
fn stack<T>(ctx: &impl EbpfContext, to: *mut [T; MAX_FRAMES], flags: u32) -> i32 {
    // SAFETY: `to` is part of a reserved record, and has that many writable bytes.
    unsafe {
        bpf_get_stack(ctx.as_ptr(), to.cast(), size_of::<[T; MAX_FRAMES]>() as u32, u64::from(flags)) as i32
    }
}

#[inline(always)]
fn task_flags(task: Current) -> u16 {
    let task_flags = task.flags();
    let mut flags = if task_flags & PF_KTHREAD != 0 { FLAG_KTHREAD } else { 0 };
    if task_flags & PF_IO_WORKER != 0 {
        flags |= FLAG_IO_WORKER;
    }
    flags
}

/// Fills a reserved record.
#[inline(always)]
fn write_alloc(event: *mut AllocEvent, kind: u16, alloc: &Alloc, task: Current, tgid: u32, comm: Comm) {
    let mut flags = task_flags(task);
    if Role::of(alloc.writer) == Role::Backup {
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

/// The free of an object, seen by this program. None if it is lost.
#[inline(always)]
pub fn free(writer: usize, ptr: u64, cache: u64) -> Option<()> {
    if crate::cpu_ring::is_used() {
        return free_to_cpu_ring(writer, ptr, cache, CpuRing::reserve_free);
    }
    submit_free(ptr, cache, if Role::of(writer) == Role::Backup { FLAG_MAY_REPEAT } else { 0 })
}

/// An object that must be free, since it is handed out now: unlike a free, that is later than all that happened to it, whoever sees
/// which ring first. Only to rings of CPUs. None where there is no room: then it is not lost, and can be told later.
#[inline(always)]
pub fn free_by_now(writer: usize, ptr: u64, cache: u64) -> Option<()> {
    if CpuRing::of(writer)?.is_full_for(size_of::<Head>() as u64) {
        return None;
    }
    free_to_cpu_ring(writer, ptr, cache, CpuRing::reserve)
}

/// The free of an object whose cache is unknown by now. None if it is lost.
#[inline(always)]
pub fn free_of_any_cache(ptr: u64) -> Option<()> {
    submit_free(ptr, NO_CACHE, 0)
}

#[inline(always)]
fn free_to_cpu_ring(
    writer: usize,
    ptr: u64,
    cache: u64,
    reserve: impl FnOnce(&CpuRing, u64, u64) -> Option<Room>,
) -> Option<()> {
    let Some(ring) = CpuRing::of(writer) else {
        lose(ThisCpu::get()?, Kind::Free, KIND_FREE, cache, 1);
        return None;
    };
    let Some(room) = reserve(&ring, size_of::<Head>() as u64, ptr) else {
        add_losses(cache, KIND_FREE, 1);
        return None;
    };
    let record: *mut Head = room.record(0);
    let kind = if Role::of(writer) == Role::Backup { FREE_AGAIN } else { FREE };
    // SAFETY: there is room for a record of this type.
    unsafe {
        // As in `write_alloc`.
        (&raw mut (*record).object).write_volatile(cache);
        let tag = cache_tag((&raw const (*record).object).read_volatile());
        let Head { object, detail, stamp } = room.head(ptr | kind, tag);
        (&raw mut (*record).object).write_volatile(object);
        (&raw mut (*record).detail).write(detail);
        (&raw mut (*record).stamp).write(stamp);
    }
    room.publish();
    Some(())
}

#[inline(always)]
fn submit_free(ptr: u64, cache: u64, flags: u16) -> Option<()> {
    let Some(mut record) = reserve::<FreeEvent>(ThisCpu::get()?, Kind::Free, ptr) else {
        add_losses(cache, KIND_FREE, 1);
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

/// A dentry's name and its parent's: where they are, and how long they are.
#[derive(Clone, Copy)]
pub struct Names {
    pub dentry: u64,
    pub parent: u64,
    pub name_len: u32,
    pub parent_name_len: u32,
}

/// Emits a dentry's name, for which there are `N` bytes; `fill` writes it and the parent's. None if it is lost.
#[inline(always)]
pub fn name<const N: usize>(
    writer: usize,
    names: Names,
    fill: impl FnOnce(*mut [u8; N], *mut [u8; N]),
) -> Option<()> {
    if crate::cpu_ring::is_used() {
        return name_to_cpu_ring(writer, names, fill);
    }
    let Names { dentry, parent, name_len, parent_name_len } = names;
    let kind = if N == SHORT_NAME_LEN { KIND_SHORT_NAME } else { KIND_LONG_NAME };
    let mut record = reserve::<NameEvent<N>>(ThisCpu::get()?, Kind::Name, dentry)?;
    let event = record.as_mut_ptr();
    // SAFETY: `event` is a reserved record of this type.
    unsafe {
        (&raw mut (*event).header).write(Header { kind, flags: 0 });
        (&raw mut (*event).reserved).write(0);
        (&raw mut (*event).dentry).write(dentry);
        (&raw mut (*event).parent).write(parent);
        (&raw mut (*event).name_len).write(name_len);
        (&raw mut (*event).parent_name_len).write(parent_name_len);
        fill(&raw mut (*event).name, &raw mut (*event).parent_name);
    }
    submit(record);
    Some(())
}

#[inline(always)]
fn name_to_cpu_ring<const N: usize>(
    writer: usize,
    names: Names,
    fill: impl FnOnce(*mut [u8; N], *mut [u8; N]),
) -> Option<()> {
    let Names { dentry, parent, name_len, parent_name_len } = names;
    let Some(ring) = CpuRing::of(writer) else {
        ThisCpu::get()?.count_unseen(Kind::Name, 1);
        return None;
    };
    let room = ring.reserve(size_of::<NameRecord<N>>() as u64, dentry)?;
    let record: *mut NameRecord<N> = room.record(0);
    let kind = if N == SHORT_NAME_LEN { cpu_ring::SHORT_NAME } else { cpu_ring::LONG_NAME };
    let Head { object, detail, stamp } = room.head(dentry | kind, name_len);
    // SAFETY: there is room for a record of this type.
    unsafe {
        (&raw mut (*record).head.object).write(object);
        (&raw mut (*record).head.detail).write(detail);
        (&raw mut (*record).head.stamp).write(stamp);
        (&raw mut (*record).parent).write(parent);
        (&raw mut (*record).parent_name_len).write(parent_name_len);
        fill(&raw mut (*record).name, &raw mut (*record).parent_name);
    }
    room.publish();
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
