//! Allocations that nobody saw: objects of a panel that are there at the end, were not there at the beginning, and have had no event.
//!
//! Each is looked at twice, before the end and after frees were followed for a while. What is suspected first may have its event in a
//! ring, and what was freed may wait for readers (RCU), its memory still in place. An event of a suspect in between, whatever it is,
//! clears it: somebody sees what happens there.

use std::{collections::HashSet, mem};

use super::{error::SessionError, state::Session};
use crate::{
    kernel::{events::Events, memory::MemoryError, panel::Panel},
    stream::event::Address,
    view::census::{PageCount, UnseenAllocations},
};

impl Session {
    /// Before allocations are not traced any more.
    pub fn suspect_unseen(&mut self, events: &mut Events) -> Result<(), SessionError> {
        // Nothing is known of objects that are not followed.
        if self.state.budget.sampling().is_on() {
            self.unseen.panel = None;
        }
        let passes = self.unseen.panel.as_ref().map_or(0, Panel::passes);
        for pass in 0..passes {
            if self.suspect_in(pass).is_err() {
                self.unseen.panel = None;
                return Ok(());
            }
            // What was in the rings clears some.
            self.catch_up(events)?;
        }
        Ok(())
    }

    fn suspect_in(&mut self, pass: u64) -> Result<(), MemoryError> {
        let Self { unseen, verification, state, ledger, .. } = self;
        let (Some(panel), Ok(verifier)) = (&unseen.panel, &mut verification.verifier) else { return Ok(()) };
        for mut page in panel.look(pass, &state.kernel, verifier)? {
            page.allocated.retain(|&ptr| ledger.object(ptr).is_none() && !ledger.watched.is_older(ptr));
            page.allocated.iter().for_each(|&ptr| ledger.watched.suspect(ptr));
            unseen.pages.push(page);
        }
        Ok(())
    }

    /// After frees were followed for a while. What is suspected still, and still there, was allocated unseen.
    pub fn count_unseen(&mut self) {
        self.unseen.found = self.unseen_allocations().unwrap_or_default();
        self.unseen.panel = None;
        self.ledger.watched.clear();
    }

    fn unseen_allocations(&mut self) -> Result<Option<UnseenAllocations>, MemoryError> {
        let Self { unseen, verification, state, ledger, .. } = self;
        let (Some(panel), Ok(verifier)) = (&unseen.panel, &mut verification.verifier) else {
            return Ok(None);
        };
        let is_suspect = |ptr: &Address| ledger.watched.is_suspect(*ptr);
        let mut counts = Vec::new();
        for page in mem::take(&mut unseen.pages) {
            let mut unseen = 0;
            if page.allocated.iter().any(is_suspect) {
                let now = panel.look_at(&[page.page], &state.kernel, verifier)?;
                let now: HashSet<Address> = now.into_iter().flat_map(|page| page.allocated).collect();
                let is_there = |ptr: &&Address| is_suspect(ptr) && now.contains(*ptr);
                unseen = page.allocated.iter().filter(is_there).count() as u32;
            }
            counts.push(PageCount { places: page.places, unseen });
        }
        Ok(UnseenAllocations::of(&counts, panel.chance()))
    }
}
