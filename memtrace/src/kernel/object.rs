//! The eBPF object that is built into this binary.

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/memtrace.bpf.o"));

#[derive(Debug, thiserror::Error)]
#[error(
    "this binary was built without its eBPF programs: run `cargo xtask build-ebpf`, then build memtrace again"
)]
pub struct NotBuilt;

/// Where the object was never built, it is empty, so that the crate can be checked without it.
pub fn ensure_built() -> Result<(), NotBuilt> {
    if OBJECT.is_empty() { Err(NotBuilt) } else { Ok(()) }
}

pub fn bytes() -> &'static [u8] {
    OBJECT
}

/// The program of this name.
///
/// # Panics
/// When the object has no such program or it is of another type: both are built from one tree.
pub fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> &'a mut P
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).unwrap_or_else(|| panic!("the object has no program `{name}`"));
    program.try_into().unwrap_or_else(|error| panic!("program `{name}`: {error}"))
}
