//! The floor: empty programs on the tracepoints that memtrace attaches to. No tracer of these events can cost less.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context, Result};

use super::bpf::{self, ProgramInfo};

/// The tracepoints that a tracer attaches to, one entry for each program on them.
pub type Shape = Vec<String>;

/// Empty programs that run until this is dropped.
pub struct Floor {
    programs: Vec<EmptyProgram>,
}

struct EmptyProgram {
    tracepoint: String,
    program: OwnedFd,
    /// Detaches when it is dropped.
    _link: OwnedFd,
}

impl Floor {
    /// A program of its own for each entry, as in memtrace: the kernel guards each against itself.
    pub fn attach(shape: &[String]) -> Result<Self> {
        let programs = shape.iter().map(|tracepoint| EmptyProgram::attach(tracepoint));
        Ok(Self { programs: programs.collect::<Result<_>>()? })
    }

    /// How often each tracepoint was hit while run-time statistics were on.
    pub fn hits(&self) -> Result<BTreeMap<String, u64>> {
        let hits = |empty: &EmptyProgram| Ok((empty.tracepoint.clone(), empty.info()?.runs));
        self.programs.iter().map(hits).collect()
    }

    /// What one run of an empty program takes by the kernel's statistics: what these themselves cost. None where nothing ran.
    pub fn ns_per_run(&self) -> Result<Option<f64>> {
        let infos: Vec<ProgramInfo> = self.programs.iter().map(EmptyProgram::info).collect::<Result<_>>()?;
        let runs: u64 = infos.iter().map(|info| info.runs).sum();
        let time: u64 = infos.iter().map(|info| info.run_time_ns).sum();
        Ok((runs > 0).then(|| time as f64 / runs as f64))
    }
}

impl EmptyProgram {
    fn attach(tracepoint: &str) -> Result<Self> {
        let program = bpf::load_empty().context("the kernel refuses an empty program")?;
        let link = bpf::attach(program.as_fd(), &CString::new(tracepoint)?)
            .with_context(|| format!("cannot attach to the tracepoint {tracepoint}"))?;
        Ok(Self { tracepoint: tracepoint.to_owned(), program, _link: link })
    }

    fn info(&self) -> Result<ProgramInfo> {
        bpf::info(self.program.as_fd()).context("the kernel says nothing of its programs")
    }
}

/// Each tracepoint once.
pub fn once_each(shape: &[String]) -> Shape {
    let mut shape = shape.to_vec();
    shape.sort_unstable();
    shape.dedup();
    shape
}
