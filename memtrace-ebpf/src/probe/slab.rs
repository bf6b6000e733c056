//! Slab objects: handed out and given back.
//!
//! In v6.1, Linux commit 2c1d697fb8ba ("mm/slab_common: drop kmem_alloc & avoid dereferencing fields when not using")
//! gave the tracepoints the cache as an argument, and 11e9734bcb6a ("mm/slab_common: unify NUMA and UMA version of
//! tracepoints") removed the `_node` ones. Before, the cache comes from trampolines on the allocator's functions, or
//! from the object's page.
//!
//! Each is inlined into what the kernel calls: a call within a program costs as much as one of a helper.

use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, raw_tracepoint},
    programs::{FEntryContext, FExitContext, RawTracePointContext},
};
use aya_log_ebpf::warn;
use memtrace_common::{config::NO_ARGUMENT, cpu_ring::writer, event::NO_GFP};

use crate::{
    backup::{self, Role},
    config::config,
    context::{argument, number},
    emit, filter, generation, held, kernel,
    this_cpu::ThisCpu,
};

/// A trampoline does not see who called the function.
pub(super) const NO_CALL_SITE: u64 = 0;

#[raw_tracepoint(tracepoint = "kmem_cache_alloc")]
#[inline(always)]
pub fn kmem_cache_alloc(ctx: RawTracePointContext) -> Option<()> {
    cache_alloc(&ctx, writer::KMEM_CACHE_ALLOC)
}

#[raw_tracepoint(tracepoint = "kmem_cache_alloc")]
#[inline(always)]
pub fn kmem_cache_alloc_backup(ctx: RawTracePointContext) -> Option<()> {
    cache_alloc(&ctx, writer::KMEM_CACHE_ALLOC_BACKUP)
}

/// Exists only before v6.1, when the kernel did not skip programs: it needs no backup.
#[raw_tracepoint(tracepoint = "kmem_cache_alloc_node")]
#[inline(always)]
pub fn kmem_cache_alloc_node(ctx: RawTracePointContext) -> Option<()> {
    let object = Object { ptr: ctx.arg(1), writer: writer::KMEM_CACHE_ALLOC_NODE };
    object.alloc_by_page(&ctx, Call::of_cache_tracepoint(&ctx))
}

#[raw_tracepoint(tracepoint = "kmem_cache_free")]
#[inline(always)]
pub fn kmem_cache_free(ctx: RawTracePointContext) -> Option<()> {
    cache_free(&ctx, writer::KMEM_CACHE_FREE)
}

#[raw_tracepoint(tracepoint = "kmem_cache_free")]
#[inline(always)]
pub fn kmem_cache_free_backup(ctx: RawTracePointContext) -> Option<()> {
    cache_free(&ctx, writer::KMEM_CACHE_FREE_BACKUP)
}

#[raw_tracepoint(tracepoint = "kmalloc")]
#[inline(always)]
pub fn kmalloc(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, writer::KMALLOC)
}

#[raw_tracepoint(tracepoint = "kmalloc")]
#[inline(always)]
pub fn kmalloc_backup(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, writer::KMALLOC_BACKUP)
}

/// As `kmem_cache_alloc_node`.
#[raw_tracepoint(tracepoint = "kmalloc_node")]
#[inline(always)]
pub fn kmalloc_node(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, writer::KMALLOC_NODE)
}

/// Also frees objects of named caches: since v6.4 `kfree` may be called for them.
#[raw_tracepoint(tracepoint = "kfree")]
#[inline(always)]
pub fn kfree(ctx: RawTracePointContext) -> Option<()> {
    any_free(&ctx, writer::KFREE)
}

#[raw_tracepoint(tracepoint = "kfree")]
#[inline(always)]
pub fn kfree_backup(ctx: RawTracePointContext) -> Option<()> {
    any_free(&ctx, writer::KFREE_BACKUP)
}

#[fexit(function = "kmem_cache_alloc")]
#[inline(always)]
pub fn alloc_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_return) {
        2 => argument::<2>(&ctx),
        3 => argument::<3>(&ctx),
        _ => return None,
    };
    Object { ptr, writer: writer::ALLOC_FEXIT }.alloc(&ctx, Call::of_function(ctx.arg(1)), ctx.arg(0))
}

#[fexit(function = "kmem_cache_alloc_lru")]
#[inline(always)]
pub fn alloc_lru_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_lru_return) {
        3 => argument::<3>(&ctx),
        4 => argument::<4>(&ctx),
        _ => return None,
    };
    Object { ptr, writer: writer::ALLOC_LRU_FEXIT }.alloc(&ctx, Call::of_function(ctx.arg(2)), ctx.arg(0))
}

#[fexit(function = "kmem_cache_alloc_node")]
#[inline(always)]
pub fn alloc_node_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_node_return) {
        3 => argument::<3>(&ctx),
        4 => argument::<4>(&ctx),
        _ => return None,
    };
    Object { ptr, writer: writer::ALLOC_NODE_FEXIT }.alloc(&ctx, Call::of_function(ctx.arg(1)), ctx.arg(0))
}

#[fentry(function = "kmem_cache_free")]
#[inline(always)]
pub fn free_fentry(ctx: FEntryContext) -> Option<()> {
    if !filter::traces_cache(ctx.arg(0)) {
        return None;
    }
    let object = Object { ptr: ctx.arg(1), writer: writer::FREE_FENTRY };
    // The tag is computed from the cache, so it must be a number.
    object.take_free()?;
    object.send_free(&ctx, number::<0>(&ctx)?)
}

#[inline(always)]
fn cache_alloc(ctx: &RawTracePointContext, writer: usize) -> Option<()> {
    let object = Object { ptr: ctx.arg(1), writer };
    match config!(arguments.alloc_cache) {
        NO_ARGUMENT => object.alloc_by_page(ctx, Call::of_cache_tracepoint(ctx)),
        2 => object.alloc(ctx, Call::of_cache_tracepoint(ctx), ctx.arg(2)),
        _ => None,
    }
}

#[inline(always)]
fn cache_free(ctx: &RawTracePointContext, writer: usize) -> Option<()> {
    let object = Object { ptr: ctx.arg(1), writer };
    match (config!(arguments.free_cache), config!(arguments.free_is_late)) {
        (NO_ARGUMENT, 0) => object.free_by_page(ctx),
        (NO_ARGUMENT, _) => object.late_free(ctx),
        (2, _) => object.free(ctx, ctx.arg(2)),
        _ => None,
    }
}

/// A kmalloc that is served from a slab cache; a larger one is page memory, and is traced twice on some kernels.
#[inline(always)]
fn slab_kmalloc(ctx: &RawTracePointContext, writer: usize) -> Option<()> {
    let bytes_alloc: u64 = ctx.arg(3);
    if bytes_alloc > u64::from(config!(pages.largest_slab_kmalloc)) {
        return None;
    }
    let call = Call::of_tracepoint(ctx, config!(arguments.kmalloc_gfp));
    Object { ptr: ctx.arg(1), writer }.alloc_by_page(ctx, call)
}

#[inline(always)]
fn any_free(ctx: &RawTracePointContext, writer: usize) -> Option<()> {
    Object { ptr: ctx.arg(1), writer }.free_by_page(ctx)
}

/// How the allocator was called.
#[derive(Clone, Copy)]
struct Call {
    site: u64,
    gfp: u32,
}

impl Call {
    #[inline(always)]
    fn of_cache_tracepoint(ctx: &RawTracePointContext) -> Self {
        Self::of_tracepoint(ctx, config!(arguments.alloc_gfp))
    }

    /// The flags come after the cache, or after two sizes, and in v6.0 after all three.
    #[inline(always)]
    fn of_tracepoint(ctx: &RawTracePointContext, gfp_position: u32) -> Self {
        let gfp = match gfp_position {
            3 => argument::<3>(ctx) as u32,
            4 => argument::<4>(ctx) as u32,
            5 => argument::<5>(ctx) as u32,
            _ => NO_GFP,
        };
        Self { site: ctx.arg(0), gfp }
    }

    #[inline(always)]
    fn of_function(gfp: u64) -> Self {
        Self { site: NO_CALL_SITE, gfp: gfp as u32 }
    }
}

/// The object of an event, and which program this is: one of `writer::*`.
#[derive(Clone, Copy)]
struct Object {
    ptr: u64,
    writer: usize,
}

impl Object {
    #[inline(always)]
    fn alloc(self, ctx: &impl EbpfContext, call: Call, cache: u64) -> Option<()> {
        if !filter::traces_cache(cache) {
            return None;
        }
        self.take()?;
        self.send_alloc(ctx, call, cache)
    }

    #[inline(always)]
    fn free(self, ctx: &impl EbpfContext, cache: u64) -> Option<()> {
        if !filter::traces_cache(cache) {
            return None;
        }
        self.take_free()?;
        self.send_free(ctx, cache)
    }

    /// Where the tracepoint does not name the cache.
    #[inline(always)]
    fn alloc_by_page(self, ctx: &impl EbpfContext, call: Call) -> Option<()> {
        self.take()?;
        let cache = self.cache(ctx)?;
        if !filter::traces_cache(cache) {
            return None;
        }
        self.send_alloc(ctx, call, cache)
    }

    #[inline(always)]
    fn free_by_page(self, ctx: &impl EbpfContext) -> Option<()> {
        self.take_free()?;
        let cache = self.cache(ctx)?;
        if !filter::traces_cache(cache) {
            return None;
        }
        self.send_free(ctx, cache)
    }

    /// The slab may have been freed with its last object, and then its page says nothing. So all frees are sent, by the probe alone:
    /// kernels on which this tracepoint fires late skip no program, and the object may be in use again when a backup runs.
    #[inline(always)]
    fn late_free(self, ctx: &impl EbpfContext) -> Option<()> {
        if Role::of(self.writer) == Role::Backup || !filter::follows(self.ptr) {
            return None;
        }
        if emit::free_of_any_cache(self.ptr).is_none() {
            warn!(ctx, "the ring is full: lost the free of {:x}", self.ptr);
        }
        Some(())
    }

    /// Whether the object is followed and this program emits the event.
    #[inline(always)]
    fn take(self) -> Option<()> {
        (filter::follows(self.ptr) && backup::emits(self.writer, self.ptr)).then_some(())
    }

    /// The same of a free, and whether anybody may hold the object whom the filters pass.
    #[inline(always)]
    fn take_free(self) -> Option<()> {
        (filter::follows(self.ptr) && held::release(self.ptr) && backup::emits(self.writer, self.ptr))
            .then_some(())
    }

    #[inline(always)]
    fn cache(self, ctx: &impl EbpfContext) -> Option<u64> {
        let cache = kernel::slab_cache_of(self.ptr);
        if cache.is_none() {
            ThisCpu::get()?.count_unresolved();
            warn!(ctx, "the page of {:x} cannot be read: its cache is unknown", self.ptr);
        }
        cache
    }

    #[inline(always)]
    fn send_alloc(self, ctx: &impl EbpfContext, call: Call, cache: u64) -> Option<()> {
        if cache == config!(caches.of_caches) {
            generation::begin(self.ptr);
        }
        let Some(by) = filter::traced_task() else { return self.tell_free(cache) };
        held::note(self.ptr);
        let Call { site: call_site, gfp } = call;
        let alloc = emit::Alloc { ptr: self.ptr, cache, call_site, gfp, writer: self.writer };
        if emit::alloc_of(ctx, &alloc, by).is_none() {
            warn!(ctx, "the ring is full: lost the allocation of {:x}", self.ptr);
        }
        Some(())
    }

    /// Handed out to somebody whom the filters leave out: if it was noted, nobody saw that it was freed.
    #[inline(always)]
    fn tell_free(self, cache: u64) -> Option<()> {
        if held::are_noted()
            && held::release(self.ptr)
            && emit::free_by_now(self.writer, self.ptr, cache).is_none()
        {
            // The next free or allocation there can still tell.
            held::note(self.ptr);
        }
        Some(())
    }

    #[inline(always)]
    fn send_free(self, ctx: &impl EbpfContext, cache: u64) -> Option<()> {
        if emit::free(self.writer, self.ptr, cache).is_none() {
            // The next allocation there can still tell.
            held::note(self.ptr);
            warn!(ctx, "the ring is full: lost the free of {:x}", self.ptr);
        }
        Some(())
    }
}
