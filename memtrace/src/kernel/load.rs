//! Loads the programs that a plan needs: [`Loaded`] -> [`Attached`] -> [`Events`], which outlive the attachment to be drained.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::{
    Btf, Ebpf, EbpfError,
    maps::{ArrayOfMaps, HashMap, Map, MapData},
    programs::{FEntry, FExit, KProbe, ProgramError, RawTracePoint},
};
use memtrace_common::{
    config::Config,
    cpu_ring::PAGE_TIMES,
    held::PLACES,
    names::{map, program},
};

use super::{
    attach::{Attached, Part, Ready, Stage, Unavailable, attach_all},
    bulk::{At, BulkHook},
    config::{self, Safeguard},
    error::LoadError,
    events::{self, Events, Probe},
    functions::{
        D_ALLOC, D_ALLOC_PARALLEL, KMEM_CACHE_ALLOC, KMEM_CACHE_ALLOC_LRU, KMEM_CACHE_ALLOC_NODE,
        KMEM_CACHE_FREE,
    },
    layout::Layout,
    live_filters::LiveFilters,
    loader,
    log::KernelLog,
    object::{self, Object},
    options::{Filters, LoadOptions, Processes},
    plan::{CacheStrategy, NameStrategy, Plan},
    reason::{ON_REQUEST, Reason, unusable},
    rings::{
        Rings,
        cpu::{self, CpuRings},
        error::RingError,
        shared::SharedRings,
        sizes::RingPlan,
    },
    trials::Avoid,
};

/// The backup of a probe on the same tracepoint, if it needs one.
///
/// What a probe on frees misses, the kernel's memory tells later, unless the address has been handed out again to somebody who is not
/// traced, and objects of those who are cannot be noted: then the object is allocated, and looks like the old one. An allocation that
/// nobody saw cannot be found out later; but an interrupt that allocates during a traced allocation is rare.
fn backup_of(probe: &str, confuses_objects: bool, preempts_probes: bool) -> Option<&'static str> {
    match probe {
        program::KMEM_CACHE_FREE if confuses_objects => Some(program::KMEM_CACHE_FREE_BACKUP),
        program::KFREE if confuses_objects => Some(program::KFREE_BACKUP),
        program::KMEM_CACHE_ALLOC if preempts_probes => Some(program::KMEM_CACHE_ALLOC_BACKUP),
        program::KMALLOC if preempts_probes => Some(program::KMALLOC_BACKUP),
        program::SCHED_PROCESS_FORK if preempts_probes => Some(program::SCHED_PROCESS_FORK_BACKUP),
        _ => None,
    }
}

/// Whether programs can have rings of their own on each CPU: see [`memtrace_common::cpu_ring`].
pub fn supports_cpu_rings(layout: &Layout, avoid: &[Avoid]) -> Result<(), Reason> {
    if avoid.contains(&Avoid::CpuRings) {
        return Err(ON_REQUEST.to_owned());
    }
    if !cfg!(target_arch = "x86_64") {
        return Err("this processor may let others see a record's end before the record".to_owned());
    }
    if !layout.guards_probes {
        return Err("this kernel runs a program on a tracepoint while it is running".to_owned());
    }
    if layout.preempts_probes {
        // A writer that sleeps holds back what is behind it. Its order is not tested enough.
        return Err("this kernel may preempt a program that writes".to_owned());
    }
    if layout.arguments.free_is_late != 0 {
        return Err("this kernel traces frees when others may have the objects already".to_owned());
    }
    Ok(())
}

/// The programs that may be loaded for these filters and that have rings of their own, by their numbers.
pub fn writers(plan: &Plan, layout: &Layout, filters: &Filters, options: LoadOptions) -> Vec<usize> {
    let mut names = vec![match plan.free {
        Ok(CacheStrategy::Trampoline) => program::FREE_FENTRY,
        _ => program::KMEM_CACHE_FREE,
    }];
    names.extend_from_slice(match plan.alloc {
        Ok(CacheStrategy::Trampoline) => {
            &[program::ALLOC_FEXIT, program::ALLOC_LRU_FEXIT, program::ALLOC_NODE_FEXIT]
        }
        _ if layout.has_node_tracepoints => &[program::KMEM_CACHE_ALLOC, program::KMEM_CACHE_ALLOC_NODE],
        _ => &[program::KMEM_CACHE_ALLOC],
    });
    if plan.kmalloc.is_ok() {
        names.push(program::KFREE);
    }
    if plan.kmalloc.is_ok() && filters.kmalloc {
        names.push(program::KMALLOC);
        names.extend(layout.has_node_tracepoints.then_some(program::KMALLOC_NODE));
    }
    if filters.names {
        names.extend_from_slice(match plan.names {
            Ok(NameStrategy::Fexit) => &[program::D_ALLOC_FEXIT, program::D_ALLOC_PARALLEL_FEXIT],
            Ok(NameStrategy::Kretprobe) => &[program::D_ALLOC_KRETPROBE],
            Err(_) => &[],
        });
    }
    names.extend(plan.bulk.iter().flatten().map(|hook| hook.program));
    // With rings of their own, they note objects.
    let backup = |name: &&'static str| backup_of(name, false, layout.preempts_probes);
    let backups: Vec<_> = names.iter().filter_map(backup).filter(|_| options.backups).collect();
    cpu::writers(names.into_iter().chain(backups))
}

/// What follows processes; they have the names of their tracepoints.
fn process_programs(follows_trees: bool) -> Vec<&'static str> {
    let mut names =
        vec![program::SCHED_PROCESS_FORK, program::SCHED_PROCESS_EXEC, program::SCHED_PROCESS_EXIT];
    // Where trees are followed, processes are forgotten when they are gone.
    names.extend(follows_trees.then_some(program::SCHED_PROCESS_FREE));
    names
}

/// Room for processes of a tree that live at the same time, and for its first ones. A process that there is no room for is counted.
const TREE_ENTRIES: u32 = 1 << 15;

/// Room for cgroups that are decided on. Beyond, userspace decides on each allocation.
const CGROUP_ENTRIES: u32 = 1 << 14;

const PLANNED: &str = "the plan has trampolines";

/// Programs are loaded; nothing is traced yet.
pub struct Loaded {
    ebpf: Ebpf,
    /// For trampolines, where the plan has any.
    btf: Option<Btf>,
    /// In the order in which they attach.
    ready: Vec<Ready>,
    /// What is loaded now is of this stage.
    stage: Stage,
    /// Of these, the programs on allocations and frees.
    probes: Vec<Probe>,
    log: KernelLog,
    rings: Rings,
    backups: bool,
    /// Not all processes' allocations are traced, and no objects are noted.
    confuses_objects: bool,
    preempts_probes: bool,
    /// Why names are unavailable, if they were asked for.
    pub names_unavailable: Option<String>,
    unavailable: Unavailable,
}

impl Loaded {
    /// Loads what the plan says for these filters.
    pub fn load(
        plan: &Plan,
        layout: &Layout,
        filters: &Filters,
        rings: RingPlan,
        options: LoadOptions,
    ) -> Result<Self, LoadError> {
        let filters_tasks = !filters.follow_all_tasks();
        let notes_held = filters_tasks && rings.of_cpus.is_some();
        let confuses_objects = filters_tasks && !notes_held;
        let has_backups = options.backups && (confuses_objects || layout.preempts_probes);
        let config =
            config::new(plan, layout, filters, rings, options, Safeguard { has_backups, notes_held });
        let mut ebpf = load_object(&config, filters, rings, options)?;
        let rings = put_rings(&mut ebpf, rings)?;
        let log = KernelLog::open(&mut ebpf, options.verbose);
        let btf = plan.has_trampolines().then(|| layout.functions.btf()).transpose();
        let mut loaded = Self {
            ebpf,
            btf: btf.map_err(EbpfError::from)?,
            ready: Vec::new(),
            stage: Stage::Frees,
            probes: Vec::new(),
            log,
            rings,
            backups: options.backups,
            confuses_objects,
            preempts_probes: layout.preempts_probes,
            names_unavailable: None,
            unavailable: Unavailable::default(),
        };
        loaded.load_programs(plan, layout, filters, options)?;
        Ok(loaded)
    }

    /// In the order in which they attach.
    fn load_programs(
        &mut self,
        plan: &Plan,
        layout: &Layout,
        filters: &Filters,
        options: LoadOptions,
    ) -> Result<(), LoadError> {
        let bulk = self.load_bulk(plan.bulk.as_deref().unwrap_or_default());
        self.load_frees(plan)?;
        self.ready_bulk(bulk, At::is_free);
        self.unavailable.processes = self.load_processes(layout, filters, options).err();
        self.stage = Stage::Allocations;
        if filters.names {
            self.names_unavailable = self.load_names(plan)?;
        }
        self.load_allocations(plan, layout, filters)?;
        self.ready_bulk(bulk, |at| !at.is_free());
        Ok(())
    }

    /// Loads the hooks on events that fire no tracepoint. Returns the loaded ones: all, or none where the kernel rejects one.
    fn load_bulk<'a>(&mut self, hooks: &'a [BulkHook]) -> &'a [BulkHook] {
        for BulkHook { program, function, at } in hooks {
            let btf = self.btf.as_ref().expect(PLANNED);
            let loaded = if *at == At::EntryOfFree {
                object::program::<FEntry>(&mut self.ebpf, program).load(function, btf)
            } else {
                object::program::<FExit>(&mut self.ebpf, program).load(function, btf)
            };
            if let Err(error) = loaded {
                self.unavailable.bulk = Some(unusable(&error));
                return &[];
            }
        }
        hooks
    }

    /// Like all trampolines they have a recursion guard and no backup. A skipped run may mean many objects.
    fn ready_bulk(&mut self, hooks: &[BulkHook], wanted: impl Fn(At) -> bool) {
        for &BulkHook { program: name, function, at } in hooks {
            if wanted(at) {
                self.probes.push(Probe { name, backup: None });
                self.ready.push(Ready { name, target: function, stage: self.stage, part: Part::Bulk });
            }
        }
    }

    fn load_frees(&mut self, plan: &Plan) -> Result<(), LoadError> {
        match plan.free.as_ref().map_err(|why| LoadError::Frees(why.clone()))? {
            CacheStrategy::Argument | CacheStrategy::Page => {
                self.raw_tracepoint(program::KMEM_CACHE_FREE)?;
            }
            CacheStrategy::Trampoline => {
                // Has a recursion guard from v5.12 on, Linux commit ca06f55b9002 ("bpf: Add per-program recursion prevention
                // mechanism"), and no backup: skipped runs count as missed events.
                self.probes.push(Probe { name: program::FREE_FENTRY, backup: None });
                self.fentry(program::FREE_FENTRY, KMEM_CACHE_FREE)?;
            }
        }
        // kfree serves kmalloc's caches, and may be called for any other.
        if plan.kmalloc.is_ok() {
            self.raw_tracepoint(program::KFREE)?;
        }
        Ok(())
    }

    fn load_allocations(&mut self, plan: &Plan, layout: &Layout, filters: &Filters) -> Result<(), LoadError> {
        match plan.alloc.as_ref().map_err(|why| LoadError::Allocations(why.clone()))? {
            CacheStrategy::Argument => self.raw_tracepoint(program::KMEM_CACHE_ALLOC)?,
            CacheStrategy::Page => {
                self.raw_tracepoint(program::KMEM_CACHE_ALLOC)?;
                if layout.has_node_tracepoints {
                    self.raw_tracepoint(program::KMEM_CACHE_ALLOC_NODE)?;
                }
            }
            CacheStrategy::Trampoline => {
                let alone = |name| Probe { name, backup: None };
                self.probes.extend([program::ALLOC_FEXIT, program::ALLOC_NODE_FEXIT].map(alone));
                self.fexit(program::ALLOC_FEXIT, KMEM_CACHE_ALLOC)?;
                self.fexit(program::ALLOC_NODE_FEXIT, KMEM_CACHE_ALLOC_NODE)?;
                if layout.functions.get(KMEM_CACHE_ALLOC_LRU).is_some() {
                    self.fexit(program::ALLOC_LRU_FEXIT, KMEM_CACHE_ALLOC_LRU)?;
                }
            }
        }
        if !filters.kmalloc {
            return Ok(());
        }
        match &plan.kmalloc {
            // With all caches asked for, the others are still worth tracing.
            Err(_) if filters.caches.count().is_none() => return Ok(()),
            Err(why) => return Err(LoadError::Kmalloc(why.clone())),
            Ok(_) => self.raw_tracepoint(program::KMALLOC)?,
        }
        if layout.has_node_tracepoints { self.raw_tracepoint(program::KMALLOC_NODE) } else { Ok(()) }
    }

    fn load_names(&mut self, plan: &Plan) -> Result<Option<String>, LoadError> {
        match &plan.names {
            Ok(NameStrategy::Fexit) => {
                self.fexit(program::D_ALLOC_FEXIT, D_ALLOC)?;
                self.fexit(program::D_ALLOC_PARALLEL_FEXIT, D_ALLOC_PARALLEL)?;
            }
            Ok(NameStrategy::Kretprobe) => {
                let name = program::D_ALLOC_KRETPROBE;
                let program: &mut KProbe = object::program(&mut self.ebpf, name);
                program.load().map_err(|error| LoadError::Program(name, error))?;
                self.make_ready(name, D_ALLOC);
                self.make_ready(name, D_ALLOC_PARALLEL);
            }
            Err(why) => return Ok(Some(why.clone())),
        }
        Ok(None)
    }

    /// Loads the programs that follow processes, or returns why they are unavailable.
    fn load_processes(
        &mut self,
        layout: &Layout,
        filters: &Filters,
        options: LoadOptions,
    ) -> Result<(), Reason> {
        if !options.processes {
            return Err(ON_REQUEST.to_owned());
        }
        layout.processes.as_ref().map_err(Clone::clone)?;
        let follows_trees = matches!(filters.processes, Processes::Trees(_));
        for name in process_programs(follows_trees) {
            let backup = backup_of(name, false, follows_trees && self.preempts_probes);
            self.raw_tracepoint_with(backup, name, Part::Processes).map_err(|(_, error)| unusable(&error))?;
        }
        Ok(())
    }

    /// One that sees objects, with the backup that it needs.
    fn raw_tracepoint(&mut self, name: &'static str) -> Result<(), LoadError> {
        let backup = backup_of(name, self.confuses_objects, self.preempts_probes);
        let backup = self
            .raw_tracepoint_with(backup, name, Part::Objects)
            .map_err(|(name, error)| LoadError::Program(name, error))?;
        self.probes.push(Probe { name, backup });
        Ok(())
    }

    /// Loads a raw tracepoint's program, which has the tracepoint's name, and after it its backup, which is returned, unless backups are
    /// left out. Of a part that fails, no program is attached.
    fn raw_tracepoint_with(
        &mut self,
        backup: Option<&'static str>,
        target: &'static str,
        part: Part,
    ) -> Result<Option<&'static str>, (&'static str, ProgramError)> {
        let backup = backup.filter(|_| self.backups);
        for name in [Some(target), backup].into_iter().flatten() {
            let program: &mut RawTracePoint = object::program(&mut self.ebpf, name);
            program.load().map_err(|error| (name, error))?;
            self.ready.push(Ready { name, target, stage: self.stage, part });
        }
        Ok(backup)
    }

    fn fexit(&mut self, name: &'static str, function: &'static str) -> Result<(), LoadError> {
        let program: &mut FExit = object::program(&mut self.ebpf, name);
        let btf = self.btf.as_ref().expect(PLANNED);
        program.load(function, btf).map_err(|error| LoadError::Program(name, error))?;
        self.make_ready(name, function);
        Ok(())
    }

    fn fentry(&mut self, name: &'static str, function: &'static str) -> Result<(), LoadError> {
        let program: &mut FEntry = object::program(&mut self.ebpf, name);
        let btf = self.btf.as_ref().expect(PLANNED);
        program.load(function, btf).map_err(|error| LoadError::Program(name, error))?;
        self.make_ready(name, function);
        Ok(())
    }

    fn make_ready(&mut self, name: &'static str, target: &'static str) {
        self.ready.push(Ready { name, target, stage: self.stage, part: Part::Objects });
    }

    /// Starts tracing.
    pub fn attach(self) -> Result<Attached, LoadError> {
        let Self { mut ebpf, ready, probes, log, rings, mut unavailable, .. } = self;
        let links = attach_all(&mut ebpf, ready, &mut unavailable)?;
        let Unavailable { bulk: bulk_unavailable, processes: processes_unavailable } = unavailable;
        let filters = Some(LiveFilters::take(&mut ebpf)?);
        let events = Events::new(ebpf, log, probes, rings)?;
        Ok(Attached { links, bulk_unavailable, processes_unavailable, filters, events })
    }
}

/// The object with its configuration and its filters, before any program is loaded.
fn load_object(
    config: &Config,
    filters: &Filters,
    rings: RingPlan,
    options: LoadOptions,
) -> Result<Ebpf, LoadError> {
    let (pids, tree) = match &filters.processes {
        Processes::All => (&[][..], 0),
        Processes::Only(pids) => (&pids[..], 0),
        Processes::Trees(pids) => (&pids[..], TREE_ENTRIES),
    };
    let mut entries = vec![
        (map::RINGS, rings.shared.count),
        (map::CACHE_FILTER, filters.caches.named().count() as u32),
        (map::PID_FILTER, (pids.len() as u32).max(tree)),
        (map::TREE, tree),
        (map::UID_FILTER, filters.uids.len() as u32),
        (map::COMM_FILTER, filters.comms.named().count() as u32),
        (map::HELD, if config.tasks.notes_held != 0 { PLACES } else { 0 }),
        (map::CGROUP_FILTER, if filters.by_cgroup { CGROUP_ENTRIES } else { 0 }),
    ];
    let mut object = Object::built_in().with_config(config);
    match rings.of_cpus {
        Some(sizes) => entries.extend([
            (map::CPU_RING_CONTROL, sizes.rings),
            (map::CPU_RING_CHUNKS, sizes.chunks),
            (map::PAGE_TIMES, PAGE_TIMES),
        ]),
        None => object = object.without_swaps(),
    }
    let mut ebpf = loader::load(&object, &entries, options.verbose)?;
    fill(&mut ebpf, map::CACHE_FILTER, filters.caches.named().copied())?;
    fill(&mut ebpf, map::PID_FILTER, pids.iter().copied())?;
    fill(&mut ebpf, map::UID_FILTER, filters.uids.iter().copied())?;
    fill(&mut ebpf, map::COMM_FILTER, filters.comms.named().copied())?;
    events::set_sample_limit(&mut ebpf, options.sample_limit)?;
    Ok(ebpf)
}

fn put_rings(ebpf: &mut Ebpf, plan: RingPlan) -> Result<Rings, LoadError> {
    let error = |error| LoadError::Map(map::RINGS, error);
    let shared = SharedRings::create(plan.shared)?;
    let outer = ebpf.map_mut(map::RINGS).expect("the object has this map");
    let mut outer: ArrayOfMaps<_, MapData> = ArrayOfMaps::try_from(outer).map_err(error)?;
    for (index, ring) in (0..).zip(shared.maps()) {
        outer.set(index, ring, 0).map_err(error)?;
    }
    let of_cpus = plan.of_cpus.map(|sizes| {
        let control = array(ebpf, map::CPU_RING_CONTROL)?;
        CpuRings::new(&control, array(ebpf, map::CPU_RING_CHUNKS)?, &sizes)
    });
    Ok(Rings { shared, of_cpus: of_cpus.transpose()? })
}

fn array(ebpf: &Ebpf, name: &str) -> Result<OwnedFd, RingError> {
    let Some(Map::Array(array)) = ebpf.map(name) else { unreachable!("the object has this array") };
    array.fd().as_fd().try_clone_to_owned().map_err(RingError::Map)
}

fn fill<K: aya::Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    keys: impl Iterator<Item = K>,
) -> Result<(), LoadError> {
    let error = |error| LoadError::Map(name, error);
    let map = ebpf.map_mut(name).expect("the object has this map");
    let mut map: HashMap<_, K, u8> = HashMap::try_from(map).map_err(error)?;
    for key in keys {
        map.insert(key, 1, 0).map_err(error)?;
    }
    Ok(())
}
