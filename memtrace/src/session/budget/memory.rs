//! How the memory that memtrace may take is divided: rings in the kernel, the ledger, and the process itself.

/// By default memtrace takes at most this share of the host's memory, or of what its cgroup may take.
const DEFAULT_SHARE: u64 = 32;
const MIN_DEFAULT: u64 = 64 << 20;

/// Where a cgroup's limit leaves less, this part of it: the rest is for what starts memtrace, and for the kernel's own.
const LIMIT_PART: u64 = 2;

/// With less, the ledger holds too few objects to be of use; with this, some 200,000.
pub const MIN: u64 = 32 << 20;

/// The process itself and reports.
const PROCESS: u64 = 16 << 20;

/// The rings take at most this part of what the process leaves, within bounds. They come out as a power of two: mostly less.
const RINGS_PART: u64 = 2;
const SMALLEST_RINGS: u64 = 8 << 20;
/// A CPU that does nothing but allocate and free writes up to 90 MB of events a second: a reader that stalls for a second
/// loses nothing.
const RINGS_PER_CPU: u64 = 128 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Bytes in all.
    pub total: u64,
    /// Bytes for all rings.
    pub rings: u64,
}

impl MemoryBudget {
    /// For a host of so many bytes, of which our cgroup may take `limit`.
    pub fn default_of(host: u64, limit: Option<u64>, cpus: usize) -> Self {
        let limit = limit.unwrap_or(u64::MAX);
        let share = (host.min(limit) / DEFAULT_SHARE).max(MIN_DEFAULT);
        Self::new(share.min((limit / LIMIT_PART).max(MIN)), cpus)
    }

    pub fn new(total: u64, cpus: usize) -> Self {
        let most = (RINGS_PER_CPU * cpus as u64).max(SMALLEST_RINGS);
        Self { total, rings: (total.saturating_sub(PROCESS) / RINGS_PART).clamp(SMALLEST_RINGS, most) }
    }

    /// Bytes for the ledger beside rings that came out as large as this.
    pub fn ledger(self, rings: u64) -> usize {
        self.total.saturating_sub(rings + PROCESS) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_of_the_host_by_default() {
        let of = |host, cpus| {
            let budget = MemoryBudget::default_of(host, None, cpus);
            (budget.total, budget.rings)
        };
        assert_eq!(of(1 << 30, 2), (64 << 20, 24 << 20));
        assert_eq!(of(24 << 30, 2), (768 << 20, 256 << 20));
        assert_eq!(of(24 << 30, 8), (768 << 20, 376 << 20));
        assert_eq!(of(1 << 40, 256), (32 << 30, (16 << 30) - (8 << 20)));
    }

    #[test]
    fn a_cgroup_s_limit_counts_where_it_is_lower() {
        let of = |limit| MemoryBudget::default_of(24 << 30, Some(limit), 2).total;
        // No limit, as version 1 says it.
        assert_eq!(of(9_223_372_036_854_771_712), 768 << 20);
        assert_eq!(of(8 << 30), 256 << 20);
        assert_eq!(of(1 << 30), MIN_DEFAULT);
        assert_eq!(of(80 << 20), 40 << 20);
        assert_eq!(of(16 << 20), MIN);
    }

    #[test]
    fn the_ledger_gets_what_is_left() {
        let budget = MemoryBudget::new(96 << 20, 2);
        assert_eq!(budget.rings, 40 << 20);
        assert_eq!(budget.ledger(budget.rings), 40 << 20);
        assert_eq!(budget.ledger(1 << 30), 0);
    }

    #[test]
    fn the_least_is_of_use() {
        assert_eq!(MemoryBudget::new(MIN, 256).rings, SMALLEST_RINGS);
        assert_eq!(MemoryBudget::new(MIN, 256).ledger(SMALLEST_RINGS), 8 << 20);
    }
}
