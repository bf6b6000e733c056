//! Brings the programs into the kernel and takes them out again: [`Loaded`] -> [`Attached`] -> [`Events`], which outlive
//! the attachment to be drained.
//!
//! Frees attach before allocations and detach after them: so no free of a traced object is missed in between, and frees
//! can be followed on their own for a while. All links are file descriptors, so the probes go when the process goes,
//! however it dies.

use std::{
    any::Any,
    collections::HashSet,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    maps::{Array, ArrayOfMaps, HashMap, MapData, MapError, PerCpuArray},
    programs::{FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint},
};
use memtrace_common::{
    COMM_LEN,
    counters::{ByKind, Counters, LossKey},
    event::{KIND_ALLOC, KIND_FREE},
    names::{global, map, program},
};

use super::{
    bulk::{At, BulkHook},
    config,
    cost::ProbeTimes,
    functions::{
        D_ALLOC, D_ALLOC_PARALLEL, KMEM_CACHE_ALLOC, KMEM_CACHE_ALLOC_LRU, KMEM_CACHE_ALLOC_NODE,
        KMEM_CACHE_FREE,
    },
    layout::Layout,
    log::KernelLog,
    object,
    plan::{CacheWay, NamesWay, Plan},
    rings::{RingError, RingSizes, Rings},
    successors::Successors,
    trials::{reason, refusal, why_not},
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
    /// Load understudies: see `memtrace-ebpf/src/understudy.rs`.
    pub understudies: bool,
    /// Which objects to follow: see [`memtrace_common::sample`].
    pub sample_limit: u32,
}

/// The program that stands in for a probe on the same tracepoint, if it needs one. A free is often interrupted by a batch of
/// RCU callbacks, which free; what an interrupt allocates while an allocation is traced is rare, and no leak if it is missed.
fn understudy_of(probe: &str, preempts_probes: bool) -> Option<&'static str> {
    match probe {
        program::KMEM_CACHE_FREE => Some(program::KMEM_CACHE_FREE_UNDERSTUDY),
        program::KFREE => Some(program::KFREE_UNDERSTUDY),
        program::KMEM_CACHE_ALLOC if preempts_probes => Some(program::KMEM_CACHE_ALLOC_UNDERSTUDY),
        program::KMALLOC if preempts_probes => Some(program::KMALLOC_UNDERSTUDY),
        _ => None,
    }
}

/// A program on allocations or frees, and the one that stands in for it.
struct Probe {
    name: &'static str,
    understudy: Option<&'static str>,
}

/// A program that is verified and waits to be attached.
struct Ready {
    name: &'static str,
    /// Tracepoint or function.
    target: &'static str,
    stage: Stage,
    /// A hook on what fires no tracepoint: a session can do without, but has all of them or none.
    is_bulk: bool,
}

/// In the order in which they attach; they detach the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Frees,
    /// And names.
    Allocations,
}

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
    understudies: bool,
    preempts_probes: bool,
    /// Why names are unavailable, if they were asked for and are.
    pub names_unavailable: Option<String>,
    /// Why what fires no tracepoint is not seen, if the plan has hooks on it.
    pub bulk_unavailable: Option<String>,
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
        let config = config::of(plan, layout, filters, rings);
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
        fill(&mut ebpf, map::CACHE_FILTER, filters.caches.iter().flatten().copied())?;
        fill(&mut ebpf, map::PID_FILTER, filters.pids.iter().copied())?;
        fill(&mut ebpf, map::COMM_FILTER, filters.comms.iter().copied())?;
        let rings = put_rings(&mut ebpf, rings)?;
        set_sample_limit(&mut ebpf, options.sample_limit)?;
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
            understudies: options.understudies,
            preempts_probes: layout.preempts_probes,
            names_unavailable: None,
            bulk_unavailable: None,
        };
        let bulk = loaded.load_bulk(plan.bulk.as_deref().unwrap_or_default());
        loaded.load_frees(plan)?;
        loaded.ready_bulk(bulk, At::is_free);
        loaded.stage = Stage::Allocations;
        if filters.names {
            loaded.names_unavailable = loaded.load_names(plan)?;
        }
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
                self.probes.push(Probe { name, understudy: None });
                self.ready.push(Ready { name, target: function, stage: self.stage, is_bulk: true });
            }
        }
    }

    fn load_frees(&mut self, plan: &Plan) -> Result<(), LoadError> {
        match plan.free.as_ref().map_err(|why| LoadError::Frees(why.clone()))? {
            CacheWay::Argument | CacheWay::Page => {
                self.raw_tracepoint(program::KMEM_CACHE_FREE)?;
            }
            CacheWay::Trampoline => {
                // Has a guard of its own from v5.12 on, Linux commit ca06f55b9002 ("bpf: Add per-program recursion prevention
                // mechanism"), and nobody who stands in: what it is skipped for is counted as missed.
                self.probes.push(Probe { name: program::FREE_FENTRY, understudy: None });
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
            CacheWay::Argument => self.raw_tracepoint(program::KMEM_CACHE_ALLOC)?,
            CacheWay::Page => {
                self.raw_tracepoint(program::KMEM_CACHE_ALLOC)?;
                if layout.has_node_tracepoints {
                    self.raw_tracepoint(program::KMEM_CACHE_ALLOC_NODE)?;
                }
            }
            CacheWay::Trampoline => {
                let alone = |name| Probe { name, understudy: None };
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
            Ok(NamesWay::Fexit) => {
                self.fexit(program::D_ALLOC_FEXIT, D_ALLOC)?;
                self.fexit(program::D_ALLOC_PARALLEL_FEXIT, D_ALLOC_PARALLEL)?;
            }
            Ok(NamesWay::Kretprobe) => {
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

    /// Loads a raw tracepoint's program, which bears the tracepoint's name, and its understudy behind it.
    fn raw_tracepoint(&mut self, name: &'static str) -> Result<(), LoadError> {
        let understudy = understudy_of(name, self.preempts_probes).filter(|_| self.understudies);
        self.probes.push(Probe { name, understudy });
        for program_name in [Some(name), understudy].into_iter().flatten() {
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
        self.ready.push(Ready { name, target, stage: self.stage, is_bulk: false });
    }

    /// Starts tracing.
    pub fn attach(mut self) -> Result<Attached, LoadError> {
        let mut links: Vec<Link> = Vec::new();
        let mut bulk_is_refused = false;
        for &Ready { name, target, stage, is_bulk } in &self.ready {
            if is_bulk && bulk_is_refused {
                continue;
            }
            match attach(&mut self.ebpf, name, target) {
                Ok(attachment) => links.push(Link { _attachment: attachment, stage, is_bulk }),
                Err(_) if is_bulk => {
                    bulk_is_refused = true;
                    links.retain(|link| !link.is_bulk);
                }
                Err(error) => return Err(LoadError::Program(name, error)),
            }
        }
        let successors = Successors::take(&mut self.ebpf)?;
        let mut take = |name| self.ebpf.take_map(name).expect("the object has this map");
        let [losses, counters] = [map::LOSSES, map::COUNTERS].map(&mut take);
        Ok(Attached {
            links,
            events: Events {
                ebpf: self.ebpf,
                log: self.log,
                probes: self.probes,
                rings: self.rings,
                losses: HashMap::try_from(losses).map_err(|error| LoadError::Map(map::LOSSES, error))?,
                counters: PerCpuArray::try_from(counters)
                    .map_err(|error| LoadError::Map(map::COUNTERS, error))?,
                successors,
            },
        })
    }
}

/// A program where it belongs.
struct Link {
    /// Detaches when it is dropped; nobody needs to know its type.
    _attachment: Box<dyn Any>,
    stage: Stage,
    is_bulk: bool,
}

/// Probes run.
pub struct Attached {
    /// In the order of attachment.
    links: Vec<Link>,
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

/// The kernel's side of the stream: the rings, and what the kernel counts.
pub struct Events {
    ebpf: Ebpf,
    log: KernelLog,
    /// Programs on allocations and frees.
    probes: Vec<Probe>,
    rings: Rings,
    losses: HashMap<MapData, LossKey, u64>,
    counters: PerCpuArray<MapData, Counters>,
    pub successors: Successors,
}

impl Events {
    /// Hands each record in the rings to `sink`, those of one object oldest first, until those are read that were there
    /// at the call, or `most` were. Returns how many were read.
    pub fn drain(&mut self, most: usize, sink: impl FnMut(&[u8])) -> Result<usize, RingError> {
        let read = self.rings.drain(most, sink);
        self.log.flush();
        read
    }

    /// Lets the kernel side follow fewer objects from now on: see [`memtrace_common::sample`].
    pub fn set_sample_limit(&mut self, limit: u32) -> Result<(), LoadError> {
        set_sample_limit(&mut self.ebpf, limit)
    }

    /// Lost allocations and frees by the address of their slab cache; 0 where it is not known.
    pub fn losses(&self) -> Result<std::collections::HashMap<u64, ByKind>, MapError> {
        let mut losses: std::collections::HashMap<u64, ByKind> = Default::default();
        for entry in self.losses.iter() {
            let (LossKey { cache, kind }, count) = entry?;
            let loss = losses.entry(cache).or_default();
            match u16::try_from(kind) {
                Ok(KIND_ALLOC) => loss.allocs += count,
                Ok(KIND_FREE) => loss.frees += count,
                _ => {}
            }
        }
        Ok(losses)
    }

    /// The kernel's counters, summed over all CPUs.
    pub fn counters(&self) -> Result<Counters, MapError> {
        let per_cpu = self.counters.get(&0, 0)?;
        Ok(per_cpu.iter().fold(Counters::default(), |sum, cpu| Counters {
            emitted: add(sum.emitted, cpu.emitted),
            lost: add(sum.lost, cpu.lost),
            unresolved: sum.unresolved + cpu.unresolved,
            stood_in: sum.stood_in + cpu.stood_in,
            taken_on: [0; 4],
        }))
    }

    /// How many events, of any cache, nobody saw, at most. An event is missed only where the kernel skipped both its probe and
    /// the understudy, because they were running on that CPU already; what understudies stood in for is none of these. The
    /// kernel counts since v5.12, Linux commit 9ed9e9ba2337 ("bpf: Count the number of times recursion was prevented").
    ///
    /// Names are left out: a dentry without its name is counted all the same.
    pub fn recursion_misses(&self, counters: &Counters) -> io::Result<u64> {
        let (mut misses, mut skipped) = (0, 0);
        for probe in &self.probes {
            let by_probe = self.skipped(probe.name)?;
            let by_understudy = probe.understudy.map(|understudy| self.skipped(understudy)).transpose()?;
            misses += by_probe.min(by_understudy.unwrap_or(u64::MAX));
            skipped += by_probe;
        }
        Ok(misses.min(skipped.saturating_sub(counters.stood_in)))
    }

    /// What the probes took by [`super::cost::RunTimeStatistics`].
    pub fn probe_times(&self) -> Result<ProbeTimes, ProgramError> {
        let mut times = ProbeTimes::default();
        for (name, program) in self.ebpf.programs() {
            // Programs that this kernel does not need are not loaded.
            let info = match program.info() {
                Ok(info) => info,
                Err(ProgramError::NotLoaded) => continue,
                Err(error) => return Err(error),
            };
            times.run_time += info.run_time();
            if self.probes.iter().any(|probe| probe.name == name) {
                times.events += info.run_count();
            }
        }
        Ok(times)
    }

    fn skipped(&self, name: &str) -> io::Result<u64> {
        let Some(Ok(fd)) = self.ebpf.program(name).map(Program::fd) else { return Ok(0) };
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
        Ok(recursion_misses(&info))
    }
}

fn recursion_misses(fdinfo: &str) -> u64 {
    fdinfo.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok()).unwrap_or(0)
}

fn add(a: ByKind, b: ByKind) -> ByKind {
    ByKind { allocs: a.allocs + b.allocs, frees: a.frees + b.frees, names: a.names + b.names }
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

fn set_sample_limit(ebpf: &mut Ebpf, limit: u32) -> Result<(), LoadError> {
    let error = |error| LoadError::Map(map::SAMPLE_LIMIT, error);
    let map = ebpf.map_mut(map::SAMPLE_LIMIT).expect("the object has this map");
    Array::try_from(map).and_then(|mut map| map.set(0, limit, 0)).map_err(error)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursion_misses_are_read_from_a_program_s_fdinfo() {
        let fdinfo = |line: &str| {
            format!(
                "pos:\t0\nflags:\t02000002\nprog_type:\t17\nprog_jited:\t1\nmemlock:\t4096\n{line}verified_insns:\t92\n"
            )
        };
        for (line, misses) in [
            ("recursion_misses:\t0\n", 0),
            ("recursion_misses:\t18446744073709551615\n", u64::MAX),
            ("recursion_misses:\t17\n", 17),
            // Before v5.12 there is none.
            ("", 0),
            ("no_recursion_misses:\t5\n", 0),
            ("recursion_misses:\tmany\n", 0),
        ] {
            assert_eq!(recursion_misses(&fdinfo(line)), misses, "{line:?}");
        }
        assert_eq!(recursion_misses(""), 0);
    }
}
