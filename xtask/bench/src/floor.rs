//! The floor: empty programs on the tracepoints that memtrace attaches to. No tracer of these events can cost less.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::bpf::{self, Attached, ProgramInfo};

/// The tracepoints that a tracer attaches to, one entry for each program on them.
pub type Shape = Vec<String>;

/// The floor's ring, which empty programs do not use, is as small as can be.
const RING_BYTES: u32 = 4096;

/// Programs that run until this is dropped.
pub struct Floor {
    programs: Vec<Attached>,
}

impl Floor {
    /// A program of its own for each entry, as in memtrace.
    pub fn attach(object: &Path, shape: &[String]) -> Result<Self> {
        Self::attach_each(object, shape, |_| "empty")
    }

    /// Programs that write to rings of their CPU, which nobody reads.
    pub fn attach_writing(object: &Path, shape: &[String]) -> Result<Self> {
        Self::attach_each(object, shape, |tracepoint| {
            if tracepoint.contains("free") { "write_free_to_cpu" } else { "write_alloc_to_cpu" }
        })
    }

    fn attach_each(object: &Path, shape: &[String], program: impl Fn(&str) -> &'static str) -> Result<Self> {
        let mut object = bpf::load(object, RING_BYTES)?;
        let programs =
            shape.iter().map(|tracepoint| bpf::attach(&mut object, program(tracepoint), tracepoint));
        Ok(Self { programs: programs.collect::<Result<_>>()? })
    }

    /// How often each tracepoint was hit while run-time statistics were on.
    pub fn hits(&self) -> Result<BTreeMap<String, u64>> {
        let tracepoints = self.programs.iter().map(|program| program.tracepoint.clone());
        Ok(tracepoints.zip(self.infos()?.iter().map(|info| info.runs)).collect())
    }

    /// What one run of an empty program takes by the kernel's statistics: what these themselves cost. None where nothing ran.
    pub fn ns_per_run(&self) -> Result<Option<f64>> {
        let infos = self.infos()?;
        let runs: u64 = infos.iter().map(|info| info.runs).sum();
        let time: u64 = infos.iter().map(|info| info.run_time_ns).sum();
        Ok((runs > 0).then(|| time as f64 / runs as f64))
    }

    fn infos(&self) -> Result<Vec<ProgramInfo>> {
        let infos = bpf::infos(&self.programs.iter().map(|program| program.id).collect::<Vec<_>>())?;
        ensure!(infos.len() == self.programs.len(), "an empty program that is attached is gone");
        Ok(infos)
    }
}

/// Each tracepoint once.
pub fn once_each(shape: &[String]) -> Shape {
    let mut shape = shape.to_vec();
    shape.sort_unstable();
    shape.dedup();
    shape
}
