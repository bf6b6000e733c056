//! What this host supports, with a reason for each gap: what `memtrace check` shows.

use std::thread;

use landlock::RulesetStatus;
use rustix::thread::CapabilitySet;

use super::{
    bulk::{At, BulkHook},
    discover::Kernel,
    limits, load, lockdown,
    memory::Memory,
    object,
    plan::{CacheStrategy, NameStrategy, Plan},
    reason::Reason,
    trials::Avoid,
    types::KernelTypes,
};
use crate::rights::{
    capability::{self, Right},
    sandbox::{Confined, Sandbox},
};

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: &'static str,
    /// A detail, or why it is unavailable.
    pub state: Result<String, Reason>,
}

/// What the host supports, and how memtrace uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSupport {
    /// What this process may do, and what is lost where it may not.
    pub rights: Vec<Item>,
    pub host: Vec<Item>,
    pub tracepoints: Vec<Item>,
    pub strategies: Vec<Item>,
    /// Why a session cannot run; None if it can.
    pub obstacle: Option<Reason>,
}

const TRACEPOINTS: [&str; 6] =
    ["kmem_cache_alloc", "kmem_cache_alloc_node", "kmem_cache_free", "kmalloc", "kmalloc_node", "kfree"];

impl HostSupport {
    /// Reads what the kernel says of itself, and attaches programs that do nothing, each for a moment.
    pub fn probe(held: CapabilitySet, avoid: &[Avoid]) -> Self {
        let mut support = Self { rights: rights(held), ..Self::default() };
        support.add("programs", object::ensure_built().map(|()| "built in".to_owned()).map_err(to_reason));
        support.add("privileges", held_privileges());
        support.add("lockdown", lockdown_mode());
        support.add("sandbox", sandbox());
        let types = KernelTypes::load();
        support.add("BTF", types.as_ref().map(|_| "/sys/kernel/btf/vmlinux".to_owned()).map_err(to_reason));
        if let Ok(types) = types {
            support.tracepoints = tracepoints(&types);
            support.add("iterators", iterators(&types));
        }
        limits::raise_memlock();
        let memory = Memory::open().map(|_| "reads kernel memory on request".to_owned());
        support.add("test_run", memory.map_err(to_reason));
        match Kernel::discover(avoid) {
            Ok(kernel) => support.try_and_plan(&kernel, avoid),
            Err(why) => support.obstacle = Some(why.to_string()),
        }
        support
    }

    fn try_and_plan(&mut self, kernel: &Kernel, avoid: &[Avoid]) {
        let tried = kernel.try_all(avoid);
        self.add("fentry/fexit", tried.trampolines.clone().map(|()| "attach".to_owned()));
        self.add("kprobes", tried.kprobes.clone().map(|()| "attach".to_owned()));
        self.add("slab caches", Ok(format!("{}, found through our own task", kernel.caches.len())));
        let pages = kernel.pages.as_ref().map_err(Clone::clone);
        self.add("pages", pages.map(|_| "found through partial slabs".to_owned()));
        self.add("object details", object_details(kernel));
        let plan = kernel.plan(&tried);
        self.obstacle = plan.alloc.as_ref().err().or(plan.free.as_ref().err()).cloned();
        self.strategies = strategies(&plan);
        let rings = load::supports_cpu_rings(&kernel.layout, avoid);
        let rings = rings.map(|()| "each program has its own".to_owned());
        let rings = rings.map_err(|why| format!("all CPUs share ring buffers: {why}"));
        self.strategies.push(Item { name: "rings of each CPU", state: rings });
    }

    fn add(&mut self, name: &'static str, state: Result<String, Reason>) {
        self.host.push(Item { name, state });
    }
}

/// What inspecting objects can show.
fn object_details(kernel: &Kernel) -> Result<String, Reason> {
    let details = kernel.layout.inspect.shows();
    let (known, unknown): (Vec<_>, Vec<_>) = details.iter().partition(|(_, is_known)| *is_known);
    let names = |parts: Vec<&(&'static str, bool)>| {
        parts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let missing = if unknown.is_empty() { String::new() } else { format!("; without {}", names(unknown)) };
    if known.is_empty() {
        return Err("this kernel's BTF lacks the fields".to_owned());
    }
    Ok(format!("{}{missing}", names(known)))
}

fn held_privileges() -> Result<String, Reason> {
    let missing = capability::missing(capability::held());
    if missing.is_empty() {
        return Ok("sufficient".to_owned());
    }
    let names: Vec<_> = missing.iter().map(|right| right.name).collect();
    Err(format!("{} missing: run memtrace as root", names.join(" and ")))
}

/// For each right what it is for; without it, also what is lost.
pub fn rights(held: CapabilitySet) -> Vec<Item> {
    let item = |right: Right| {
        let Right { name, purpose, loss, .. } = right;
        let state = if right.is_in(held) {
            Ok(purpose.to_owned())
        } else {
            Err(format!("{purpose}; without it, {loss}"))
        };
        Item { name, state }
    };
    capability::ALL.into_iter().map(item).collect()
}

/// What recordings are read in, tried in a thread that ends then.
fn sandbox() -> Result<String, Reason> {
    let Confined { files, calls } = thread::spawn(|| Sandbox::default().enter())
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let files = match files {
        Ok(RulesetStatus::FullyEnforced) => Ok("files (Landlock)"),
        Ok(RulesetStatus::PartiallyEnforced) => Ok("files (a part of Landlock)"),
        Ok(RulesetStatus::NotEnforced) => Err("this kernel has no Landlock, or it is off".to_owned()),
        Err(why) => Err(why.to_string()),
    };
    match (files, calls) {
        (Ok(files), Ok(())) => Ok(format!("for readers of recordings: {files}, system calls (seccomp)")),
        (Err(why), Ok(())) => Ok(format!("for readers of recordings: system calls (seccomp); {why}")),
        (_, Err(why)) => Err(format!("readers of recordings have none: {why}")),
    }
}

fn lockdown_mode() -> Result<String, Reason> {
    match lockdown::mode() {
        None => Ok("not in this kernel".to_owned()),
        Some(mode) if mode == "confidentiality" => {
            Err("confidentiality: kernel memory cannot be read".to_owned())
        }
        Some(mode) => Ok(mode),
    }
}

fn iterators(types: &KernelTypes) -> Result<String, Reason> {
    if types.has_structure("bpf_iter__kmem_cache") {
        Ok("kmem_cache; not needed".to_owned())
    } else {
        Err("no kmem_cache; not needed".to_owned())
    }
}

fn tracepoints(types: &KernelTypes) -> Vec<Item> {
    let items = TRACEPOINTS.iter().map(|&name| Item { name, state: arguments(types, name) });
    items.collect()
}

fn arguments(types: &KernelTypes, tracepoint: &str) -> Result<String, Reason> {
    let count = types.tracepoint_argument_count(tracepoint).ok_or("not in this kernel")?;
    let cache = match types.tracepoint_argument(tracepoint, "kmem_cache") {
        Some(index) => format!("the cache is argument {}", index + 1),
        None => "none is the cache".to_owned(),
    };
    Ok(format!("{count} arguments, {cache}"))
}

fn strategies(plan: &Plan) -> Vec<Item> {
    let by = |strategy: &CacheStrategy, tracepoint: &str, functions: &str| match strategy {
        CacheStrategy::Argument => format!("tracepoint {tracepoint}, which names the cache"),
        CacheStrategy::Trampoline => format!("{functions}, because the tracepoint does not name the cache"),
        CacheStrategy::Page => format!("tracepoint {tracepoint}; the cache from the object's page"),
    };
    let alloc = plan.alloc.as_ref().map(|it| by(it, "kmem_cache_alloc", "fexit on kmem_cache_alloc*"));
    let free = plan.free.as_ref().map(|it| by(it, "kmem_cache_free", "fentry on kmem_cache_free"));
    let kmalloc = plan
        .kmalloc
        .as_ref()
        .map(|_| "tracepoints kmalloc and kfree; the cache from the object's page".to_owned());
    let names = match &plan.names {
        Ok(NameStrategy::Fexit) => "all new ones, by fexit on d_alloc and d_alloc_parallel".to_owned(),
        Ok(NameStrategy::Kretprobe) => {
            "all new ones, by kretprobes on d_alloc and d_alloc_parallel".to_owned()
        }
        Err(why) => format!("a sample, read from surviving dentries: {why}"),
    };
    let bulk = plan.bulk.as_ref().map(|hooks| {
        let on = |hook: &BulkHook| {
            format!("{} on {}", if hook.at == At::EntryOfFree { "fentry" } else { "fexit" }, hook.function)
        };
        hooks.iter().map(on).collect::<Vec<_>>().join(", ")
    });
    vec![
        Item { name: "allocations", state: alloc.map_err(Clone::clone) },
        Item { name: "frees", state: free.map_err(Clone::clone) },
        Item { name: "kmalloc caches", state: kmalloc.map_err(Clone::clone) },
        Item {
            name: "bulk, kfree_rcu",
            state: bulk.map_err(|why| format!("not traced, but counted as missing: {why}")),
        },
        Item { name: "dentry names", state: Ok(names) },
    ]
}

fn to_reason(error: impl std::fmt::Display) -> Reason {
    error.to_string()
}
