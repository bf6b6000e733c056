//! What the kernel side counts, per CPU: one [`Counters`] for each CPU, summed in userspace.

/// Events by kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByKind {
    pub allocs: u64,
    pub frees: u64,
    pub names: u64,
    /// Forks, execs and exits.
    pub processes: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that passed the filters; `emitted = delivered to a ring + lost`.
    pub emitted: ByKind,
    /// Events that found their ring full.
    pub lost: ByKind,
    /// Objects whose cache could not be found from their page: neither emitted nor lost.
    pub unresolved: u64,
    /// Processes of a tree that there was no room for in the map `TREE`.
    pub unfollowed: u64,
    /// Not a count: the object of the last event that each probe emitted, by `LAST_SEEN_*`; 0 once its backup has seen it.
    pub last_seen: [u64; 4],
}

/// Key of the map `LOSSES`, which counts lost events.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossKey {
    /// Address of the slab cache; 0 where it is not known.
    pub cache: u64,
    /// `KIND_ALLOC` or `KIND_FREE`.
    pub kind: u64,
}

/// Indices in [`Counters::last_seen`].
pub const LAST_SEEN_CACHE_ALLOC: usize = 0;
pub const LAST_SEEN_CACHE_FREE: usize = 1;
pub const LAST_SEEN_KMALLOC: usize = 2;
pub const LAST_SEEN_KFREE: usize = 3;

impl ByKind {
    /// Events about objects.
    pub const fn total(&self) -> u64 {
        self.allocs + self.frees + self.names
    }
}

const _: () = assert!(size_of::<Counters>() == 14 * 8);
