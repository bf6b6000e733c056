//! What this host offers, each thing with its reason: what `memtrace check` shows.

use super::{
    bulk::{At, BulkHook},
    discover::Kernel,
    memory::Memory,
    object,
    plan::{CacheStrategy, NameStrategy, Plan},
    privileges,
    trials::{Avoid, Reason},
    types::KernelTypes,
};

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: &'static str,
    /// What is there, or why it is not.
    pub state: Result<String, Reason>,
}

/// What the host offers, and what memtrace makes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSupport {
    pub host: Vec<Item>,
    pub tracepoints: Vec<Item>,
    pub ways: Vec<Item>,
    /// Why a session cannot run; None when it can.
    pub obstacle: Option<Reason>,
}

const TRACEPOINTS: [&str; 6] =
    ["kmem_cache_alloc", "kmem_cache_alloc_node", "kmem_cache_free", "kmalloc", "kmalloc_node", "kfree"];

impl HostSupport {
    /// Asks, and tries. Each program that is tried does nothing and is gone at once.
    pub fn probe(avoid: &[Avoid]) -> Self {
        let mut support = Self::default();
        support.say("programs", object::ensure_built().map(|()| "built in".to_owned()).map_err(text));
        support.say("privileges", held_privileges());
        support.say("lockdown", lockdown());
        let types = KernelTypes::load();
        support.say("BTF", types.as_ref().map(|_| "/sys/kernel/btf/vmlinux".to_owned()).map_err(text));
        if let Ok(types) = types {
            support.tracepoints = tracepoints(&types);
            support.say("iterators", iterators(&types));
        }
        privileges::raise_memlock();
        support.say(
            "test_run",
            Memory::open().map(|_| "reads kernel memory on request".to_owned()).map_err(text),
        );
        match Kernel::discover(avoid) {
            Ok(kernel) => support.try_and_plan(&kernel, avoid),
            Err(why) => support.obstacle = Some(why.to_string()),
        }
        support
    }

    fn try_and_plan(&mut self, kernel: &Kernel, avoid: &[Avoid]) {
        let tried = kernel.try_all(avoid);
        self.say("fentry/fexit", tried.trampolines.clone().map(|()| "attach".to_owned()));
        self.say("kprobes", tried.kprobes.clone().map(|()| "attach".to_owned()));
        self.say("slab caches", Ok(format!("{}, found through our own task", kernel.caches.len())));
        let pages = kernel.pages.as_ref().map_err(Clone::clone);
        self.say("pages", pages.map(|_| "found through partial slabs".to_owned()));
        self.say("looking", looking(kernel));
        let plan = kernel.plan(&tried);
        self.obstacle = plan.alloc.as_ref().err().or(plan.free.as_ref().err()).cloned();
        self.ways = ways(&plan);
    }

    fn say(&mut self, name: &'static str, state: Result<String, Reason>) {
        self.host.push(Item { name, state });
    }
}

/// What objects tell when they are looked at.
fn looking(kernel: &Kernel) -> Result<String, Reason> {
    let told = kernel.layout.inspect.told();
    let (known, unknown): (Vec<_>, Vec<_>) = told.iter().partition(|(_, is_known)| *is_known);
    let names = |parts: Vec<&(&'static str, bool)>| {
        parts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let lacking =
        if unknown.is_empty() { String::new() } else { format!("; not known here: {}", names(unknown)) };
    if known.is_empty() {
        return Err("this kernel's types do not tell where to look".to_owned());
    }
    Ok(format!("{}{lacking}", names(known)))
}

fn held_privileges() -> Result<String, Reason> {
    let missing = privileges::missing_capabilities().map_err(text)?;
    if missing.is_empty() {
        return Ok("sufficient".to_owned());
    }
    let names: Vec<_> = missing.iter().map(|capability| capability.name).collect();
    Err(format!("{} missing; run it as root", names.join(" and ")))
}

fn lockdown() -> Result<String, Reason> {
    match privileges::lockdown() {
        None => Ok("the kernel has none".to_owned()),
        Some(mode) if mode == "confidentiality" => {
            Err("confidentiality: forbids to read kernel memory".to_owned())
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
    let items = TRACEPOINTS.iter().map(|&name| Item { name, state: form(types, name) });
    items.collect()
}

fn form(types: &KernelTypes, tracepoint: &str) -> Result<String, Reason> {
    let count = types.tracepoint_argument_count(tracepoint).ok_or("this kernel has none")?;
    let cache = match types.tracepoint_argument(tracepoint, "kmem_cache") {
        Some(index) => format!("the cache is number {}", index + 1),
        None => "none is the cache".to_owned(),
    };
    Ok(format!("{count} arguments, {cache}"))
}

fn ways(plan: &Plan) -> Vec<Item> {
    let way = |way: &CacheStrategy, tracepoint: &str, functions: &str| match way {
        CacheStrategy::Argument => format!("tracepoint {tracepoint}, which names the cache"),
        CacheStrategy::Trampoline => format!("{functions}, because the tracepoint does not name the cache"),
        CacheStrategy::Page => format!("tracepoint {tracepoint}; the cache by the object's page"),
    };
    let alloc = plan.alloc.as_ref().map(|it| way(it, "kmem_cache_alloc", "fexit on kmem_cache_alloc*"));
    let free = plan.free.as_ref().map(|it| way(it, "kmem_cache_free", "fentry on kmem_cache_free"));
    let kmalloc = plan
        .kmalloc
        .as_ref()
        .map(|_| "tracepoints kmalloc and kfree; the cache by the object's page".to_owned());
    let names = match &plan.names {
        Ok(NameStrategy::Fexit) => "each new one, by fexit on d_alloc and d_alloc_parallel".to_owned(),
        Ok(NameStrategy::Kretprobe) => {
            "each new one, by kretprobes on d_alloc and d_alloc_parallel".to_owned()
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
        Item { name: "bulk, kfree_rcu", state: bulk.map_err(|why| format!("not seen, but noticed: {why}")) },
        Item { name: "dentry names", state: Ok(names) },
    ]
}

fn text(error: impl std::fmt::Display) -> Reason {
    error.to_string()
}
