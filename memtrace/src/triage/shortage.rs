//! What is short: memory on the host, or within a cgroup's limit. Where nothing is, nobody is accused of being big.

use super::window::Window;
use crate::procfs::cgroup::Limit;

/// With less of all memory available, it is short.
const SCARCE: f64 = 0.10;

/// Tasks that wait for memory for a larger share of the time wait because it is short; but where so much is available, they wait
/// for the kernel to take back page cache, as whoever writes large files makes it do.
const STALLED: f64 = 0.01;
const PLENTY: f64 = 0.25;

/// A cgroup is short of memory that holds so much of its limit; and where tasks wait, one that uses so much.
const HELD: f64 = 0.9;
const USED: f64 = 0.95;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shortage {
    /// The share of all memory that is available, where that is little.
    pub available: Option<f64>,
    /// The share of the time in which tasks waited for memory, where that is much.
    pub stalled: Option<f64>,
    /// The fullest first.
    pub cgroups: Vec<FullCgroup>,
}

/// A cgroup near its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullCgroup {
    pub path: Vec<u8>,
    pub limit: Limit,
}

impl Shortage {
    pub fn of(window: &Window) -> Self {
        let available = window.sum().share(window.after.glance.meminfo.available());
        let stalled = window.stalled().filter(|share| *share >= STALLED);
        let is_stalled = stalled.is_some();
        let mut cgroups: Vec<_> = window
            .after
            .cgroups
            .list
            .iter()
            .filter_map(|(path, cgroup)| {
                let limit = cgroup.limit?;
                let is_full =
                    share(limit.held, limit) >= HELD || is_stalled && share(limit.usage, limit) >= USED;
                is_full.then(|| FullCgroup { path: path.clone(), limit })
            })
            .collect();
        cgroups.sort_by(|a, b| b.share().total_cmp(&a.share()).then_with(|| a.path.cmp(&b.path)));
        let stalled = stalled.filter(|_| available < PLENTY);
        Self { available: Some(available).filter(|share| *share < SCARCE), stalled, cgroups }
    }

    /// Where tasks wait only because their cgroup is full, the host has enough.
    pub fn is_of_host(&self) -> bool {
        self.available.is_some() || self.stalled.is_some() && self.cgroups.is_empty()
    }

    pub fn is_any(&self) -> bool {
        self.is_of_host() || !self.cgroups.is_empty()
    }
}

impl FullCgroup {
    /// How much of its limit it uses.
    pub fn share(&self) -> f64 {
        share(self.limit.usage, self.limit)
    }
}

fn share(bytes: u64, limit: Limit) -> f64 {
    bytes as f64 / limit.bytes.max(1) as f64
}
