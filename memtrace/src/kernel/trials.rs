//! What this kernel lets us attach. We find out by trying: a program that does nothing is attached for a moment.
//!
//! Version and configuration are not enough to know: lockdown, LSMs and hypervisors refuse things that the kernel supports.

use std::path::Path;

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe},
};
use memtrace_common::names::program;

use super::{
    bulk::{At, BulkHook},
    object,
    reason::{ON_REQUEST, Reason, unusable},
};

/// A kernel feature not to use, to test how memtrace works without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Avoid {
    /// fentry and fexit.
    Trampolines,
    Kprobes,
    /// Finding an object's cache by its page.
    Pages,
    /// Taking the cache from a tracepoint's argument.
    Arguments,
    /// The second program at each tracepoint, which sees events for which the kernel skips the first.
    Backups,
    /// Asking the kernel's memory whether what is outstanding is allocated.
    Verify,
    /// Names of dentries, by any hook.
    Names,
    /// Forks, execs and exits of processes.
    Processes,
    /// Allocations and frees that fire no tracepoint: bulk, and `kfree_rcu` sheaves.
    Bulk,
    /// Rings of one program on one CPU: all share some.
    CpuRings,
}

/// Where the kernel offers kprobes (since v4.17).
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe";

/// The kernel function that trial programs are attached to.
const FUNCTION: &str = "d_alloc";

/// Tries fentry and fexit. `btf` is the kernel's, as aya wants it.
pub fn trampolines(ebpf: &mut Ebpf, btf: &Btf, avoid: &[Avoid]) -> Result<(), Reason> {
    if avoid.contains(&Avoid::Trampolines) {
        return Err(ON_REQUEST.to_owned());
    }
    let program: &mut FExit = object::program(ebpf, program::D_ALLOC_FEXIT);
    let attached = program.load(FUNCTION, btf).and_then(|()| program.attach().map(drop));
    // Unloading detaches.
    drop(program.unload());
    attached.map_err(|error| unusable(&error))
}

/// Tries the hooks on events that fire no tracepoint, each on its own function.
pub fn bulk(ebpf: &mut Ebpf, btf: &Btf, hooks: &[BulkHook]) -> Result<(), Reason> {
    for BulkHook { program, function, at } in hooks {
        let attached = if *at == At::EntryOfFree {
            let program: &mut FEntry = object::program(ebpf, program);
            let attached = program.load(function, btf).and_then(|()| program.attach().map(drop));
            drop(program.unload());
            attached
        } else {
            let program: &mut FExit = object::program(ebpf, program);
            let attached = program.load(function, btf).and_then(|()| program.attach().map(drop));
            drop(program.unload());
            attached
        };
        attached.map_err(|error| format!("{function}: {}", unusable(&error)))?;
    }
    Ok(())
}

pub fn kprobes(ebpf: &mut Ebpf, avoid: &[Avoid]) -> Result<(), Reason> {
    if avoid.contains(&Avoid::Kprobes) {
        return Err(ON_REQUEST.to_owned());
    }
    if !Path::new(KPROBES).exists() {
        return Err("the kernel was built without CONFIG_KPROBES".to_owned());
    }
    let program: &mut KProbe = object::program(ebpf, program::D_ALLOC_KRETPROBE);
    let attached = program.load().and_then(|()| program.attach(FUNCTION, 0).map(drop));
    drop(program.unload());
    attached.map_err(|error| unusable(&error))
}
