//! The floor: empty programs on the tracepoints that memtrace attaches to. No tracer of these events can cost less.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context, Result};

use super::bpf;

/// The tracepoints that a tracer attaches to, one entry for each program on them.
pub type Shape = Vec<String>;

/// Empty programs that run until this is dropped.
pub struct Floor {
    programs: Vec<(String, OwnedFd)>,
    _links: Vec<OwnedFd>,
}

impl Floor {
    /// A program of its own for each entry, as in memtrace: the kernel guards each against itself.
    pub fn attach(shape: &[String]) -> Result<Self> {
        let mut floor = Self { programs: Vec::new(), _links: Vec::new() };
        for tracepoint in shape {
            let program = bpf::load_empty().context("the kernel refuses an empty program")?;
            let link = bpf::attach(program.as_fd(), &CString::new(tracepoint.as_str())?)
                .with_context(|| format!("cannot attach to the tracepoint {tracepoint}"))?;
            floor.programs.push((tracepoint.clone(), program));
            floor._links.push(link);
        }
        Ok(floor)
    }

    /// How often each tracepoint was hit while run-time statistics were on.
    pub fn hits(&self) -> Result<BTreeMap<String, u64>> {
        self.programs
            .iter()
            .map(|(tracepoint, program)| Ok((tracepoint.clone(), bpf::runs(program)?)))
            .collect()
    }

    /// What one run of an empty program takes by the kernel's statistics: what these themselves cost.
    pub fn ns_per_run(&self) -> Result<Option<f64>> {
        let (mut runs, mut time) = (0, 0);
        for (_, program) in &self.programs {
            let info = bpf::info(program.as_fd())?;
            runs += info.runs;
            time += info.run_time_ns;
        }
        Ok((runs > 0).then(|| time as f64 / runs as f64))
    }
}

/// Each tracepoint once.
pub fn once_each(shape: &[String]) -> Shape {
    let mut shape = shape.to_vec();
    shape.sort_unstable();
    shape.dedup();
    shape
}
