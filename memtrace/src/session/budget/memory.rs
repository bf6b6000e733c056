//! How the memory that memtrace may take is divided: rings in the kernel, the ledger, and the process itself.

/// By default memtrace takes at most this share of the host's memory, or of what its cgroup may take, and of what is available.
const DEFAULT_SHARE: u64 = 32;
const AVAILABLE_SHARE: u64 = 8;
const MIN_DEFAULT: u64 = 64 << 20;

/// Where a cgroup's limit leaves less, this part of it: the rest is for what starts memtrace, and for the kernel's own.
const LIMIT_PART: u64 = 2;

/// With less, the ledger holds too few objects to be of use; with this, some 200,000.
pub const MIN: u64 = 32 << 20;

/// The process itself and reports.
const PROCESS: u64 = 16 << 20;

/// Of what is left, this part is for the pages that were looked at in verifying the rest. It has to do for the objects of a full
/// ledger: mostly many are in a page.
const PAGES_PART: u64 = 16;

/// The rings take at most this part of what the process leaves, within bounds. They come out as a power of two: mostly less.
const RINGS_PART: u64 = 2;
const SMALLEST_RINGS: u64 = 8 << 20;
/// A CPU that does nothing but allocate and free writes up to 90 MB of events a second: a reader that stalls for a second
/// loses nothing.
const RINGS_PER_CPU: u64 = 128 << 20;
/// Where each program has rings of its own on each CPU, by default: the same events take half as many bytes. With all other maps, two CPUs
/// take 64 MiB.
const CPU_RINGS_PER_CPU: u64 = 30 << 20;
/// Of one cache, by default: a CPU also does other things. Three caches that go together, as those of pipes, write as much as all.
const RINGS_OF_A_CACHE: u64 = 32 << 20;

/// What there is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub host: u64,
    /// None where the kernel does not say.
    pub available: Option<u64>,
    /// What our cgroups allow us; None where they allow any amount.
    pub limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Bytes in all.
    pub total: u64,
    /// Bytes for all rings.
    pub rings: u64,
    /// The same where each program has rings of its own on each CPU.
    pub cpu_rings: u64,
}

impl MemoryBudget {
    /// Where nobody says how much; for so many caches, or for all.
    pub fn default_of(memory: Memory, cpus: usize, caches: Option<usize>) -> Self {
        let Memory { host, available, limit } = memory;
        let (available, limit) = (available.unwrap_or(host), limit.unwrap_or(u64::MAX));
        let share = (host.min(limit) / DEFAULT_SHARE).min(available / AVAILABLE_SHARE).max(MIN_DEFAULT);
        let budget = Self::new(share.min((limit / LIMIT_PART).max(MIN)), cpus);
        let of_caches = if caches == Some(1) { RINGS_OF_A_CACHE } else { RINGS_PER_CPU };
        let most = |each: u64| budget.rings.min(each * cpus as u64);
        Self { rings: most(of_caches), cpu_rings: most(CPU_RINGS_PER_CPU), ..budget }
    }

    pub fn new(total: u64, cpus: usize) -> Self {
        let most = (RINGS_PER_CPU * cpus as u64).max(SMALLEST_RINGS);
        let rings = (total.saturating_sub(PROCESS) / RINGS_PART).clamp(SMALLEST_RINGS, most);
        Self { total, rings, cpu_rings: rings }
    }

    /// Bytes for the ledger beside rings that came out as large as this.
    pub fn ledger(self, rings: u64) -> usize {
        self.rest(rings) as usize - self.pages(rings)
    }

    /// Bytes for what verification has to remember.
    pub fn pages(self, rings: u64) -> usize {
        (self.rest(rings) / PAGES_PART) as usize
    }

    fn rest(self, rings: u64) -> u64 {
        self.total.saturating_sub(rings + PROCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_of_the_host_by_default() {
        let of = |host, cpus| {
            let memory = Memory { host, available: Some(host), limit: None };
            let budget = MemoryBudget::default_of(memory, cpus, None);
            (budget.total, budget.rings)
        };
        assert_eq!(of(1 << 30, 2), (64 << 20, 24 << 20));
        assert_eq!(of(24 << 30, 2), (768 << 20, 256 << 20));
        assert_eq!(of(24 << 30, 8), (768 << 20, 376 << 20));
        assert_eq!(of(1 << 40, 256), (32 << 30, (16 << 30) - (8 << 20)));
    }

    #[test]
    fn a_cgroup_s_limit_counts_where_it_is_lower() {
        let of = |limit| {
            let memory = Memory { host: 24 << 30, available: None, limit: Some(limit) };
            MemoryBudget::default_of(memory, 2, None).total
        };
        // No limit, as version 1 says it.
        assert_eq!(of(9_223_372_036_854_771_712), 768 << 20);
        assert_eq!(of(8 << 30), 256 << 20);
        assert_eq!(of(1 << 30), MIN_DEFAULT);
        assert_eq!(of(80 << 20), 40 << 20);
        assert_eq!(of(16 << 20), MIN);
    }

    #[test]
    fn little_is_taken_of_a_host_that_has_little_left_and_for_few_caches() {
        let of = |available, caches| {
            let memory = Memory { host: 24 << 30, available: Some(available), limit: None };
            let budget = MemoryBudget::default_of(memory, 2, caches);
            (budget.total, budget.rings)
        };
        assert_eq!(of(2 << 30, None), (256 << 20, 120 << 20));
        assert_eq!(of(200 << 20, None), (64 << 20, 24 << 20));
        assert_eq!(of(20 << 30, Some(1)), (768 << 20, 64 << 20));
        assert_eq!(of(20 << 30, Some(4)), of(20 << 30, None));
        assert_eq!(of(200 << 20, Some(1)), (64 << 20, 24 << 20));
    }

    #[test]
    fn the_ledger_gets_what_is_left() {
        let budget = MemoryBudget::new(96 << 20, 2);
        assert_eq!(budget.rings, 40 << 20);
        let (ledger, pages) = (budget.ledger(budget.rings), budget.pages(budget.rings));
        assert_eq!((ledger + pages, pages), (40 << 20, 5 << 19));
        assert_eq!((budget.ledger(1 << 30), budget.pages(1 << 30)), (0, 0));
    }

    #[test]
    fn the_least_is_of_use() {
        assert_eq!(MemoryBudget::new(MIN, 256).rings, SMALLEST_RINGS);
        assert_eq!(MemoryBudget::new(MIN, 256).ledger(SMALLEST_RINGS), 15 << 19);
    }
}
