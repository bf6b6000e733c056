//! Objects by the calls that led to them: what flame graphs and pprof are made of.

/// All that tells one allocation's stack from another's, and how much came of it. Where sampling or `--stacks` leaves objects
/// out, counts are scaled to all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// One allocation in so many tells its stack; None where none does: then the place in the kernel stands for it.
    pub stacks_period: Option<u32>,
    pub samples: Vec<Sample>,
}

/// Objects that the same calls led to, of one command name, cgroup and cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Functions, the innermost first: of the kernel, then with their file in brackets of the process. Raw text: escape it.
    pub frames: Vec<String>,
    /// Kernel threads come in brackets already.
    pub comm: Vec<u8>,
    /// None where it is not known.
    pub cgroup: Option<Vec<u8>>,
    pub cache: String,
    /// Since the start.
    pub allocs: u64,
    pub alloc_bytes: u64,
    /// Outstanding.
    pub objects: u64,
    pub bytes: u64,
}
