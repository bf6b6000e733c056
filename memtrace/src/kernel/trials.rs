//! What this kernel lets us attach, found out by trying: a program that does nothing is attached for a moment.
//!
//! Versions and configuration do not tell. Lockdown, LSMs and hypervisors refuse what the kernel could do.

use std::{error::Error, path::Path};

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe, ProgramError},
};
use memtrace_common::names::program;

use super::{
    bulk::{At, BulkHook},
    object,
};

/// Why something cannot be had, in words for the user.
pub type Reason = String;

/// Something to leave out on purpose, to see how memtrace fares without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Avoid {
    /// fentry and fexit.
    Trampolines,
    Kprobes,
    /// Finding an object's cache by its page.
    Pages,
    /// Taking the cache from a tracepoint's argument.
    Arguments,
    /// The second program at each tracepoint, which sees what the first is skipped for.
    Backups,
    /// Names of dentries, in whatever way.
    Names,
    /// What becomes of processes.
    Processes,
    /// What fires no tracepoint: bulk, and sheaves of `kfree_rcu`.
    Bulk,
}

/// A way that is lacking for this reason is a bug of memtrace.
pub const FAULT_OF_OURS: &str = "the kernel's verifier refuses memtrace's own program, please report this";

pub const ON_REQUEST: &str = "left out on request";

/// Where the kernel offers kprobes (since v4.17).
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe";

/// The kernel function that is tried on.
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
    attached.map_err(|error| why_not(&error))
}

/// Tries the hooks on what fires no tracepoint, each on its own function.
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
        attached.map_err(|error| format!("{function}: {}", why_not(&error)))?;
    }
    Ok(())
}

pub fn kprobes(ebpf: &mut Ebpf, avoid: &[Avoid]) -> Result<(), Reason> {
    if avoid.contains(&Avoid::Kprobes) {
        return Err(ON_REQUEST.to_owned());
    }
    if !Path::new(KPROBES).exists() {
        return Err("the kernel has none: CONFIG_KPROBES is off".to_owned());
    }
    let program: &mut KProbe = object::program(ebpf, program::D_ALLOC_KRETPROBE);
    let attached = program.load().and_then(|()| program.attach(FUNCTION, 0).map(drop));
    drop(program.unload());
    attached.map_err(|error| why_not(&error))
}

/// The innermost cause of an error on one line: the outer ones only say which call it was.
pub fn reason(error: &dyn Error) -> Reason {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    let line = text.lines().next().unwrap_or_default();
    // The standard library's way to say an errno; the words before it are enough.
    line.split(" (os error ").next().unwrap_or_default().trim().to_owned()
}

/// Why a trial failed. A host may refuse what it likes; a verifier that has something to say speaks of our program.
pub fn why_not(error: &ProgramError) -> Reason {
    match error {
        ProgramError::LoadError { verifier_log, .. } if verdict(&verifier_log.to_string()).is_some() => {
            format!("{FAULT_OF_OURS}: {}", refusal(error))
        }
        _ => reason(error),
    }
}

/// Why a program was refused: the verifier's last word, behind which it only counts, or else the errno.
pub fn refusal(error: &ProgramError) -> Reason {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return reason(error) };
    let log = verifier_log.to_string();
    match verdict(&log) {
        Some(verdict) => format!("{verdict} ({})", reason(io_error)),
        None => reason(io_error),
    }
}

fn verdict(verifier_log: &str) -> Option<&str> {
    let is_count = |line: &str| {
        ["processed ", "verification time ", "stack depth ", "subprog "]
            .iter()
            .any(|count| line.starts_with(count))
    };
    verifier_log.lines().map(str::trim).rfind(|line| !line.is_empty() && !is_count(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_stands_before_the_counts() {
        let log =
            "0: (b7) r3 = 16\nR2 unbounded memory access\nverification time 8 usec\nprocessed 1 insns\n\n";
        assert_eq!(verdict(log), Some("R2 unbounded memory access"));
        assert_eq!(verdict("processed 1 insns"), None);
        assert_eq!(verdict(""), None);
    }

    #[test]
    fn a_reason_is_the_innermost_without_its_number() {
        let inner = std::io::Error::from_raw_os_error(1);
        let outer = std::io::Error::other(inner);
        assert_eq!(reason(&outer), "Operation not permitted");
    }
}
