//! From the options to a session that runs.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    io,
    sync::Arc,
};

use memtrace_common::{config, sample};

use super::{
    Options, StacksOption, State,
    budget::memory::MemoryBudget,
    caches::Directory,
    govern::Budget,
    host::{self, Host},
    inspect::SurvivorInspector,
    processes::Who,
    record::Listening,
};
use crate::{
    attribution::{
        cgroup::{Cgroups, Hierarchy},
        stack::Stacks,
    },
    kernel::{
        attach::Attached,
        caches::KernelCache,
        discover::{DiscoverError, Kernel},
        error::LoadError,
        gfp::GfpNames,
        layout::Layout,
        load::Loaded,
        nodes::Nodes,
        options::{Filters, LoadOptions},
        plan::{CacheStrategy, Plan},
        privileges,
        reason::OUR_BUG,
        rings::RingSizes,
        symbols::Symbols,
        trials::Avoid,
    },
    procfs::slab::{self, ResolveError, Selection, SlabCaches, SlabError},
    stream::event::{Address, Comm},
    view::{
        By, Sampling,
        build::{CacheInfo, Caches},
    },
};

/// One allocation in so many tells its stack: walking one takes as long as all else that a probe does, or several times as long.
const STACKS_PERIOD: u32 = 32;

/// The dentry cache is called this on every kernel.
const DENTRY: &str = "dentry";

/// What the kernel calls the cache that every `struct kmem_cache` is from.
const CACHE_OF_CACHES: &str = "kmem_cache";

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("memtrace may not trace the kernel: it lacks {missing}. Run it as root:\n  sudo {command}")]
    Privileges { missing: String, command: String },
    #[error("cannot find out what memtrace may do: {0}")]
    Status(#[source] io::Error),
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error(transparent)]
    Slab(#[from] SlabError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("no process has the id {0}")]
    NoSuchProcess(u32),
    #[error("the kernel lists no slab cache of the name {0}, though sysfs does")]
    NotListed(String),
    #[error(transparent)]
    Load(#[from] LoadError),
}

pub struct Ready {
    pub attached: Attached,
    pub state: State,
}

/// Who records may want to know later what nobody asks for now, and who is told events is told all.
pub fn set_up(options: &Options, listening: Option<&Listening>) -> Result<Ready, SetupError> {
    let is_listened_to = listening.is_some();
    check_privileges()?;
    check_pids(&options.pids)?;
    let slab_caches = slab::Host::live().caches()?;
    let selection = slab::resolve(&options.caches, &slab_caches)?;
    let kernel = Kernel::discover(&options.avoid)?;
    let selected: Vec<&KernelCache> =
        kernel.caches.iter().filter(|cache| selection.contains(&cache.name)).collect();
    if let (true, [name, ..]) = (selected.is_empty(), &selection.caches[..]) {
        return Err(SetupError::NotListed(name.clone()));
    }
    let filters = filters(&selection, &selected, options);
    let tried = kernel.try_needed(filters.names, &options.avoid);
    let plan = kernel.plan(&tried);
    let memory = memory_budget(options);
    let rings = RingSizes::new(host::cpus(), options.ring_bytes.unwrap_or(memory.rings));
    let (cgroup_offsets, hierarchy) = cgroups(&kernel.layout);
    let load_options = load_options(options, cgroup_offsets);
    let loaded = Loaded::load(&plan, &kernel.layout, &filters, rings, load_options)?;
    let names_unavailable = loaded.names_unavailable.clone();
    let mut notes = selection.notes.clone();
    notes.extend(slab_caches.missing.as_ref().map(ToString::to_string));
    notes.extend(unavailable_kmalloc(&plan.kmalloc, &filters));
    notes.extend(names_unavailable.as_ref().map(|why| names_note(why)));
    let not_compared = not_compared(&filters, &plan, &kernel.layout);
    notes.extend(not_compared.map(|why| format!("slabinfo is not compared: {why}")));
    let wants_symbols =
        options.report_options.by.contains(By::CallSite) || options.stacks.is_some() || is_listened_to;
    let symbols = wants_symbols.then(Symbols::read);
    let nameless = symbols.as_ref().and_then(|symbols| symbols.as_ref().err());
    notes.extend(nameless.map(|why| format!("places in the kernel are addresses: {why}")));
    let symbols = symbols.and_then(Result::ok).map(Arc::new);
    let stacks = options.stacks.map(|_| Stacks::new(STACKS_PERIOD, symbols.clone()));
    let wants = |by| options.report_options.by.contains(by) || is_listened_to;
    let gfp_names = wants(By::Gfp).then(|| gfp_names(&kernel, &mut notes)).flatten();
    let nodes = wants(By::Node).then(|| nodes(&kernel, &mut notes)).flatten();
    if wants(By::Cgroup) {
        notes.extend(hierarchy.as_ref().err().map(|why| format!("cgroups have no names: {why}")));
    }
    let looks = (!options.avoid.contains(&Avoid::Names)).then(SurvivorInspector::default);
    let caches = directory(&kernel.caches, &slab_caches, &selection.named);
    let caches =
        Directory::new(caches, filters.cache_of_caches, selection.named, filters.caches.unwrap_or_default());
    let attached = loaded.attach()?;
    let fault = attached.bulk_unavailable.as_ref().filter(|why| why.starts_with(OUR_BUG));
    notes.extend(fault.map(|why| format!("bulk allocations and frees are not seen: {why}")));
    notes.extend(attached.processes_unavailable.as_ref().map(|why| processes_note(why)));
    let sampling = Sampling { period: options.sample };
    // Who tells events has a ledger too, and events that wait.
    let shares = if matches!(listening, Some(Listening::Stream(_))) { 3 } else { 1 };
    let budget = Budget::new(options.max_cpu, memory, memory.ledger(rings.total()) / shares, sampling);
    let state = State {
        kernel,
        host: Host::read(),
        caches,
        looks,
        symbols,
        stacks,
        gfp_names,
        nodes,
        incidents: options.incidents.clone(),
        who: Who::new(Cgroups::new(hierarchy.ok())),
        notes,
        budget,
        pids: options.pids.clone(),
        is_compared: not_compared.is_none(),
    };
    Ok(Ready { attached, state })
}

fn memory_budget(options: &Options) -> MemoryBudget {
    let cpus = host::cpus();
    match options.max_memory {
        Some(bytes) => MemoryBudget::new(bytes, cpus),
        None => MemoryBudget::default_of(host::total_memory(), cpus),
    }
}

fn check_privileges() -> Result<(), SetupError> {
    let missing = privileges::missing_capabilities().map_err(SetupError::Status)?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.iter().map(|capability| capability.name).collect();
    let command = std::env::args_os().fold(String::new(), |mut command, argument| {
        let separator = if command.is_empty() { "" } else { " " };
        let _ = write!(command, "{separator}{}", quoted(&argument.to_string_lossy()));
        command
    });
    Err(SetupError::Privileges { missing: missing.join(" and "), command })
}

/// As a shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

fn check_pids(pids: &[u32]) -> Result<(), SetupError> {
    match pids.iter().find(|&&pid| !host::is_alive(pid)) {
        Some(&pid) => Err(SetupError::NoSuchProcess(pid)),
        None => Ok(()),
    }
}

fn filters(selection: &Selection, selected: &[&KernelCache], options: &Options) -> Filters {
    Filters {
        caches: (!selection.all).then(|| selected.iter().map(|cache| cache.address).collect::<HashSet<_>>()),
        names: !addresses(selected, DENTRY).is_empty() && !options.avoid.contains(&Avoid::Names),
        kmalloc: selected.iter().any(|cache| may_serve_kmalloc(&cache.name)),
        cache_of_caches: addresses(selected, CACHE_OF_CACHES).first().copied().unwrap_or(0),
        pids: options.pids.clone(),
        comms: options.comms.iter().map(|comm| Comm::truncated(comm.as_bytes()).padded()).collect(),
    }
}

/// All caches of kmalloc, of its families and of kmem_buckets have names that end in a size: `kmalloc-cg-1k`,
/// `msg_msg-64` (Linux commit b32801d1255b ("mm/slab: Introduce kmem_buckets_create() and family") (in v6.11)). So do
/// some others; for these the probes only cost time.
fn may_serve_kmalloc(name: &str) -> bool {
    let Some((_, size)) = name.rsplit_once('-') else { return false };
    let digits = size.trim_end_matches(['k', 'M']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn addresses(caches: &[&KernelCache], name: &str) -> Vec<Address> {
    caches.iter().filter(|cache| slab::root_name(&cache.name) == name).map(|cache| cache.address).collect()
}

fn unavailable_kmalloc<T>(kmalloc: &Result<T, String>, filters: &Filters) -> Option<String> {
    let why = kmalloc.as_ref().err()?;
    filters.kmalloc.then(|| format!("kmalloc caches are not traced: {why}"))
}

/// Why what was traced of a cache cannot be compared with all that it has.
fn not_compared(filters: &Filters, plan: &Plan, layout: &Layout) -> Option<&'static str> {
    if !filters.follow_all_tasks() {
        return Some("--pid and --comm follow a part of each cache");
    }
    let frees_by_page = plan.free == Ok(CacheStrategy::Page);
    (frees_by_page && layout.arguments.free_is_late != 0)
        .then_some("frees do not tell their cache on this kernel")
}

/// What allocation flags are called, or a note.
fn gfp_names(kernel: &Kernel, notes: &mut Vec<String>) -> Option<GfpNames> {
    if kernel.layout.arguments.alloc_gfp == config::NO_ARGUMENT {
        notes.push("allocation flags are unknown: the kernel's tracepoints do not tell them".to_owned());
        return None;
    }
    let names = GfpNames::read();
    notes.extend(names.as_ref().err().map(|why| format!("allocation flags are numbers: {why}")));
    names.ok()
}

/// How NUMA nodes of objects are found, or a note.
fn nodes(kernel: &Kernel, notes: &mut Vec<String>) -> Option<Nodes> {
    let nodes = Nodes::find(kernel);
    notes.extend(nodes.as_ref().err().map(|why| format!("the NUMA nodes of objects are unknown: {why}")));
    nodes.ok()
}

fn names_note(why: &str) -> String {
    format!("names are a sample, read from surviving dentries: {why}")
}

/// What is known of each of the kernel's caches.
pub fn directory(kernel: &[KernelCache], known: &SlabCaches, requested: &[String]) -> Caches {
    let by_kernel_name: HashMap<&str, &slab::SlabCache> =
        known.caches.iter().flat_map(|cache| cache.kernel_names().map(move |name| (name, cache))).collect();
    let (cpus, nodes) = (host::cpus() as u64, host::nodes() as u64);
    kernel
        .iter()
        .map(|cache| {
            let name = slab::root_name(&cache.name);
            let known = by_kernel_name.get(cache.name.as_str()).or_else(|| by_kernel_name.get(name));
            let info = CacheInfo {
                name: name.to_owned(),
                aliases: known.map(|known| known.aliases.clone()).unwrap_or_default(),
                object_size: cache.size,
                reclaimable: known.and_then(|known| known.reclaimable),
                slack: known
                    .and_then(|known| known.per_cpu_free)
                    .map(|per_cpu_free| per_cpu_free.most(cpus, nodes)),
                is_requested: requested.iter().any(|requested| requested == name),
            };
            (cache.address, info)
        })
        .collect()
}

/// How the kernel side finds a task's cgroup, and where cgroups get their names.
fn cgroups(layout: &Layout) -> (config::Cgroups, Result<Hierarchy, String>) {
    let hierarchy = Hierarchy::find().map_err(|error| error.to_string());
    match (hierarchy, &layout.memory_cgroups) {
        (Ok(hierarchy), Ok(offsets)) if hierarchy.is_of_memory => (*offsets, Ok(hierarchy)),
        (Ok(hierarchy), Err(why)) if hierarchy.is_of_memory => (config::Cgroups::default(), Err(why.clone())),
        (hierarchy, _) => (config::Cgroups::default(), hierarchy),
    }
}

fn stacks_config(stacks: StacksOption) -> config::Stacks {
    config::Stacks {
        limit: sample::limit(STACKS_PERIOD),
        kernel: u32::from(stacks != StacksOption::User),
        user: u32::from(stacks != StacksOption::Kernel),
        reserved: 0,
    }
}

fn processes_note(why: &str) -> String {
    format!("who started whom is known only as far as /proc tells in time: {why}")
}

fn load_options(options: &Options, cgroups: config::Cgroups) -> LoadOptions {
    LoadOptions {
        processes: !options.avoid.contains(&Avoid::Processes),
        cgroups,
        stacks: options.stacks.map(stacks_config).unwrap_or_default(),
        verbose: options.verbose,
        backups: !options.avoid.contains(&Avoid::Backups),
        sample_limit: sample::limit(options.sample),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kmalloc_caches_are_known_by_their_size() {
        for name in
            ["kmalloc-64", "kmalloc-8k", "kmalloc-rnd-07-1k", "dma-kmalloc-2M", "msg_msg-96", "bio-120"]
        {
            assert!(may_serve_kmalloc(name), "{name}");
        }
        for name in ["dentry", "ext4_inode_cache", "skbuff_head_cache", "x-", "radix-tree", "a-k"] {
            assert!(!may_serve_kmalloc(name), "{name}");
        }
    }

    #[test]
    fn the_command_is_shown_as_a_shell_takes_it() {
        assert_eq!(quoted("--cache"), "--cache");
        assert_eq!(quoted("kmalloc-*"), "'kmalloc-*'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
