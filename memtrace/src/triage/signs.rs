//! Signs of memory pressure: how the kernel and the tasks coped in the window.

use super::window::Window;
use crate::text::human;

/// Blocks of 64 KiB and more, with pages of 4 KiB: what the network and others ask for in one piece is 32 KiB.
const LARGE_BLOCK: usize = 4;

/// Signs are shown from these on.
const STALLED: f64 = 0.005;
/// Pages of all memory for one refault.
const PAGES_PER_REFAULT: u64 = 1000;
const SWAPPED_PAGES: u64 = 256;
const LARGE_BLOCKS: f64 = 0.05;

/// Signs in the window that memory is short.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signs {
    /// Share of the time that some task, or all, waited for memory; None where the kernel does not say.
    pub stalled: Option<f64>,
    pub all_stalled: Option<f64>,
    /// Times that a task had to reclaim memory itself (direct reclaim).
    pub direct_reclaims: u64,
    /// Pages reclaimed.
    pub reclaimed_pages: u64,
    /// Pages evicted and read again.
    pub refaults: u64,
    pub swapped_in_pages: u64,
    pub swapped_out_pages: u64,
    pub oom_kills: u64,
    /// Since the boot.
    pub oom_kills_ever: u64,
    /// Share of free memory in blocks of 64 KiB or more.
    pub large_blocks: Option<f64>,
    /// Times that pages were moved to make larger blocks.
    pub compactions: u64,
}

impl Signs {
    pub fn of(window: &Window) -> Self {
        let events = |prefix: &str| window.events(|sample| sample.vmstat.sum(prefix));
        let event = |key: &str| window.events(|sample| sample.vmstat.get(key));
        let pressure = window.before.pressure.zip(window.after.pressure);
        Self {
            stalled: window.stalled(),
            all_stalled: pressure
                .map(|(was, is)| window.share_of_time(is.full.total.saturating_sub(was.full.total))),
            direct_reclaims: events("allocstall"),
            // Since v5.8 these two count all reclaimed pages; before, they do not exist.
            reclaimed_pages: event("pgsteal_anon").saturating_add(event("pgsteal_file")),
            refaults: events("workingset_refault"),
            swapped_in_pages: event("pswpin"),
            swapped_out_pages: event("pswpout"),
            oom_kills: event("oom_kill"),
            oom_kills_ever: window.after.vmstat.get("oom_kill"),
            large_blocks: window.after.free_blocks.as_ref().and_then(|blocks| blocks.share_of(LARGE_BLOCK)),
            compactions: event("compact_stall"),
        }
    }

    /// Signs of memory pressure; empty where there are none.
    pub fn sentences(&self, pages: u64, is_short: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(some) = self.stalled.filter(|share| *share >= STALLED) {
            let all = self.all_stalled.unwrap_or(0.0);
            lines.push(format!(
                "tasks stalled on memory {} of the time, all of them at once {} (pressure)",
                human::cpu(some),
                human::cpu(all)
            ));
        }
        if self.direct_reclaims > 0 {
            lines.push(format!(
                "direct reclaim ran {} times; {} pages were reclaimed in total (vmstat)",
                human::grouped(self.direct_reclaims),
                human::grouped(self.reclaimed_pages)
            ));
        }
        // Where memory is not short, somebody takes back cold pages in time (DAMON, memory.high).
        if is_short && self.refaults > pages / PAGES_PER_REFAULT {
            lines.push(format!(
                "{} pages were evicted and read again (workingset_refault)",
                human::grouped(self.refaults)
            ));
        }
        if self.swapped_in_pages + self.swapped_out_pages >= SWAPPED_PAGES {
            let [out, back] = [self.swapped_out_pages, self.swapped_in_pages].map(human::grouped);
            lines.push(format!("{out} pages were swapped out, {back} swapped in"));
        }
        match (self.oom_kills, self.oom_kills_ever) {
            (0, 0) => {}
            (0, ever) => lines.push(format!("the OOM killer killed {} since boot", human::processes(ever))),
            (now, _) => {
                lines.push(format!("the OOM killer killed {} during this run", human::processes(now)));
            }
        }
        if let Some(share) = self.large_blocks.filter(|share| *share < LARGE_BLOCKS || self.compactions > 0) {
            lines.push(format!(
                "{} of free memory is in blocks of 64 KiB or more; tasks waited for larger blocks {} times (buddyinfo, compact_stall)",
                human::percent(share),
                human::grouped(self.compactions)
            ));
        }
        lines
    }
}
