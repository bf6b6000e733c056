//! Brings the programs into the kernel and takes them out again: [`Loaded`] -> [`Attached`] -> [`Events`], which outlive
//! the attachment to be drained.
//!
//! Frees attach before allocations and detach after them: so no free of a traced object is missed in between, and frees
//! can be followed on their own for a while. All links are file descriptors, so the probes go when the process goes,
//! however it dies.

use std::{any::Any, collections::HashSet};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    maps::{ArrayOfMaps, HashMap, MapData, MapError},
    programs::{FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
};
use memtrace_common::{
    COMM_LEN,
    config::{Cgroups, Stacks},
    names::{global, map, program},
};

use super::{
    bulk::{At, BulkHook},
    config,
    events::{self, Events},
    functions::{
        D_ALLOC, D_ALLOC_PARALLEL, KMEM_CACHE_ALLOC, KMEM_CACHE_ALLOC_LRU, KMEM_CACHE_ALLOC_NODE,
        KMEM_CACHE_FREE,
    },
    layout::Layout,
    log::KernelLog,
    memory, object,
    plan::{CacheStrategy, NameStrategy, Plan},
    rings::{RingError, RingSizes, Rings},
    trials::{ON_REQUEST, Reason, reason, refusal, why_not},
};

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot load memtrace's eBPF object: {why}", why = reason(.0))]
    Object(#[from] EbpfError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("cannot set up the map {0}: {why}", why = reason(.1))]
    Map(&'static str, #[source] MapError),
    #[error("the kernel refuses the program {0}: {why}. Please report this with the kernel's version", why = refusal(.1))]
    Program(&'static str, #[source] ProgramError),
    #[error("allocations cannot be traced on this kernel: {0}")]
    Allocations(String),
    #[error("frees cannot be traced on this kernel: {0}")]
    Frees(String),
    #[error("kmalloc caches cannot be traced on this kernel: {0}")]
    Kmalloc(String),
}

/// What to trace.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Addresses of the caches; None for all.
    pub caches: Option<HashSet<u64>>,
    /// The dentry cache is among them.
    pub names: bool,
    /// kmalloc serves some of them.
    pub kmalloc: bool,
    /// Address of the cache that every `struct kmem_cache` is from; 0 where it is not known.
    pub cache_of_caches: u64,
    /// Empty for all.
    pub pids: Vec<u32>,
    /// Empty for all.
    pub comms: Vec<[u8; COMM_LEN]>,
}

impl Filters {
    pub fn follow_all_tasks(&self) -> bool {
        self.pids.is_empty() && self.comms.is_empty()
    }
}

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Let the programs log.
    pub verbose: bool,
    /// Load backups: see `memtrace-ebpf/src/backup.rs`.
    pub backups: bool,
    /// Which objects to follow: see [`memtrace_common::sample`].
    pub sample_limit: u32,
    /// Follow what becomes of processes.
    pub processes: bool,
    /// Which cgroup of a task is meant.
    pub cgroups: Cgroups,
    /// Which allocations tell their stacks.
    pub stacks: Stacks,
}

/// The program that stands in for a probe on the same tracepoint, if it needs one. A free is often interrupted by a batch of
/// RCU callbacks, which free; what an interrupt allocates while an allocation is traced is rare, and no leak if it is missed.
fn backup_of(probe: &str, preempts_probes: bool) -> Option<&'static str> {
    match probe {
        program::KMEM_CACHE_FREE => Some(program::KMEM_CACHE_FREE_BACKUP),
        program::KFREE => Some(program::KFREE_BACKUP),
        program::KMEM_CACHE_ALLOC if preempts_probes => Some(program::KMEM_CACHE_ALLOC_BACKUP),
        program::KMALLOC if preempts_probes => Some(program::KMALLOC_BACKUP),
        _ => None,
    }
}

/// A program on allocations or frees, and the one that stands in for it.
pub(super) struct Probe {
    pub name: &'static str,
    pub backup: Option<&'static str>,
}

/// A program that is verified and waits to be attached.
struct Ready {
    name: &'static str,
    /// Tracepoint or function.
    target: &'static str,
    stage: Stage,
    part: Part,
}

/// What a program is for. Without the first there is no session; of the others there are all programs or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Objects,
    /// What fires no tracepoint.
    Bulk,
    /// What becomes of processes.
    Processes,
}

/// In the order in which they attach; they detach the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Frees,
    /// And names.
    Allocations,
}

/// They bear their tracepoints' names.
const PROCESS_PROGRAMS: [&str; 3] =
    [program::SCHED_PROCESS_FORK, program::SCHED_PROCESS_EXEC, program::SCHED_PROCESS_EXIT];

const PLANNED: &str = "the plan has trampolines";

/// Programs are verified; nothing is traced yet.
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
    preempts_probes: bool,
    /// Why names are unavailable, if they were asked for and are.
    pub names_unavailable: Option<String>,
    bulk_unavailable: Option<Reason>,
    processes_unavailable: Option<Reason>,
}

impl Loaded {
    /// Loads what the plan says for these filters.
    pub fn load(
        plan: &Plan,
        layout: &Layout,
        filters: &Filters,
        rings: RingSizes,
        options: LoadOptions,
    ) -> Result<Self, LoadError> {
        let config = config::of(plan, layout, filters, rings, options);
        let mut loader = EbpfLoader::new();
        loader
            .btf(None)
            .override_global(global::CONFIG, &config, true)
            .map_max_entries(map::RINGS, rings.count);
        KernelLog::configure(&mut loader, options.verbose);
        let sizes = [
            (map::CACHE_FILTER, filters.caches.as_ref().map_or(0, HashSet::len)),
            (map::PID_FILTER, filters.pids.len()),
            (map::COMM_FILTER, filters.comms.len()),
        ];
        for (name, entries) in sizes {
            loader.map_max_entries(name, entries.max(1) as u32);
        }
        let mut ebpf = loader.load(object::bytes())?;
        // aya parsed all of the kernel's BTF, though it was told not to use it: 20 MB.
        memory::give_back();
        fill(&mut ebpf, map::CACHE_FILTER, filters.caches.iter().flatten().copied())?;
        fill(&mut ebpf, map::PID_FILTER, filters.pids.iter().copied())?;
        fill(&mut ebpf, map::COMM_FILTER, filters.comms.iter().copied())?;
        let rings = put_rings(&mut ebpf, rings)?;
        events::set_sample_limit(&mut ebpf, options.sample_limit)?;
        let log = KernelLog::open(&mut ebpf, options.verbose);
        let mut loaded = Self {
            ebpf,
            btf: plan
                .has_trampolines()
                .then(|| layout.functions.btf())
                .transpose()
                .map_err(EbpfError::from)?,
            ready: Vec::new(),
            stage: Stage::Frees,
            probes: Vec::new(),
            log,
            rings,
            backups: options.backups,
            preempts_probes: layout.preempts_probes,
            names_unavailable: None,
            bulk_unavailable: None,
            processes_unavailable: None,
        };
        let bulk = loaded.load_bulk(plan.bulk.as_deref().unwrap_or_default());
        loaded.load_frees(plan)?;
        loaded.ready_bulk(bulk, At::is_free);
        loaded.stage = Stage::Allocations;
        if filters.names {
            loaded.names_unavailable = loaded.load_names(plan)?;
        }
        loaded.processes_unavailable = loaded.load_processes(layout, options).err();
        loaded.load_allocations(plan, layout, filters)?;
        loaded.ready_bulk(bulk, |at| !at.is_free());
        Ok(loaded)
    }

    /// Loads the hooks on what fires no tracepoint; gives those that there are: all, or none where one is refused.
    fn load_bulk<'a>(&mut self, hooks: &'a [BulkHook]) -> &'a [BulkHook] {
        for BulkHook { program, function, at } in hooks {
            let btf = self.btf.as_ref().expect(PLANNED);
            let loaded = if *at == At::EntryOfFree {
                object::program::<FEntry>(&mut self.ebpf, program).load(function, btf)
            } else {
                object::program::<FExit>(&mut self.ebpf, program).load(function, btf)
            };
            if let Err(error) = loaded {
                self.bulk_unavailable = Some(why_not(&error));
                return &[];
            }
        }
        hooks
    }

    /// They have a guard and nobody who stands in, as all trampolines. A run that is skipped may be of many objects.
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
                // Has a guard of its own from v5.12 on, Linux commit ca06f55b9002 ("bpf: Add per-program recursion prevention
                // mechanism"), and nobody who stands in: what it is skipped for is counted as missed.
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
            Err(_) if filters.caches.is_none() => return Ok(()),
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

    /// Loads what tells who makes which process; or says why that cannot be had.
    fn load_processes(&mut self, layout: &Layout, options: LoadOptions) -> Result<(), Reason> {
        if !options.processes {
            return Err(ON_REQUEST.to_owned());
        }
        layout.processes.as_ref().map_err(Clone::clone)?;
        for name in PROCESS_PROGRAMS {
            let program: &mut RawTracePoint = object::program(&mut self.ebpf, name);
            program.load().map_err(|error| why_not(&error))?;
        }
        let ready = |name| Ready { name, target: name, stage: self.stage, part: Part::Processes };
        self.ready.extend(PROCESS_PROGRAMS.map(ready));
        Ok(())
    }

    /// Loads a raw tracepoint's program, which bears the tracepoint's name, and its backup behind it.
    fn raw_tracepoint(&mut self, name: &'static str) -> Result<(), LoadError> {
        let backup = backup_of(name, self.preempts_probes).filter(|_| self.backups);
        self.probes.push(Probe { name, backup });
        for program_name in [Some(name), backup].into_iter().flatten() {
            let program: &mut RawTracePoint = object::program(&mut self.ebpf, program_name);
            program.load().map_err(|error| LoadError::Program(program_name, error))?;
            self.make_ready(program_name, name);
        }
        Ok(())
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

    /// Why a part that a session can do without cannot be had, if so; None for the part that it needs.
    fn unavailable(&mut self, part: Part) -> Option<&mut Option<Reason>> {
        match part {
            Part::Objects => None,
            Part::Bulk => Some(&mut self.bulk_unavailable),
            Part::Processes => Some(&mut self.processes_unavailable),
        }
    }

    /// Starts tracing.
    pub fn attach(mut self) -> Result<Attached, LoadError> {
        let mut links: Vec<Link> = Vec::new();
        for Ready { name, target, stage, part } in std::mem::take(&mut self.ready) {
            if self.unavailable(part).is_some_and(|why| why.is_some()) {
                continue;
            }
            match (attach(&mut self.ebpf, name, target), self.unavailable(part)) {
                (Ok(attachment), _) => links.push(Link { _attachment: attachment, stage, part }),
                (Err(error), Some(unavailable)) => {
                    *unavailable = Some(why_not(&error));
                    links.retain(|link| link.part != part);
                }
                (Err(error), None) => return Err(LoadError::Program(name, error)),
            }
        }
        Ok(Attached {
            links,
            bulk_unavailable: self.bulk_unavailable,
            processes_unavailable: self.processes_unavailable,
            events: Events::new(self.ebpf, self.log, self.probes, self.rings)?,
        })
    }
}

/// A program where it belongs.
struct Link {
    /// Detaches when it is dropped; nobody needs to know its type.
    _attachment: Box<dyn Any>,
    stage: Stage,
    part: Part,
}

/// Probes run.
pub struct Attached {
    /// In the order of attachment.
    links: Vec<Link>,
    /// Why what fires no tracepoint is not seen, if the plan has hooks on it.
    pub bulk_unavailable: Option<Reason>,
    /// Why the kernel side does not tell what becomes of processes.
    pub processes_unavailable: Option<Reason>,
    pub events: Events,
}

impl Attached {
    /// Stops tracing allocations and names; frees are still traced.
    pub fn stop_allocations(&mut self) {
        while self.links.pop_if(|link| link.stage == Stage::Allocations).is_some() {}
    }

    /// Stops tracing, allocations first. What is in the ring stays to be drained.
    pub fn detach(mut self) -> Events {
        while self.links.pop().is_some() {}
        self.events
    }
}

fn attach(ebpf: &mut Ebpf, name: &'static str, target: &'static str) -> Result<Box<dyn Any>, ProgramError> {
    Ok(match ebpf.program_mut(name).expect("it was loaded") {
        Program::RawTracePoint(program) => {
            let id = program.attach(target)?;
            Box::new(program.take_link(id)?)
        }
        Program::FExit(program) => {
            let id = program.attach()?;
            Box::new(program.take_link(id)?)
        }
        Program::FEntry(program) => {
            let id = program.attach()?;
            Box::new(program.take_link(id)?)
        }
        Program::KProbe(program) => {
            let id = program.attach(target, 0)?;
            Box::new(program.take_link(id)?)
        }
        other => unreachable!("no program of type {:?} is loaded", other.prog_type()),
    })
}

fn put_rings(ebpf: &mut Ebpf, sizes: RingSizes) -> Result<Rings, LoadError> {
    let error = |error| LoadError::Map(map::RINGS, error);
    let rings = Rings::create(sizes)?;
    let outer = ebpf.map_mut(map::RINGS).expect("the object has this map");
    let mut outer: ArrayOfMaps<_, MapData> = ArrayOfMaps::try_from(outer).map_err(error)?;
    for (index, ring) in (0..).zip(rings.maps()) {
        outer.set(index, ring, 0).map_err(error)?;
    }
    Ok(rings)
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
