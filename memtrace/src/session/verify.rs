//! Asks the kernel's memory whether what the ledger holds is really allocated, and removes what is not: see [`crate::kernel::verify`].
//!
//! An object that was found free, and whose entry is the same after what was in the rings has been applied, was freed without an event
//! that arrived. If its free was seen, it is in the rings by now; if its address was handed out again, the entry has a later time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use foldhash::fast::FixedState;
use memtrace_common::{census::SCAN_PAGES, generation};

use super::{error::SessionError, state::Session, verification::Verification};
use crate::{
    kernel::{clock, events::Events, memory::MemoryError, verify::Found},
    stream::{
        entry::Entry,
        event::{Address, ObjectId, TimeNs},
        ledger::PARTS,
    },
};

/// Between two drains.
const STEP: Duration = Duration::from_millis(5);

/// Younger objects are left for the next time: an entry must tell by its time that it is not another object's.
const LEAST_AGE: Duration = Duration::from_millis(10);

/// What one step found.
#[derive(Default)]
struct Step {
    suspects: Vec<ObjectId>,
    asked: u64,
}

impl Session {
    /// Before a report: asks about some, the next ones each time.
    pub fn verify(&mut self, events: &mut Events) -> Result<(), SessionError> {
        self.verification.is_whole = false;
        self.verify_for(self.verification.time, LEAST_AGE, events).map(drop)
    }

    /// At the end, when nothing is allocated any more, all are asked about, from the first one on.
    pub fn verify_all(&mut self) {
        self.verification.is_whole = false;
        self.verification.begin_pass();
    }

    /// A step of that. False when there is no more to do.
    pub fn verify_more(&mut self, events: &mut Events) -> Result<bool, SessionError> {
        self.verify_for(STEP, Duration::ZERO, events)
    }

    /// Returns whether the pass goes on.
    fn verify_for(
        &mut self,
        time: Duration,
        least_age: Duration,
        events: &mut Events,
    ) -> Result<bool, SessionError> {
        if self.verification.verifier.is_err() || self.ledger.outstanding() == 0 {
            return Ok(false);
        }
        let deadline = Instant::now() + time;
        while !self.verification.is_whole && Instant::now() < deadline {
            let before = clock::now().saturating_sub(least_age.as_nanos() as u64);
            let step = match self.step(before, deadline) {
                Ok(step) => step,
                Err(why) => return Ok(self.verification.give_up(&why)),
            };
            self.verification.asked += step.asked;
            self.refute(&step.suspects, events)?;
            if self.verification.part == PARTS {
                self.verification.is_whole = true;
                self.verification.begin_pass();
            }
        }
        Ok(!self.verification.is_whole)
    }

    /// Removes the suspects whose frees were not in the rings.
    fn refute(&mut self, suspects: &[ObjectId], events: &mut Events) -> Result<(), SessionError> {
        if suspects.is_empty() {
            return Ok(());
        }
        self.catch_up(events)?;
        for &object in suspects {
            if self.ledger.refute(object) {
                self.push_to_sink(&Entry::Refuted(object));
            }
        }
        Ok(())
    }

    /// Asks about the objects of some parts of the ledger that were allocated before this time.
    fn step(&mut self, before: TimeNs, deadline: Instant) -> Result<Step, MemoryError> {
        let end = deadline.min(Instant::now() + STEP);
        let mut step = Step::default();
        if let Ok(verifier) = &mut self.verification.verifier {
            // After `before`.
            verifier.begin();
        }
        while self.verification.part < PARTS && Instant::now() < end {
            if self.verification.waiting.is_empty() {
                self.verification.waiting = self.pages_of_part(before);
            }
            let waiting = &mut self.verification.waiting;
            let pages = waiting.split_off(waiting.len().saturating_sub(SCAN_PAGES));
            self.ask(&pages, before, &mut step)?;
            if self.verification.waiting.is_empty() {
                self.verification.part += 1;
            }
        }
        Ok(step)
    }

    /// The pages of the next part's objects, with their caches.
    fn pages_of_part(&mut self, before: TimeNs) -> Vec<(u64, Address)> {
        let Self { verification, ledger, state, .. } = self;
        let Ok(verifier) = &verification.verifier else { return Vec::new() };
        let mut wanted: HashMap<u64, Address, FixedState> = HashMap::default();
        for held in ledger.part(verification.part).filter(|held| held.object.time < before) {
            let (cache, address) = (held.origin.cache, generation::address(held.origin.cache));
            // Of a cache that is gone, another may be at its address.
            if state.caches.number(address) != cache {
                continue;
            }
            let page = verifier.page_of(held.object.ptr);
            if !verification.pages.contains(page) {
                wanted.insert(page, address);
            }
        }
        wanted.into_iter().collect()
    }

    fn ask(&mut self, pages: &[(u64, Address)], before: TimeNs, step: &mut Step) -> Result<(), MemoryError> {
        let Self { verification, ledger, state, .. } = self;
        let Verification { verifier: Ok(verifier), pages: done, .. } = verification else { return Ok(()) };
        for (&(page, cache), found) in pages.iter().zip(verifier.look_at(&state.kernel, pages)?) {
            match found {
                Found::Unknown => {}
                Found::Slab(view) => {
                    if !done.insert(page) {
                        continue;
                    }
                    for (object, is_free) in view.objects() {
                        done.insert(verifier.page_of(object));
                        let Some(held) = ledger.object(object) else { continue };
                        if held.object.time >= before || generation::address(held.origin.cache) != cache {
                            continue;
                        }
                        step.asked += 1;
                        if is_free {
                            step.suspects.push(held.object);
                        }
                    }
                }
                Found::Other => {
                    let of_page = |object: &ObjectId| verifier.page_of(object.ptr) == page;
                    let of_part = ledger.part(verification.part).map(|held| (held.object, held.origin.cache));
                    let gone = of_part.filter(|(object, of)| {
                        object.time < before && generation::address(*of) == cache && of_page(object)
                    });
                    let suspects = step.suspects.len();
                    step.suspects.extend(gone.map(|(object, _)| object));
                    step.asked += (step.suspects.len() - suspects) as u64;
                }
            }
        }
        Ok(())
    }
}
