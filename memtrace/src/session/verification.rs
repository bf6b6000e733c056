//! How far the kernel's memory was asked about what is outstanding: see [`super::verify`].

use std::{collections::HashSet, time::Duration};

use foldhash::fast::FixedState;

use crate::{
    kernel::{
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

/// Which objects were asked about.
pub struct Verification {
    pub verifier: Option<Verifier>,
    /// Why the kernel's memory cannot be asked, or that it is not to be.
    pub unavailable: Option<Reason>,
    /// Where the pass is: the ledger's part to come.
    pub part: usize,
    /// Pages of that part which are still to be looked at, with the caches of their objects.
    pub waiting: Vec<(u64, Address)>,
    /// Pages that were looked at in this pass.
    pub pages: HashSet<u64, FixedState>,
    /// Objects that were asked about in this pass, and in the one before.
    pub asked: u64,
    pub asked_before: u64,
    /// A pass has ended since the last report.
    pub is_whole: bool,
    /// What it may take for each report.
    pub time: Duration,
}

impl Verification {
    /// For a session with a report each `interval`.
    pub fn new(interval: Duration, is_avoided: bool) -> Self {
        Self {
            verifier: None,
            unavailable: is_avoided.then(|| ON_REQUEST.to_owned()),
            part: 0,
            waiting: Vec::new(),
            pages: HashSet::default(),
            asked: 0,
            asked_before: 0,
            is_whole: false,
            time: (interval / SHARE).clamp(LEAST, MOST),
        }
    }

    /// How far it is. None where the kernel's memory was not asked.
    pub fn verified(&self, ledger: &Ledger) -> Option<Verified> {
        if self.unavailable.is_some() {
            return None;
        }
        let outstanding = ledger.outstanding() as u64;
        let is_whole = self.is_whole || outstanding == 0;
        let asked = if is_whole { outstanding } else { self.asked.max(self.asked_before).min(outstanding) };
        Some(Verified { objects: asked, outstanding, refuted: ledger.tally().refuted, is_whole })
    }

    /// Always false: nothing goes on.
    pub fn give_up(&mut self, why: &dyn std::error::Error) -> bool {
        self.unavailable = Some(why.to_string());
        false
    }

    pub fn begin_pass(&mut self) {
        self.part = 0;
        self.waiting.clear();
        self.pages.clear();
        self.asked_before = std::mem::take(&mut self.asked);
    }
}
