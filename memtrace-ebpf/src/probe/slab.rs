//! Slab objects: handed out and given back.
//!
//! In v6.1, Linux commit 2c1d697fb8ba ("mm/slab_common: drop kmem_alloc & avoid dereferencing fields when not using")
//! gave the tracepoints the cache as an argument, and 11e9734bcb6a ("mm/slab_common: unify NUMA and UMA version of
//! tracepoints") removed the `_node` ones. Before, the cache comes from trampolines on the allocator's functions, or
//! from the object's page.

use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, raw_tracepoint},
    programs::{FEntryContext, FExitContext, RawTracePointContext},
};
use aya_log_ebpf::warn;
use memtrace_common::{
    config::NO_ARGUMENT,
    counters::{TAKEN_ON_CACHE_ALLOC, TAKEN_ON_CACHE_FREE, TAKEN_ON_KFREE, TAKEN_ON_KMALLOC},
};

use crate::{config::config, context::argument, emit, filter, kernel, understudy::Role};

#[raw_tracepoint(tracepoint = "kmem_cache_alloc")]
pub fn kmem_cache_alloc(ctx: RawTracePointContext) -> Option<()> {
    cache_alloc(&ctx, Role::Probe)
}

#[raw_tracepoint(tracepoint = "kmem_cache_alloc")]
pub fn kmem_cache_alloc_understudy(ctx: RawTracePointContext) -> Option<()> {
    cache_alloc(&ctx, Role::Understudy)
}

/// Before v6.1, when programs were not skipped yet: it needs no understudy.
#[raw_tracepoint(tracepoint = "kmem_cache_alloc_node")]
pub fn kmem_cache_alloc_node(ctx: RawTracePointContext) -> Option<()> {
    resolved_alloc(&ctx, Role::Probe, ctx.arg(1))
}

#[raw_tracepoint(tracepoint = "kmem_cache_free")]
pub fn kmem_cache_free(ctx: RawTracePointContext) -> Option<()> {
    cache_free(&ctx, Role::Probe)
}

#[raw_tracepoint(tracepoint = "kmem_cache_free")]
pub fn kmem_cache_free_understudy(ctx: RawTracePointContext) -> Option<()> {
    cache_free(&ctx, Role::Understudy)
}

#[raw_tracepoint(tracepoint = "kmalloc")]
pub fn kmalloc(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, Role::Probe)
}

#[raw_tracepoint(tracepoint = "kmalloc")]
pub fn kmalloc_understudy(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, Role::Understudy)
}

/// As `kmem_cache_alloc_node`.
#[raw_tracepoint(tracepoint = "kmalloc_node")]
pub fn kmalloc_node(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, Role::Probe)
}

/// Also frees objects of named caches: since v6.4 `kfree` may be called for them.
#[raw_tracepoint(tracepoint = "kfree")]
pub fn kfree(ctx: RawTracePointContext) -> Option<()> {
    any_free(&ctx, Role::Probe)
}

#[raw_tracepoint(tracepoint = "kfree")]
pub fn kfree_understudy(ctx: RawTracePointContext) -> Option<()> {
    any_free(&ctx, Role::Understudy)
}

#[fexit(function = "kmem_cache_alloc")]
pub fn alloc_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_return) {
        2 => argument::<2>(&ctx),
        3 => argument::<3>(&ctx),
        _ => return None,
    };
    alloc(&ctx, Role::Probe, ctx.arg(0), ptr)
}

#[fexit(function = "kmem_cache_alloc_lru")]
pub fn alloc_lru_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_lru_return) {
        3 => argument::<3>(&ctx),
        4 => argument::<4>(&ctx),
        _ => return None,
    };
    alloc(&ctx, Role::Probe, ctx.arg(0), ptr)
}

#[fexit(function = "kmem_cache_alloc_node")]
pub fn alloc_node_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_node_return) {
        3 => argument::<3>(&ctx),
        4 => argument::<4>(&ctx),
        _ => return None,
    };
    alloc(&ctx, Role::Probe, ctx.arg(0), ptr)
}

#[fentry(function = "kmem_cache_free")]
pub fn free_fentry(ctx: FEntryContext) -> Option<()> {
    free(&ctx, ctx.arg(0), ctx.arg(1))
}

#[inline(always)]
fn cache_alloc(ctx: &RawTracePointContext, role: Role) -> Option<()> {
    let ptr = ctx.arg(1);
    match config!(arguments.alloc_cache) {
        NO_ARGUMENT if role.takes(TAKEN_ON_CACHE_ALLOC, ptr) => resolved_alloc(ctx, role, ptr),
        2 if filter::traces_cache(ctx.arg(2)) && role.takes(TAKEN_ON_CACHE_ALLOC, ptr) => {
            alloc(ctx, role, ctx.arg(2), ptr)
        }
        _ => None,
    }
}

#[inline(always)]
fn cache_free(ctx: &RawTracePointContext, role: Role) -> Option<()> {
    let ptr = ctx.arg(1);
    match config!(arguments.free_cache) {
        NO_ARGUMENT if role.takes(TAKEN_ON_CACHE_FREE, ptr) => match config!(arguments.free_is_late) {
            0 => resolved_free(ctx, ptr),
            _ if role == Role::Probe => late_free(ctx, ptr),
            _ => None,
        },
        2 if filter::traces_cache(ctx.arg(2)) && role.takes(TAKEN_ON_CACHE_FREE, ptr) => {
            free(ctx, ctx.arg(2), ptr)
        }
        _ => None,
    }
}

/// A kmalloc that is served from a slab cache; a larger one is page memory, and is traced twice on some kernels.
#[inline(always)]
fn slab_kmalloc(ctx: &RawTracePointContext, role: Role) -> Option<()> {
    let ptr = ctx.arg(1);
    let bytes_alloc: u64 = ctx.arg(3);
    if bytes_alloc > u64::from(config!(pages.largest_slab_kmalloc)) || !role.takes(TAKEN_ON_KMALLOC, ptr) {
        return None;
    }
    resolved_alloc(ctx, role, ptr)
}

#[inline(always)]
fn any_free(ctx: &RawTracePointContext, role: Role) -> Option<()> {
    let ptr = ctx.arg(1);
    if role.takes(TAKEN_ON_KFREE, ptr) { resolved_free(ctx, ptr) } else { None }
}

#[inline(always)]
fn resolved_alloc(ctx: &impl EbpfContext, role: Role, ptr: u64) -> Option<()> {
    alloc(ctx, role, resolve(ctx, ptr)?, ptr)
}

#[inline(always)]
fn resolved_free(ctx: &impl EbpfContext, ptr: u64) -> Option<()> {
    free(ctx, resolve(ctx, ptr)?, ptr)
}

#[inline(always)]
fn alloc(ctx: &impl EbpfContext, role: Role, cache: u64, ptr: u64) -> Option<()> {
    if !filter::traces_cache(cache) || !kernel::is_object(ptr) {
        return None;
    }
    let tgid = kernel::current_tgid();
    if !filter::traces_task(tgid) {
        return None;
    }
    if emit::alloc(role, tgid, ptr, cache).is_none() {
        warn!(ctx, "the ring is full: lost the allocation of {:x}", ptr);
    }
    Some(())
}

#[inline(always)]
fn free(ctx: &impl EbpfContext, cache: u64, ptr: u64) -> Option<()> {
    if !filter::traces_cache(cache) || !kernel::is_object(ptr) {
        return None;
    }
    if emit::free(ptr).is_none() {
        warn!(ctx, "the ring is full: lost the free of {:x}", ptr);
    }
    Some(())
}

/// The slab may have been given back with its last object: its page tells nothing then. So all frees are sent, by the probe
/// alone: kernels that fire late skip no program, and somebody else may have the object by the time of its understudy.
#[inline(always)]
fn late_free(ctx: &impl EbpfContext, ptr: u64) -> Option<()> {
    if !kernel::is_object(ptr) {
        return None;
    }
    if emit::free_of_any_cache(ptr).is_none() {
        warn!(ctx, "the ring is full: lost the free of {:x}", ptr);
    }
    Some(())
}

/// The cache of an object that the tracepoint does not name.
#[inline(always)]
fn resolve(ctx: &impl EbpfContext, ptr: u64) -> Option<u64> {
    if !kernel::is_object(ptr) {
        return None;
    }
    let cache = kernel::slab_cache_of(ptr);
    if cache.is_none() {
        emit::count_unresolved();
        warn!(ctx, "the page of {:x} cannot be read: its cache is unknown", ptr);
    }
    cache
}
