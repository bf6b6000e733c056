//! How far the kernel's memory was asked about what is outstanding: see [`super::verify`].

use std::{collections::HashSet, time::Duration};

use foldhash::fast::FixedState;

use crate::{
    kernel::{
        discover::Kernel,
        reason::{ON_REQUEST, Reason},
        verify::Verifier,
    },
    stream::{event::Address, ledger::Ledger},
    view::Verified,
};

/// Asking takes this part of a report's interval, within these bounds.
const SHARE: u32 = 100;
const LEAST: Duration = Duration::from_millis(2);
const MOST: Duration = Duration::from_millis(50);

/// What a page of a set takes, at most: the set doubles, and keeps an eighth free.
const BYTES_PER_PAGE: usize = 21;

/// Which objects were asked about.
pub struct Verification {
    /// Or why the kernel's memory cannot be asked, or that it is not to be.
    pub verifier: Result<Verifier, Reason>,
    /// Where the pass is: the ledger's part to come.
    pub part: usize,
    /// Pages of that part which are still to be looked at, with the caches of their objects.
    pub waiting: Vec<(u64, Address)>,
    /// Those that were looked at in this pass.
    pub pages: Pages,
    /// Objects that were asked about in this pass, and in the one before.
    pub asked: u64,
    pub asked_before: u64,
    /// A pass has ended since the last report.
    pub is_whole: bool,
    /// What it may take for each report.
    pub time: Duration,
}

impl Verification {
    /// For a session with a report each `interval`, that may take so many bytes for pages.
    pub fn open(kernel: &Kernel, interval: Duration, bytes: usize, is_avoided: bool) -> Self {
        let verifier = if is_avoided {
            Err(ON_REQUEST.to_owned())
        } else {
            Verifier::open(kernel).map_err(|why| why.to_string())
        };
        Self {
            verifier,
            part: 0,
            waiting: Vec::new(),
            pages: Pages::within(bytes),
            asked: 0,
            asked_before: 0,
            is_whole: false,
            time: (interval / SHARE).clamp(LEAST, MOST),
        }
    }

    /// How far it is. None where the kernel's memory was not asked.
    pub fn verified(&self, ledger: &Ledger) -> Option<Verified> {
        self.verifier.as_ref().ok()?;
        let outstanding = ledger.outstanding() as u64;
        let is_whole = self.is_whole || outstanding == 0;
        let asked = if is_whole { outstanding } else { self.asked.max(self.asked_before).min(outstanding) };
        Some(Verified { objects: asked, outstanding, refuted: ledger.tally().refuted, is_whole })
    }

    /// Always false: nothing goes on.
    pub fn give_up(&mut self, why: &dyn std::error::Error) -> bool {
        self.verifier = Err(why.to_string());
        false
    }

    pub fn begin_pass(&mut self) {
        self.part = 0;
        self.waiting.clear();
        self.pages.clear();
        self.asked_before = std::mem::take(&mut self.asked);
    }
}

/// As many pages as there is memory for.
pub struct Pages {
    pages: HashSet<u64, FixedState>,
    most: usize,
}

impl Pages {
    fn within(bytes: usize) -> Self {
        Self { pages: HashSet::default(), most: bytes / BYTES_PER_PAGE }
    }

    pub fn contains(&self, page: u64) -> bool {
        self.pages.contains(&page)
    }

    /// Whether it is a new one. Where there is no room for it, all others are forgotten: some are looked at once more.
    pub fn insert(&mut self, page: u64) -> bool {
        if self.contains(page) {
            return false;
        }
        if self.pages.len() >= self.most {
            self.clear();
        }
        self.pages.insert(page)
    }

    fn clear(&mut self) {
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_take_no_more_than_they_may() {
        let mut pages = Pages::within(64 << 10);
        for page in 0..100_000 {
            assert!(pages.insert(page) && !pages.insert(page) && pages.contains(page));
            // A byte for each place besides, of which an eighth is free.
            assert!(pages.pages.capacity() * 8 / 7 * 9 <= 64 << 10, "{page}");
        }
    }
}
