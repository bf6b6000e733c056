//! Programs in the kernel: those of the floor's object, and what the kernel says of any program.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context, Result};
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::programs::{RawTracePoint, loaded_programs};
use aya::{Ebpf, EbpfLoader};

/// A program of the floor's object on a tracepoint, until it is dropped.
pub struct Attached {
    pub tracepoint: String,
    /// The program's.
    pub id: u32,
    _link: RawTracePointLink,
}

/// Reads the floor's object; its shared ring gets `ring_bytes`, a power of two, and each CPU two rings.
pub fn load(object: &Path, ring_bytes: u32) -> Result<Ebpf> {
    let last = aya::util::online_cpus().ok().and_then(|cpus| cpus.into_iter().max()).unwrap_or(0);
    EbpfLoader::new()
        .map_max_entries("RING", ring_bytes)
        .map_max_entries("CONTROL", 2 * (last + 1))
        .map_max_entries("CHUNKS", 2 * (last + 1))
        .load_file(object)
        .with_context(|| format!("cannot load {}", object.display()))
}

/// Attaches a program that nothing else uses: the kernel guards each program against itself, and memtrace's are different ones.
pub fn attach(object: &mut Ebpf, program: &str, tracepoint: &str) -> Result<Attached> {
    let program = object.program_mut(program).with_context(|| format!("the object has no {program}"))?;
    let program: &mut RawTracePoint = program.try_into()?;
    program.load().context("the kernel refuses the program")?;
    let id = program.info()?.id();
    let link = program
        .attach(tracepoint)
        .and_then(|link| program.take_link(link))
        .with_context(|| format!("cannot attach to the tracepoint {tracepoint}"))?;
    // The link keeps the program; the next one is loaded anew.
    program.unload()?;
    Ok(Attached { tracepoint: tracepoint.to_owned(), id, _link: link })
}

/// What the kernel knows of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramInfo {
    pub id: u32,
    /// 15 bytes at most.
    pub name: String,
    pub runs: u64,
    /// Of all runs while statistics were on.
    pub run_time_ns: u64,
    pub recursion_misses: u64,
    /// How many instructions the verifier walked over; 0 where the kernel does not say.
    pub verified_insns: u32,
    /// Instructions after verification.
    pub insns: u32,
    /// Bytes of machine code.
    pub jited_bytes: u32,
}

/// The programs with these ids, in their order. One that is gone is left out: memtrace loads some only to try them.
pub fn infos(ids: &[u32]) -> Result<Vec<ProgramInfo>> {
    // Others' programs may go while we look.
    let loaded: Vec<_> = loaded_programs().filter_map(Result::ok).collect();
    let found = ids.iter().filter_map(|id| loaded.iter().find(|program| program.id() == *id));
    found.map(info).collect()
}

fn info(program: &aya::programs::ProgramInfo) -> Result<ProgramInfo> {
    // Open for as long as its description is read.
    let fd = program.fd()?;
    let fdinfo = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))
        .context("cannot read what the kernel says of a program")?;
    Ok(ProgramInfo {
        id: program.id(),
        name: String::from_utf8_lossy(program.name()).into_owned(),
        runs: program.run_count(),
        run_time_ns: program.run_time().as_nanos() as u64,
        recursion_misses: crate::process::field(&fdinfo, "recursion_misses:").unwrap_or(0),
        verified_insns: program.verified_instruction_count().unwrap_or(0),
        insns: program.size_translated().unwrap_or(0) / 8,
        jited_bytes: program.size_jitted(),
    })
}
