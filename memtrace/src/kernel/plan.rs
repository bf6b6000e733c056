//! How memtrace gets each kind of information on this kernel, and why so. `memtrace check` prints it, `load` carries it out.

use memtrace_common::config::{NO_ARGUMENT, Pages};

use super::{
    bulk::{self, BulkHook},
    layout::Layout,
    reason::Reason,
};

/// How allocations and frees of named caches are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheStrategy {
    /// The tracepoint says which cache.
    Argument,
    /// The tracepoint does not: fexit and fentry on the allocator's functions, whose argument is the cache.
    Trampoline,
    /// Neither: from the page that the object lies in.
    Page,
}

/// How the names of new dentries are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameStrategy {
    Fexit,
    Kretprobe,
}

/// What is known about the kernel.
pub struct Findings<'a> {
    pub layout: &'a Layout,
    pub pages: Result<Pages, Reason>,
    pub trampolines: &'a Result<(), Reason>,
    pub kprobes: &'a Result<(), Reason>,
    /// Whether hooks on events that fire no tracepoint work, if that was tried.
    pub bulk: &'a Result<(), Reason>,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub alloc: Result<CacheStrategy, Reason>,
    pub free: Result<CacheStrategy, Reason>,
    /// For kmalloc and kfree: only the page says which cache an object is from.
    pub kmalloc: Result<Pages, Reason>,
    pub names: Result<NameStrategy, Reason>,
    /// Hooks on events that fire no tracepoint. A session can do without.
    pub bulk: Result<Vec<BulkHook>, Reason>,
}

impl Plan {
    pub fn new(findings: Findings<'_>) -> Self {
        let Findings { layout, pages, trampolines, kprobes, bulk } = findings;
        Self {
            alloc: cache_strategy(
                layout.alloc_names_cache(),
                &allocator_trampolines(layout, trampolines),
                &pages,
            ),
            free: cache_strategy(layout.free_names_cache(), trampolines, &pages),
            names: name_strategy(trampolines, kprobes),
            bulk: bulk.clone().and_then(|()| bulk::hooks(layout)),
            kmalloc: pages,
        }
    }

    /// Whether any program goes on a function by fentry or fexit.
    pub fn has_trampolines(&self) -> bool {
        self.bulk.is_ok()
            || self.names == Ok(NameStrategy::Fexit)
            || [&self.alloc, &self.free].contains(&&Ok(CacheStrategy::Trampoline))
    }

    /// The pages, for programs that may need them; all zero where they were not found.
    pub fn pages(&self) -> Pages {
        self.kmalloc.as_ref().copied().unwrap_or_default()
    }
}

/// Since v6.10 the allocator's functions have other names, Linux commit 7bd230a26648 ("mm/slab: enable slab
/// allocation tagging for kmalloc and friends"); by then tracepoints name the cache.
fn allocator_trampolines(layout: &Layout, trampolines: &Result<(), Reason>) -> Result<(), Reason> {
    if layout.arguments.alloc_return == NO_ARGUMENT {
        return Err("this kernel has no function kmem_cache_alloc".to_owned());
    }
    trampolines.clone()
}

/// For filtered events a trampoline is cheaper than the page, so it comes first.
fn cache_strategy(
    argument: bool,
    trampolines: &Result<(), Reason>,
    pages: &Result<Pages, Reason>,
) -> Result<CacheStrategy, Reason> {
    match (argument, trampolines, pages) {
        (true, _, _) => Ok(CacheStrategy::Argument),
        (false, Ok(()), _) => Ok(CacheStrategy::Trampoline),
        (false, Err(_), Ok(_)) => Ok(CacheStrategy::Page),
        (false, Err(trampolines), Err(pages)) => Err(format!(
            "the tracepoint does not name the cache, fentry/fexit is unavailable ({trampolines}), and {pages}"
        )),
    }
}

fn name_strategy(
    trampolines: &Result<(), Reason>,
    kprobes: &Result<(), Reason>,
) -> Result<NameStrategy, Reason> {
    match (trampolines, kprobes) {
        (Ok(()), _) => Ok(NameStrategy::Fexit),
        (Err(_), Ok(())) => Ok(NameStrategy::Kretprobe),
        (Err(fexit), Err(kprobe)) => Err(format!("no fexit ({fexit}), no kprobes ({kprobe})")),
    }
}
