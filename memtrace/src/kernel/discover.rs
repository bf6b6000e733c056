//! Finding out what this kernel is: the first thing that every session and `memtrace check` do.

use aya::{Btf, Ebpf, EbpfLoader};
use memtrace_common::config::{NO_ARGUMENT, Pages};
use rustix::io::Errno;

use super::{
    caches::{self, KernelCache},
    layout::Layout,
    log::KernelLog,
    memory::{Memory, MemoryError},
    object::{self, NotBuilt},
    pages,
    plan::{Findings, Plan},
    privileges,
    trials::{self, Avoid, Reason},
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

/// What would make it work, where that is known.
fn advice(error: &MemoryError) -> &'static str {
    let errno = error.errno();
    if privileges::lockdown().as_deref() == Some("confidentiality") {
        "\nThe kernel is locked down (confidentiality), which forbids tracing: boot with lockdown=integrity or without it, \
         or ask who set it."
    } else if errno == Some(Errno::PERM) {
        "\nThe kernel refuses bpf(): in a container or user namespace the capabilities must be the host's own, and seccomp \
         and the LSMs must allow bpf()."
    } else if errno == Some(Errno::INVAL) && error.is_about_a_ring() {
        "\nThe kernel has no BPF ring buffers: they came with Linux 5.8."
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
}

impl Kernel {
    pub fn discover(avoid: &[Avoid]) -> Result<Self, DiscoverError> {
        object::ensure_built()?;
        privileges::raise_memlock();
        let mut layout = Layout::from_types(&KernelTypes::load()?)?;
        let memory = Memory::open()?;
        let caches = caches::list(&memory, &layout)?;
        let pages = if avoid.contains(&Avoid::Pages) {
            Err(trials::ON_REQUEST.to_owned())
        } else {
            pages::locate(&memory, &layout, &caches).map_err(|error| error.to_string())
        };
        if avoid.contains(&Avoid::Arguments) {
            layout.arguments.alloc_cache = NO_ARGUMENT;
            layout.arguments.free_cache = NO_ARGUMENT;
        }
        Ok(Self { layout, memory, caches, pages })
    }

    /// Tries what a session would use: trampolines and kprobes for `names`, and where the tracepoints do not tell the
    /// cache.
    pub fn try_needed(&self, names: bool, avoid: &[Avoid]) -> Tried {
        if names || !self.layout.alloc_names_cache() || !self.layout.free_names_cache() {
            return Tried::with_object(avoid, |tried| tried.trampolines.is_err());
        }
        Tried { trampolines: not_needed(), kprobes: not_needed(), btf: None }
    }

    /// Tries everything.
    pub fn try_all(&self, avoid: &[Avoid]) -> Tried {
        Tried::with_object(avoid, |_| true)
    }

    pub fn plan(&self, tried: &Tried) -> Plan {
        let (pages, trampolines, kprobes) = (self.pages.clone(), &tried.trampolines, &tried.kprobes);
        Plan::new(Findings { layout: &self.layout, pages, trampolines, kprobes })
    }
}

/// What came of trying.
pub struct Tried {
    pub trampolines: Result<(), Reason>,
    pub kprobes: Result<(), Reason>,
    /// The kernel's BTF as aya wants it, where trampolines work: loading them needs it.
    pub btf: Option<Btf>,
}

impl Tried {
    fn with_object(avoid: &[Avoid], wants_kprobes: impl FnOnce(&Self) -> bool) -> Self {
        let mut ebpf = match idle_object() {
            Ok(ebpf) => ebpf,
            Err(why) => return Self { trampolines: Err(why.clone()), kprobes: Err(why), btf: None },
        };
        let mut tried = Self { trampolines: not_needed(), kprobes: not_needed(), btf: None };
        match try_trampolines(&mut ebpf, avoid) {
            Ok(btf) => (tried.trampolines, tried.btf) = (Ok(()), Some(btf)),
            Err(why) => tried.trampolines = Err(why),
        }
        if wants_kprobes(&tried) {
            tried.kprobes = trials::kprobes(&mut ebpf, avoid);
        }
        tried
    }
}

fn not_needed() -> Result<(), Reason> {
    Err("not tried, because nothing needs it".to_owned())
}

fn try_trampolines(ebpf: &mut Ebpf, avoid: &[Avoid]) -> Result<Btf, Reason> {
    let btf = Btf::from_sys_fs().map_err(|error| trials::reason(&error))?;
    trials::trampolines(ebpf, &btf, avoid)?;
    Ok(btf)
}

/// The object with an empty configuration: its programs do nothing wherever they are attached.
fn idle_object() -> Result<Ebpf, Reason> {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    KernelLog::configure(&mut loader, false);
    loader.load(object::bytes()).map_err(|error| trials::reason(&error))
}
