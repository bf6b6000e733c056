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
    counters::{LAST_SEEN_CACHE_ALLOC, LAST_SEEN_KMALLOC},
    event::{NO_CACHE, NO_GFP},
};

use crate::{
    backup::Role,
    config::config,
    context::{argument, number},
    emit, filter, generation, kernel,
    this_cpu::ThisCpu,
};

/// A trampoline does not see who called the function.
pub(super) const NO_CALL_SITE: u64 = 0;

#[raw_tracepoint(tracepoint = "kmem_cache_alloc")]
pub fn kmem_cache_alloc(ctx: RawTracePointContext) -> Option<()> {
    cache_alloc(&ctx, Role::Probe)
}

#[raw_tracepoint(tracepoint = "kmem_cache_alloc")]
pub fn kmem_cache_alloc_backup(ctx: RawTracePointContext) -> Option<()> {
    cache_alloc(&ctx, Role::Backup)
}

/// Exists only before v6.1, when the kernel did not skip programs: it needs no backup.
#[raw_tracepoint(tracepoint = "kmem_cache_alloc_node")]
pub fn kmem_cache_alloc_node(ctx: RawTracePointContext) -> Option<()> {
    Handed { ptr: ctx.arg(1), index: LAST_SEEN_CACHE_ALLOC, role: Role::Probe }
        .alloc_by_page(&ctx, Call::of_cache_tracepoint(&ctx))
}

#[raw_tracepoint(tracepoint = "kmem_cache_free")]
pub fn kmem_cache_free(ctx: RawTracePointContext) -> Option<()> {
    let object = Freed(ctx.arg(1));
    match (config!(arguments.free_cache), config!(arguments.free_is_late)) {
        (NO_ARGUMENT, 0) => object.free_by_page(&ctx),
        (NO_ARGUMENT, _) => object.late_free(&ctx),
        (2, _) => object.free(&ctx, ctx.arg(2)),
        _ => None,
    }
}

#[raw_tracepoint(tracepoint = "kmalloc")]
pub fn kmalloc(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, Role::Probe)
}

#[raw_tracepoint(tracepoint = "kmalloc")]
pub fn kmalloc_backup(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, Role::Backup)
}

/// As `kmem_cache_alloc_node`.
#[raw_tracepoint(tracepoint = "kmalloc_node")]
pub fn kmalloc_node(ctx: RawTracePointContext) -> Option<()> {
    slab_kmalloc(&ctx, Role::Probe)
}

/// Also frees objects of named caches: since v6.4 `kfree` may be called for them.
#[raw_tracepoint(tracepoint = "kfree")]
pub fn kfree(ctx: RawTracePointContext) -> Option<()> {
    Freed(ctx.arg(1)).free_by_page(&ctx)
}

#[fexit(function = "kmem_cache_alloc")]
pub fn alloc_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_return) {
        2 => argument::<2>(&ctx),
        3 => argument::<3>(&ctx),
        _ => return None,
    };
    Handed::by_trampoline(ptr).alloc(&ctx, Call::of_function(ctx.arg(1)), ctx.arg(0))
}

#[fexit(function = "kmem_cache_alloc_lru")]
pub fn alloc_lru_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_lru_return) {
        3 => argument::<3>(&ctx),
        4 => argument::<4>(&ctx),
        _ => return None,
    };
    Handed::by_trampoline(ptr).alloc(&ctx, Call::of_function(ctx.arg(2)), ctx.arg(0))
}

#[fexit(function = "kmem_cache_alloc_node")]
pub fn alloc_node_fexit(ctx: FExitContext) -> Option<()> {
    let ptr = match config!(arguments.alloc_node_return) {
        3 => argument::<3>(&ctx),
        4 => argument::<4>(&ctx),
        _ => return None,
    };
    Handed::by_trampoline(ptr).alloc(&ctx, Call::of_function(ctx.arg(1)), ctx.arg(0))
}

#[fentry(function = "kmem_cache_free")]
pub fn free_fentry(ctx: FEntryContext) -> Option<()> {
    if !filter::traces_cache(ctx.arg(0)) {
        return None;
    }
    let object = Freed(ctx.arg(1));
    // The tag is computed from the cache, so it must be a number.
    object.send(&ctx, object.cpu()?, number::<0>(&ctx)?)
}

#[inline(always)]
fn cache_alloc(ctx: &RawTracePointContext, role: Role) -> Option<()> {
    let object = Handed { ptr: ctx.arg(1), index: LAST_SEEN_CACHE_ALLOC, role };
    match config!(arguments.alloc_cache) {
        NO_ARGUMENT => object.alloc_by_page(ctx, Call::of_cache_tracepoint(ctx)),
        2 => object.alloc(ctx, Call::of_cache_tracepoint(ctx), ctx.arg(2)),
        _ => None,
    }
}

/// A kmalloc that is served from a slab cache; a larger one is page memory, and is traced twice on some kernels.
#[inline(always)]
fn slab_kmalloc(ctx: &RawTracePointContext, role: Role) -> Option<()> {
    let bytes_alloc: u64 = ctx.arg(3);
    if bytes_alloc > u64::from(config!(pages.largest_slab_kmalloc)) {
        return None;
    }
    let call = Call::of_tracepoint(ctx, config!(arguments.kmalloc_gfp));
    Handed { ptr: ctx.arg(1), index: LAST_SEEN_KMALLOC, role }.alloc_by_page(ctx, call)
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

/// An object that is handed out, and which of two programs this is.
#[derive(Clone, Copy)]
struct Handed {
    ptr: u64,
    /// One of `LAST_SEEN_*`.
    index: usize,
    role: Role,
}

impl Handed {
    /// A trampoline has no backup. It uses the slot of the tracepoint, which is not attached then.
    #[inline(always)]
    fn by_trampoline(ptr: u64) -> Self {
        Self { ptr, index: LAST_SEEN_CACHE_ALLOC, role: Role::Probe }
    }

    #[inline(always)]
    fn alloc(self, ctx: &impl EbpfContext, call: Call, cache: u64) -> Option<()> {
        if !filter::traces_cache(cache) {
            return None;
        }
        self.send(ctx, self.take()?, call, cache)
    }

    /// Where the tracepoint does not name the cache.
    #[inline(always)]
    fn alloc_by_page(self, ctx: &impl EbpfContext, call: Call) -> Option<()> {
        let cpu = self.take()?;
        let cache = cache_of(ctx, cpu, self.ptr)?;
        if !filter::traces_cache(cache) {
            return None;
        }
        self.send(ctx, cpu, call, cache)
    }

    /// This CPU, if the object is followed and this program emits the event.
    #[inline(always)]
    fn take(self) -> Option<ThisCpu> {
        if !filter::follows(self.ptr) {
            return None;
        }
        let cpu = ThisCpu::get()?;
        self.role.emits(cpu, self.index, self.ptr).then_some(cpu)
    }

    #[inline(always)]
    fn send(self, ctx: &impl EbpfContext, cpu: ThisCpu, call: Call, cache: u64) -> Option<()> {
        if cache == config!(caches.of_caches) {
            generation::begin(self.ptr);
        }
        let by = filter::traced_task()?;
        let Call { site: call_site, gfp } = call;
        let alloc = emit::Alloc { ptr: self.ptr, cache, call_site, gfp, role: self.role };
        if emit::alloc_of(ctx, cpu, &alloc, by).is_none() {
            warn!(ctx, "the ring is full: lost the allocation of {:x}", self.ptr);
        }
        Some(())
    }
}

/// An object that is given back. A free that the kernel skips the program for needs no backup: userspace asks the kernel's memory
/// whether what looks outstanding is allocated.
#[derive(Clone, Copy)]
struct Freed(u64);

impl Freed {
    #[inline(always)]
    fn free(self, ctx: &impl EbpfContext, cache: u64) -> Option<()> {
        if !filter::traces_cache(cache) {
            return None;
        }
        self.send(ctx, self.cpu()?, cache)
    }

    #[inline(always)]
    fn free_by_page(self, ctx: &impl EbpfContext) -> Option<()> {
        let cpu = self.cpu()?;
        let cache = cache_of(ctx, cpu, self.0)?;
        if !filter::traces_cache(cache) {
            return None;
        }
        self.send(ctx, cpu, cache)
    }

    /// The slab may have been freed with its last object, and then its page says nothing. So all frees are sent.
    #[inline(always)]
    fn late_free(self, ctx: &impl EbpfContext) -> Option<()> {
        if emit::free(self.cpu()?, self.0, NO_CACHE).is_none() {
            warn!(ctx, "the ring is full: lost the free of {:x}", self.0);
        }
        Some(())
    }

    /// This CPU, if the object is followed.
    #[inline(always)]
    fn cpu(self) -> Option<ThisCpu> {
        if filter::follows(self.0) { ThisCpu::get() } else { None }
    }

    #[inline(always)]
    fn send(self, ctx: &impl EbpfContext, cpu: ThisCpu, cache: u64) -> Option<()> {
        if emit::free(cpu, self.0, cache).is_none() {
            warn!(ctx, "the ring is full: lost the free of {:x}", self.0);
        }
        Some(())
    }
}

#[inline(always)]
fn cache_of(ctx: &impl EbpfContext, cpu: ThisCpu, ptr: u64) -> Option<u64> {
    let cache = kernel::slab_cache_of(ptr);
    if cache.is_none() {
        cpu.count_unresolved();
        warn!(ctx, "the page of {:x} cannot be read: its cache is unknown", ptr);
    }
    cache
}
