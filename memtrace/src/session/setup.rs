//! From the options to a session that runs.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use memtrace_common::{COMM_LEN, config, sample};

use super::{
    budget::{
        Budget,
        memory::{self, MemoryBudget},
    },
    caches::{CacheDirectory, described},
    error::SetupError,
    host::{self, Host},
    inspect::SurvivorInspector,
    options::{Options, StacksOption},
    sift::Sift,
    sink::SinkConfig,
    state::State,
    tasks::TaskDirectory,
    unmatched::Requested,
    verification::Verification,
};
use crate::{
    attribution::{
        cgroup::{Cgroups, Hierarchy},
        stack::Stacks,
    },
    kernel::{
        attach::Attached,
        caches::KernelCache,
        cost::RunTimeStatistics,
        discover::Kernel,
        gfp::GfpNames,
        layout::Layout,
        load::{self, Loaded},
        nodes::Nodes,
        options::{Filters, LoadOptions, Members, Processes},
        plan::{CacheStrategy, Plan},
        reason::{OUR_BUG, root_cause},
        rings::sizes::RingPlan,
        symbols::Symbols,
        trials::Avoid,
    },
    procfs::{
        Files,
        slab::{self, SelectedCaches},
    },
    rights::capability,
    select::Select,
    stream::{
        comm_pattern::CommPattern,
        event::{Address, Comm},
    },
    text::shell,
    view::{By, Keys, Sampling},
};

/// One allocation in this many carries its stack: walking a stack takes as long as all else that a probe does, or several times
/// as long.
const STACKS_PERIOD: u32 = 32;

/// The name of the dentry cache on every kernel.
const DENTRY: &str = "dentry";

/// The cache that every `struct kmem_cache` is from.
const CACHE_OF_CACHES: &str = "kmem_cache";

pub struct Ready {
    pub attached: Attached,
    pub state: State,
    pub verification: Verification,
}

/// Attaches the probes. A session with a sink looks up more than its own reports need: a recording may be asked later, and
/// a stream shows everything.
pub fn set_up(options: &Options, sink: Option<&SinkConfig>) -> Result<Ready, SetupError> {
    check_privileges()?;
    check_memory()?;
    check_cpu_limit(options)?;
    let Options { select, .. } = options;
    check_pids(select)?;
    let slab_caches = Files::live().slab_caches()?;
    let selection = slab::resolve_without(&select.cache_patterns(), &select.excluded_caches, &slab_caches)?;
    let kernel = Kernel::discover(&options.avoid)?;
    let filters = filters(&selection, &kernel, options)?;
    let plan = kernel.plan(&kernel.try_needed(filters.names, &options.avoid));
    let memory = memory_budget(options, filters.caches.count());
    let (cgroup_offsets, hierarchy) = cgroups(&kernel.layout);
    check_cgroups(select, &hierarchy)?;
    let load_options = load_options(options, cgroup_offsets, kernel.pid_namespace);
    let (loaded, rings, ring_note) = load(&plan, &kernel.layout, &filters, options, memory, load_options)?;
    let trace_notes = trace_notes(&plan, &filters, &loaded);
    let why_not_compared = why_not_compared(select, &plan, &kernel.layout);
    let traced = if why_not_compared.is_some() { HashSet::new() } else { traced(&plan, &kernel, &filters) };
    let no_cgroups = match &hierarchy {
        Ok(hierarchy) => hierarchy.why_nameless().map(str::to_owned),
        Err(why) => Some(why.clone()),
    };
    let (names, names_notes) = Names::find(options, sink.is_some(), &kernel, no_cgroups);
    let infos = described(&kernel.caches, &slab_caches, &selection.named);
    let filtered = filters.caches.only();
    let caches = CacheDirectory::new(infos, filters.cache_of_caches, selection.named, filtered);
    // Opening it takes 30 ms, for which nobody would read the rings.
    let pages = memory.pages(rings.total()) / shares(sink);
    let verification =
        Verification::open(&kernel, options.interval, pages, options.avoid.contains(&Avoid::Verify));
    let mut attached = loaded.attach()?;
    follow_trees(select, &mut attached)?;
    let notes = selection.notes.into_iter().chain(slab_caches.missing.as_ref().map(ToString::to_string));
    let notes = notes.chain(trace_notes).chain(why_not_compared.as_ref().map(not_compared_note));
    let notes = notes.chain(names_notes).chain(attach_notes(&attached)).chain(ring_note).collect();
    let Names { symbols, stacks, gfp_names, nodes } = names;
    let state = State {
        host: Host::read(),
        caches,
        inspector: (!options.avoid.contains(&Avoid::Names)).then(SurvivorInspector::default),
        sift: Sift::new(select, hierarchy.as_ref().ok(), attached.filters.take()),
        filter: select.text(),
        tasks: TaskDirectory::new(Cgroups::new(hierarchy.ok())),
        symbols,
        stacks,
        gfp_names,
        nodes,
        incidents: options.incidents.clone(),
        notes,
        budget: budget(options, memory, rings, sink),
        pids: if select.command.is_some() { Vec::new() } else { first_processes(select) },
        requested: Requested::new(select),
        is_compared: why_not_compared.is_none(),
        traced,
        kernel,
    };
    Ok(Ready { attached, state, verification })
}

/// Loads the programs: with rings of their own on each CPU where the kernel has what these need, else with shared ones. Where that failed
/// in spite of it, a note says why.
fn load(
    plan: &Plan,
    layout: &Layout,
    filters: &Filters,
    options: &Options,
    memory: MemoryBudget,
    load_options: LoadOptions,
) -> Result<(Loaded, RingPlan, Option<String>), SetupError> {
    let cpus = host::cpus();
    let shared = RingPlan::shared(cpus, options.ring_bytes.unwrap_or(memory.rings));
    let mut note = None;
    if load::supports_cpu_rings(layout, &options.avoid).is_ok() {
        let bytes = options.ring_bytes.unwrap_or(memory.cpu_rings);
        let writers = load::writers(plan, layout, filters, load_options);
        let rings = RingPlan::of_cpus(host::cpu_numbers(), bytes, &writers);
        match Loaded::load(plan, layout, filters, rings, load_options) {
            Ok(loaded) => return Ok((loaded, rings, None)),
            Err(why) => note = Some(format!("all CPUs share their rings, which costs more: {why}")),
        }
    }
    Ok((Loaded::load(plan, layout, filters, shared, load_options)?, shared, note))
}

/// What addresses, flags and pages are called.
struct Names {
    symbols: Option<Arc<Symbols>>,
    stacks: Option<Stacks>,
    gfp_names: Option<GfpNames>,
    nodes: Option<Nodes>,
}

impl Names {
    /// Finds what is needed, and notes what is not available.
    fn find(
        options: &Options,
        has_sink: bool,
        kernel: &Kernel,
        no_cgroups: Option<String>,
    ) -> (Self, Vec<String>) {
        let needs = |by| options.report_options.by.contains(by) || has_sink;
        let needs_symbols = needs(By::CallSite) || options.stacks.is_some();
        let (symbols, no_symbols) = find_if(needs_symbols, symbols);
        let symbols = symbols.map(Arc::new);
        let (gfp_names, no_gfp_names) = find_if(needs(By::Gfp), || gfp_names(kernel));
        let (nodes, no_nodes) = find_if(needs(By::Node), || nodes(kernel));
        let no_cgroups = no_cgroups.filter(|_| needs(By::Cgroup));
        let no_cgroups = no_cgroups.map(|why| format!("cgroups are shown without names: {why}"));
        let notes = [no_symbols, no_gfp_names, no_nodes, no_cgroups];
        let stacks = options.stacks.map(|_| Stacks::new(STACKS_PERIOD, symbols.clone()));
        (Self { symbols, stacks, gfp_names, nodes }, notes.into_iter().flatten().collect())
    }
}

impl State {
    /// Finds the names that rows by these keys need and that nobody needed so far.
    pub fn find_names(&mut self, by: &Keys) {
        let (symbols, no_symbols) = find_if(by.contains(By::CallSite) && self.symbols.is_none(), symbols);
        let needs_gfp = by.contains(By::Gfp) && self.gfp_names.is_none();
        let (gfp_names, no_gfp_names) = find_if(needs_gfp, || gfp_names(&self.kernel));
        let needs_nodes = by.contains(By::Node) && self.nodes.is_none();
        let (nodes, no_nodes) = find_if(needs_nodes, || nodes(&self.kernel));
        self.symbols = self.symbols.take().or(symbols.map(Arc::new));
        self.gfp_names = self.gfp_names.take().or(gfp_names);
        self.nodes = self.nodes.take().or(nodes);
        for note in [no_symbols, no_gfp_names, no_nodes].into_iter().flatten() {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }
}

/// What is found where it is needed; else the note that says why not.
fn find_if<T>(is_needed: bool, find: impl FnOnce() -> Result<T, String>) -> (Option<T>, Option<String>) {
    match is_needed.then(find) {
        Some(Ok(found)) => (Some(found), None),
        Some(Err(note)) => (None, Some(note)),
        None => (None, None),
    }
}

fn symbols() -> Result<Symbols, String> {
    Symbols::read().map_err(|why| format!("call sites are shown as addresses: {why}"))
}

/// What allocation flags are called, or a note.
fn gfp_names(kernel: &Kernel) -> Result<GfpNames, String> {
    if kernel.layout.arguments.alloc_gfp == config::NO_ARGUMENT {
        return Err("allocation flags are unknown: this kernel's tracepoints do not carry them".to_owned());
    }
    GfpNames::read().map_err(|why| format!("allocation flags are shown as numbers: {why}"))
}

/// How NUMA nodes of objects are found, or a note.
fn nodes(kernel: &Kernel) -> Result<Nodes, String> {
    Nodes::find(kernel).map_err(|why| format!("the NUMA nodes of objects are unknown: {why}"))
}

/// A stream needs memory for a ledger of its own and for events that wait.
fn shares(sink: Option<&SinkConfig>) -> usize {
    if matches!(sink, Some(SinkConfig::Stream(_))) { 3 } else { 1 }
}

fn budget(options: &Options, memory: MemoryBudget, rings: RingPlan, sink: Option<&SinkConfig>) -> Budget {
    let sampling = Sampling { period: options.sample };
    Budget::new(options.max_cpu, memory, memory.ledger(rings.total()) / shares(sink), sampling)
}

fn memory_budget(options: &Options, caches: Option<usize>) -> MemoryBudget {
    let cpus = host::cpus();
    match options.max_memory {
        Some(bytes) => MemoryBudget::new(bytes, cpus),
        None => MemoryBudget::default_of(host::memory(), cpus, caches),
    }
}

pub fn check_privileges() -> Result<(), SetupError> {
    // Without it, much would be missing that nothing else misses.
    let status = Path::new("/proc/self/status");
    fs::metadata(status).map_err(|source| SetupError::NoProc { path: status, source })?;
    let missing = capability::missing(capability::held());
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.iter().map(|right| right.name).collect();
    let command = shell::line(std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()));
    Err(SetupError::Privileges { missing: missing.join(" and "), command })
}

/// A limit is kept by measuring again and again.
fn check_cpu_limit(options: &Options) -> Result<(), SetupError> {
    if options.max_cpu.is_none() {
        return Ok(());
    }
    RunTimeStatistics::enable().map(drop).map_err(|error| SetupError::NoCpuTime(root_cause(&error)))
}

/// The kernel ends a process that takes more than its cgroup may, without a word.
fn check_memory() -> Result<(), SetupError> {
    match host::memory_limit() {
        Some(limit) if limit < memory::MIN => Err(SetupError::NoMemory(limit)),
        _ => Ok(()),
    }
}

fn check_pids(select: &Select) -> Result<(), SetupError> {
    match first_processes(select).into_iter().find(|&pid| !host::is_alive(pid)) {
        Some(pid) => Err(SetupError::NoSuchProcess(pid)),
        None => Ok(()),
    }
}

/// Where some cgroups are asked for, all must have names.
fn check_cgroups(select: &Select, hierarchy: &Result<Hierarchy, String>) -> Result<(), SetupError> {
    let why = match hierarchy {
        Ok(hierarchy) => hierarchy.why_nameless().map(str::to_owned),
        Err(why) => Some(why.clone()),
    };
    match why.filter(|_| !select.cgroups.is_empty()) {
        Some(why) => Err(SetupError::NoCgroups(why)),
        None => Ok(()),
    }
}

/// Those that are named by their numbers, with what they start or without.
fn first_processes(select: &Select) -> Vec<u32> {
    select.pids.iter().chain(&select.trees).copied().collect()
}

/// What the first processes of trees started before the probes were there. Forks are followed by now: what starts meanwhile is
/// known, unless it is of a process that was not yet. So this goes on until it finds nobody new.
fn follow_trees(select: &Select, attached: &mut Attached) -> Result<(), SetupError> {
    if select.trees.is_empty() {
        return Ok(());
    }
    if let Some(why) = &attached.processes_unavailable {
        return Err(SetupError::NoTrees(why.clone()));
    }
    // A command has started nobody yet.
    let Some(filters) = attached.filters.as_mut().filter(|_| select.command.is_none()) else { return Ok(()) };
    let mut known: HashSet<u32> = HashSet::new();
    loop {
        let found = host::descendants(&select.trees);
        let new: Vec<u32> = found.into_iter().filter(|&pid| known.insert(pid)).collect();
        if new.is_empty() {
            return Ok(());
        }
        filters.add_to_trees(&new)?;
    }
}

fn filters(selection: &SelectedCaches, kernel: &Kernel, options: &Options) -> Result<Filters, SetupError> {
    let selected: Vec<&KernelCache> =
        kernel.caches.iter().filter(|cache| selection.contains(&cache.name)).collect();
    if let (true, [name, ..]) = (selected.is_empty(), &selection.caches[..]) {
        return Err(SetupError::NotListed(name.clone()));
    }
    let selected = &selected[..];
    let Select { pids, trees, users, .. } = &options.select;
    Ok(Filters {
        caches: cache_members(selection, selected, kernel),
        names: !addresses(selected, DENTRY).is_empty() && !options.avoid.contains(&Avoid::Names),
        kmalloc: selected.iter().any(|cache| may_serve_kmalloc(&cache.name)),
        cache_of_caches: addresses(selected, CACHE_OF_CACHES).first().copied().unwrap_or(0),
        processes: match (pids.is_empty(), trees.is_empty()) {
            (true, true) => Processes::All,
            (false, true) => Processes::Only(pids.clone()),
            (_, false) => Processes::Trees(trees.clone()),
        },
        uids: users.iter().map(|user| user.uid).collect(),
        comms: comm_members(&options.select),
        by_cgroup: !options.select.cgroups.is_empty(),
        is_sifted: !(options.select.comms.is_empty() && options.select.excluded_comms.is_empty()),
    })
}

/// A cache that is made later is traced where all are but some.
fn cache_members(selection: &SelectedCaches, selected: &[&KernelCache], kernel: &Kernel) -> Members<Address> {
    let address = |cache: &KernelCache| cache.address;
    match (selection.all, selection.excluded.is_empty()) {
        (true, true) => Members::All,
        (true, false) => {
            let excluded = kernel.caches.iter().filter(|cache| !selection.contains(&cache.name));
            Members::Except(excluded.map(address).collect())
        }
        (false, _) => Members::Only(selected.iter().copied().map(address).collect()),
    }
}

/// The probes know whole names only: where a glob is asked for, they send everything but what is excluded, and the session picks.
fn comm_members(select: &Select) -> Members<[u8; COMM_LEN]> {
    let excluded = |name: &Comm| select.excluded_comms.iter().any(|comm| comm.matches(*name));
    let only: Option<Vec<Comm>> = select.comms.iter().map(CommPattern::name).collect();
    match only {
        Some(only) if !only.is_empty() => {
            let only = only.into_iter().filter(|name| !excluded(name));
            Members::Only(only.map(|name| name.padded()).collect())
        }
        _ => {
            let names: HashSet<_> = select
                .excluded_comms
                .iter()
                .filter_map(CommPattern::name)
                .map(|name| name.padded())
                .collect();
            if names.is_empty() { Members::All } else { Members::Except(names) }
        }
    }
}

/// The caches of which each allocation is traced.
fn traced(plan: &Plan, kernel: &Kernel, filters: &Filters) -> HashSet<Address> {
    let is_traced = |cache: &&KernelCache| {
        filters.caches.contains(&cache.address) && (plan.kmalloc.is_ok() || !may_serve_kmalloc(&cache.name))
    };
    kernel.caches.iter().filter(is_traced).map(|cache| cache.address).collect()
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

/// What the probes cannot trace.
fn trace_notes(plan: &Plan, filters: &Filters, loaded: &Loaded) -> impl Iterator<Item = String> + use<> {
    let no_kmalloc = plan.kmalloc.as_ref().err().filter(|_| filters.kmalloc);
    let no_names = loaded.names_unavailable.as_ref();
    let notes = [
        no_kmalloc.map(|why| format!("kmalloc caches are not traced: {why}")),
        no_names.map(|why| format!("names are a sample, read from surviving dentries: {why}")),
    ];
    notes.into_iter().flatten()
}

/// What could not be attached. A kernel without some of the hooks for bulk functions is nothing new: that needs no note.
fn attach_notes(attached: &Attached) -> impl Iterator<Item = String> + use<> {
    let fault = attached.bulk_unavailable.as_ref().filter(|why| why.starts_with(OUR_BUG));
    let no_processes = attached.processes_unavailable.as_ref();
    let notes = [
        fault.map(|why| format!("bulk allocations and frees are not traced: {why}")),
        no_processes.map(|why| {
            format!("parent processes are known only if /proc still had them when memtrace looked: {why}")
        }),
    ];
    notes.into_iter().flatten()
}

/// Why what was traced of a cache cannot be compared with all that it has.
fn why_not_compared(select: &Select, plan: &Plan, layout: &Layout) -> Option<String> {
    if !select.is_of_all_tasks() {
        return Some(only_a_part(&select.task_options()));
    }
    let frees_by_page = plan.free == Ok(CacheStrategy::Page);
    (frees_by_page && layout.arguments.free_is_late != 0)
        .then(|| "frees do not carry their cache on this kernel".to_owned())
}

fn only_a_part(options: &[&str]) -> String {
    match options {
        ["--"] => "only a part of each cache is the command's".to_owned(),
        [one] => format!("{one} follows only a part of each cache"),
        [others @ .., last] => format!("{} and {last} follow only a part of each cache", others.join(", ")),
        [] => String::new(),
    }
}

fn not_compared_note(why: &String) -> String {
    format!("slabinfo is not compared: {why}")
}

/// How the probes find a task's cgroup, and where cgroups get their names.
fn cgroups(layout: &Layout) -> (config::Cgroups, Result<Hierarchy, String>) {
    let hierarchy = Hierarchy::find().map_err(|error| error.to_string());
    match (hierarchy, &layout.memory_cgroups) {
        (Ok(hierarchy), Ok(offsets)) if hierarchy.is_of_memory => (*offsets, Ok(hierarchy)),
        (Ok(hierarchy), Err(why)) if hierarchy.is_of_memory => (config::Cgroups::default(), Err(why.clone())),
        (hierarchy, _) => (layout.unified_cgroups, hierarchy),
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

fn load_options(
    options: &Options,
    cgroups: config::Cgroups,
    pid_namespace: config::PidNamespace,
) -> LoadOptions {
    LoadOptions {
        processes: !options.avoid.contains(&Avoid::Processes),
        cgroups,
        pid_namespace,
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
    fn whose_part_is_followed_is_said() {
        assert_eq!(only_a_part(&["--uid"]), "--uid follows only a part of each cache");
        assert_eq!(only_a_part(&["--pid", "--comm"]), "--pid and --comm follow only a part of each cache");
        assert_eq!(
            only_a_part(&["--pid", "--comm", "--unit"]),
            "--pid, --comm and --unit follow only a part of each cache"
        );
        assert_eq!(only_a_part(&["--"]), "only a part of each cache is the command's");
    }

    #[test]
    fn names_are_for_the_probes_as_far_as_they_are_whole() {
        let members = |only: &[&str], excluded: &[&str]| {
            let parse = |names: &[&str]| names.iter().map(|name| CommPattern::parse(name).unwrap()).collect();
            let select = Select { comms: parse(only), excluded_comms: parse(excluded), ..Select::default() };
            let show = |names: HashSet<[u8; COMM_LEN]>| {
                let mut names: Vec<String> =
                    names.iter().map(|name| String::from_utf8_lossy(name).replace('\0', "")).collect();
                names.sort_unstable();
                names.join(" ")
            };
            match comm_members(&select) {
                Members::All => "all".to_owned(),
                Members::Only(names) => format!("only {}", show(names)),
                Members::Except(names) => format!("except {}", show(names)),
            }
        };
        assert_eq!(members(&[], &[]), "all");
        assert_eq!(members(&["curl", "sh"], &[]), "only curl sh");
        assert_eq!(members(&["curl", "sh"], &["c*"]), "only sh");
        assert_eq!(members(&["curl", "s*"], &[]), "all");
        assert_eq!(members(&["curl", "s*"], &["sh", "b*"]), "except sh");
        assert_eq!(members(&[], &["sh", "b*"]), "except sh");
        assert_eq!(members(&[], &["b*"]), "all");
    }

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
}
