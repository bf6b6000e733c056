//! The host's own figures, as far as the conditions need them.

use std::time::Duration;

use crate::{
    condition::{Holding, Reading, Source, Watch},
    procfs::{Files, slab::SlabinfoLine},
};

/// Reading /proc/slabinfo takes locks that allocations take. In between, the last one counts.
const SLABINFO_EVERY: Duration = Duration::from_secs(5);

pub struct Figures {
    files: Files,
    needs_pressure: bool,
    needs_events: bool,
    /// None where no condition needs it.
    slabinfo: Option<Slabinfo>,
}

#[derive(Default)]
struct Slabinfo {
    lines: Vec<SlabinfoLine>,
    read: Option<Duration>,
}

impl Figures {
    pub fn new(files: Files, watches: &[Watch]) -> Self {
        let needs = |source| watches.iter().any(|watch| watch.source() == source);
        Self {
            files,
            needs_pressure: needs(Source::Pressure),
            needs_events: needs(Source::Events),
            slabinfo: needs(Source::Slabinfo).then(Slabinfo::default),
        }
    }

    /// What holds of each. Of what cannot be read now, nothing is known. `has_finding` is of a session; None where there is none.
    pub fn read(&mut self, now: Duration, has_finding: Option<bool>, watches: &mut [Watch]) -> Vec<Holding> {
        let Self { files, needs_pressure, needs_events, slabinfo } = self;
        let meminfo = files.meminfo().ok();
        let events = needs_events.then(|| files.memory_events());
        if let Some(slabinfo) = slabinfo {
            slabinfo.refresh(now, files);
        }
        let reading = Reading {
            at: now,
            meminfo: meminfo.as_ref(),
            slabinfo: slabinfo
                .as_ref()
                .filter(|slabinfo| slabinfo.read.is_some())
                .map(|slabinfo| &*slabinfo.lines),
            pressure: needs_pressure.then(|| files.pressure()).flatten(),
            events: events.as_ref(),
            has_finding,
        };
        watches.iter_mut().map(|watch| watch.take(&reading)).collect()
    }
}

impl Slabinfo {
    fn refresh(&mut self, now: Duration, files: &Files) {
        if self.read.is_some_and(|read| now.saturating_sub(read) < SLABINFO_EVERY) {
            return;
        }
        let lines = files.slabinfo().ok();
        self.read = lines.is_some().then_some(now);
        self.lines = lines.unwrap_or_default();
    }
}
