//! Objects that are allocated and freed many at a time, and objects that RCU frees: no tracepoint fires for them, so these are
//! trampolines on the allocator's functions.
//!
//! The verifier walks through every iteration of a loop. So the work for each object is in a function of its own, and global:
//! these are verified once, for any arguments (Linux commit 51c39bb1d5d1 ("bpf: Introduce function-by-function
//! verification") (in v5.6)), and an iteration is little more than its call.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use memtrace_common::{
    bulk::MAX_OBJECTS,
    config::{NO_ARGUMENT, RETURNS_COUNT},
    cpu_ring::writer,
    event::{KIND_ALLOC, KIND_FREE, NO_CACHE},
};

use super::slab::NO_CALL_SITE;
use crate::{
    config::config,
    context::{argument, number},
    emit,
    filter::{self, TracedTask},
    held, kernel,
    task::Current,
    this_cpu::{Kind, ThisCpu},
};

/// A global function must return a number.
const NOTHING: u64 = 0;

/// Also serves `kfree_bulk`, and so the batches of `kfree_rcu`: these do not say which caches their objects are from.
#[fentry(function = "kmem_cache_free_bulk")]
pub fn free_bulk_fentry(ctx: FEntryContext) -> Option<()> {
    let (cache, count, objects) = (number::<0>(&ctx)?, ctx.arg(1), number::<2>(&ctx)?);
    let is_traced = if cache == NO_CACHE { config!(pages.base) != 0 } else { filter::traces_cache(cache) };
    if !is_traced {
        return None;
    }
    for index in 0..MAX_OBJECTS {
        if index >= count {
            return Some(());
        }
        free_of_array(element(objects, index), cache);
    }
    emit::lose(ThisCpu::get()?, Kind::Free, KIND_FREE, cache, count - MAX_OBJECTS);
    Some(())
}

#[fexit(function = "kmem_cache_alloc_bulk")]
pub fn alloc_bulk_fexit(ctx: FExitContext) -> Option<()> {
    let cache = number::<0>(&ctx)?;
    if !filter::traces_cache(cache) {
        return None;
    }
    let (gfp, asked_for): (u64, u64) = (ctx.arg(1), ctx.arg(2));
    let (objects, returned) = (number::<3>(&ctx)?, argument::<4>(&ctx));
    let count = match config!(arguments.alloc_bulk_returns) {
        RETURNS_COUNT => asked_for.min(u64::from(returned as u32)),
        NO_ARGUMENT => return None,
        _ if is_true(returned) => asked_for,
        _ => 0,
    };
    let TracedTask { tgid, comm, .. } = filter::traced_task()?;
    for index in 0..MAX_OBJECTS {
        if index >= count {
            return Some(());
        }
        alloc_of_array(element(objects, index), cache, gfp << 32 | u64::from(tgid), comm[0], comm[1]);
    }
    emit::lose(ThisCpu::get()?, Kind::Alloc, KIND_ALLOC, cache, count - MAX_OBJECTS);
    Some(())
}

/// `kfree_rcu` puts an object into a sheaf of its cache, which hands it out again after a grace period without any tracepoint:
/// Linux commit ec66e0d59952 ("slab: add sheaf support for batching kfree_rcu() operations") (in v6.18). Objects that
/// it does not take are freed in batches.
#[fexit(function = "__kfree_rcu_sheaf")]
pub fn kfree_rcu_sheaf_fexit(ctx: FExitContext) -> Option<()> {
    let is_taken = match config!(arguments.kfree_rcu_sheaf_return) {
        2 => is_true(argument::<2>(&ctx)),
        3 => is_true(argument::<3>(&ctx)),
        _ => return None,
    };
    let cache = number::<0>(&ctx)?;
    if !is_taken || !filter::traces_cache(cache) {
        return None;
    }
    free(writer::KFREE_RCU_SHEAF_FEXIT, ctx.arg(1), cache)
}

#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn free_of_array(element: u64, cache: u64) -> u64 {
    free_element(element, cache);
    NOTHING
}

/// A global function takes five arguments, so two share one: the flags in the upper half, the process in the lower.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn alloc_of_array(
    element: u64,
    cache: u64,
    gfp_and_tgid: u64,
    comm_start: u64,
    comm_end: u64,
) -> u64 {
    let (gfp, tgid) = ((gfp_and_tgid >> 32) as u32, gfp_and_tgid as u32);
    let Some(ptr) = kernel::read(element) else { return NOTHING };
    if filter::follows(ptr) {
        held::note(ptr);
        let alloc =
            emit::Alloc { ptr, cache, call_site: NO_CALL_SITE, gfp, writer: writer::ALLOC_BULK_FEXIT };
        emit::alloc(&alloc, Current::get(), tgid, [comm_start, comm_end]);
    }
    NOTHING
}

#[inline(always)]
fn free_element(element: u64, cache: u64) -> Option<()> {
    let ptr = kernel::read(element)?;
    if cache != NO_CACHE {
        return free(writer::FREE_BULK_FENTRY, ptr, cache);
    }
    if !filter::follows(ptr) {
        return None;
    }
    let Some(cache) = kernel::slab_cache_of(ptr) else {
        ThisCpu::get()?.count_unresolved();
        return None;
    };
    if filter::traces_cache(cache) { free(writer::FREE_BULK_FENTRY, ptr, cache) } else { None }
}

/// A trampoline has no backup, so it leaves no note for one.
#[inline(always)]
fn free(writer: usize, ptr: u64, cache: u64) -> Option<()> {
    if !filter::follows(ptr) || !held::release(ptr) {
        return None;
    }
    emit::free(writer, ptr, cache)
}

/// Address of an element of an array of pointers.
#[inline(always)]
fn element(array: u64, index: u64) -> u64 {
    array.wrapping_add(index * size_of::<u64>() as u64)
}

/// Of a bool only one byte is set by the function that returns it.
#[inline(always)]
fn is_true(returned: u64) -> bool {
    returned as u8 != 0
}
