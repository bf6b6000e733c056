//! Discovers what this kernel is like: the first step of every session and of `memtrace check`.

use aya::Ebpf;
use memtrace_common::config::{NO_ARGUMENT, Pages, PidNamespace};
use rustix::io::Errno;

use super::{
    bulk,
    caches::{self, KernelCache},
    layout::Layout,
    limits, loader, lockdown,
    memory::{Memory, MemoryError},
    object::{self, NotBuilt, Object},
    pages, pids,
    plan::{Findings, Plan},
    reason::{ON_REQUEST, Reason, root_cause},
    trials::{self, Avoid},
    types::{KernelTypes, TypesError},
};

#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    #[error(transparent)]
    Types(#[from] TypesError),
    #[error("{0}{advice}", advice = advice(.0))]
    Memory(#[from] MemoryError),
}

/// What would make it work, if we know.
fn advice(error: &MemoryError) -> &'static str {
    let errno = error.errno();
    if lockdown::mode().as_deref() == Some("confidentiality") {
        "\nThe kernel is locked down (confidentiality), which forbids tracing: boot with lockdown=integrity, or without lockdown."
    } else if errno == Some(Errno::PERM) {
        "\nThe kernel refuses bpf(): in a container or user namespace the capabilities must be those of the host, and \
         seccomp and the LSMs must allow bpf()."
    } else if errno == Some(Errno::INVAL) && error.is_about_a_ring() {
        "\nThe kernel has no BPF ring buffers: memtrace needs Linux 5.8 or later."
    } else {
        ""
    }
}

/// What is known of the running kernel.
pub struct Kernel {
    pub layout: Layout,
    pub memory: Memory,
    pub caches: Vec<KernelCache>,
    pub pages: Result<Pages, Reason>,
    pub pid_namespace: PidNamespace,
}

/// What is known of it besides a view of its memory, which is one thread's.
pub struct Facts {
    layout: Layout,
    caches: Vec<KernelCache>,
    pages: Result<Pages, Reason>,
    pid_namespace: PidNamespace,
}

impl Facts {
    /// For this thread.
    pub fn open(self) -> Result<Kernel, DiscoverError> {
        let Self { layout, caches, pages, pid_namespace } = self;
        Ok(Kernel { layout, memory: Memory::open()?, caches, pages, pid_namespace })
    }
}

impl Kernel {
    /// For another thread, which need not discover it again.
    pub fn facts(&self) -> Facts {
        let Self { layout, memory: _, caches, pages, pid_namespace } = self;
        Facts {
            layout: layout.clone(),
            caches: caches.clone(),
            pages: pages.clone(),
            pid_namespace: *pid_namespace,
        }
    }

    pub fn discover(avoid: &[Avoid]) -> Result<Self, DiscoverError> {
        object::ensure_built()?;
        limits::raise_memlock();
        let mut layout = Layout::from_types(&KernelTypes::load()?)?;
        let memory = Memory::open()?;
        let caches = caches::list(&memory, &layout)?;
        let pages = if avoid.contains(&Avoid::Pages) {
            Err(ON_REQUEST.to_owned())
        } else {
            pages::locate(&memory, &layout, &caches).map_err(|error| error.to_string())
        };
        if avoid.contains(&Avoid::Arguments) {
            layout.arguments.alloc_cache = NO_ARGUMENT;
            layout.arguments.free_cache = NO_ARGUMENT;
        }
        let pid_namespace = pids::own_namespace(&memory, &layout)?;
        Ok(Self { layout, memory, caches, pages, pid_namespace })
    }

    /// Tries what a session would use: trampolines and kprobes for `names`, and where the tracepoints do not name the cache.
    ///
    /// Hooks on events that fire no tracepoint get no trial: loading them is one, and a session can do without.
    pub fn try_needed(&self, names: bool, avoid: &[Avoid]) -> Tried {
        if names || !self.layout.alloc_names_cache() || !self.layout.free_names_cache() {
            return self.try_with_object(avoid, |tried| tried.trampolines.is_err());
        }
        Tried { trampolines: not_needed(), kprobes: not_needed(), bulk: bulk_unless_avoided(avoid) }
    }

    /// Tries everything.
    pub fn try_all(&self, avoid: &[Avoid]) -> Tried {
        let mut tried = self.try_with_object(avoid, |_| true);
        if tried.bulk.is_ok() {
            tried.bulk = self.try_bulk();
        }
        tried
    }

    pub fn plan(&self, tried: &Tried) -> Plan {
        let Tried { trampolines, kprobes, bulk } = tried;
        Plan::new(Findings { layout: &self.layout, pages: self.pages.clone(), trampolines, kprobes, bulk })
    }

    fn try_with_object(&self, avoid: &[Avoid], wants_kprobes: impl FnOnce(&Tried) -> bool) -> Tried {
        let mut ebpf = match idle_object() {
            Ok(ebpf) => ebpf,
            Err(why) => {
                return Tried { trampolines: Err(why.clone()), kprobes: Err(why.clone()), bulk: Err(why) };
            }
        };
        let trampolines = self.try_trampolines(&mut ebpf, avoid);
        let bulk = trampolines.clone().and_then(|()| bulk_unless_avoided(avoid));
        let mut tried = Tried { trampolines, kprobes: not_needed(), bulk };
        if wants_kprobes(&tried) {
            tried.kprobes = trials::kprobes(&mut ebpf, avoid);
        }
        tried
    }

    fn try_trampolines(&self, ebpf: &mut Ebpf, avoid: &[Avoid]) -> Result<(), Reason> {
        let btf = self.layout.functions.btf().map_err(|error| root_cause(&error))?;
        trials::trampolines(ebpf, &btf, avoid)
    }

    fn try_bulk(&self) -> Result<(), Reason> {
        let btf = self.layout.functions.btf().map_err(|error| root_cause(&error))?;
        trials::bulk(&mut idle_object()?, &btf, &bulk::hooks(&self.layout)?)
    }
}

/// The outcome of the trials.
pub struct Tried {
    pub trampolines: Result<(), Reason>,
    pub kprobes: Result<(), Reason>,
    /// Hooks on events that fire no tracepoint: Ok unless a trial failed.
    pub bulk: Result<(), Reason>,
}

fn not_needed() -> Result<(), Reason> {
    Err("not tried: not needed".to_owned())
}

fn bulk_unless_avoided(avoid: &[Avoid]) -> Result<(), Reason> {
    if avoid.contains(&Avoid::Bulk) || avoid.contains(&Avoid::Trampolines) {
        return Err(ON_REQUEST.to_owned());
    }
    Ok(())
}

/// The object with an empty configuration: its programs do nothing when they run.
fn idle_object() -> Result<Ebpf, Reason> {
    loader::load(&Object::built_in().without_swaps(), &[], false).map_err(|error| root_cause(&error))
}
