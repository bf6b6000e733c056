//! Looks at objects that survive, at each report: what they are called in full, where they are, what they stand for.
//!
//! Of dentries the kernel side may have told the names as they were made. It cannot know the rest: whether a name comes to be
//! something changes later, and a path is too long a walk for a probe.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use memtrace_common::generation;

use super::caches::Directory;
use crate::{
    kernel::{
        clock,
        discover::Kernel,
        inspect::{Inspectable, Inspection, Inspector},
    },
    stream::{
        event::{Address, Comm},
        ledger::{Ledger, Outstanding},
    },
};

/// Objects looked at for a report at most: some milliseconds.
const INSPECTED: usize = 1_000;
/// Where looking takes longer, the ring should not wait, nor whoever ends the session.
const INSPECT_FOR: Duration = Duration::from_millis(50);
/// Objects that are walked over for them: a few milliseconds.
const MAX_WALKED: usize = 1_000_000;

/// Looks at other objects each time.
#[derive(Default)]
pub struct SurvivorInspector {
    turn: usize,
}

impl SurvivorInspector {
    /// Looks at [`LOOKS`] outstanding objects at most, in an order that has nothing to do with whose they are. One command
    /// name gets half of a cache's at most, so that a flood does not hide everybody else's.
    pub fn inspect(
        &mut self,
        kernel: &Kernel,
        caches: &Directory,
        ledger: &Ledger,
    ) -> Vec<(Outstanding, Inspection)> {
        let subjects = subjects(kernel, caches, ledger);
        if subjects.is_empty() {
            return Vec::new();
        }
        let deadline = Instant::now() + INSPECT_FOR;
        self.turn = self.turn.wrapping_add(1);
        let mut looks: HashMap<(Address, Comm), usize> = HashMap::new();
        let objects = ledger.sample(self.turn, clock::now(), MAX_WALKED).filter_map(|(origin, object)| {
            let key = origin.key;
            let subject = *subjects.get(&key.cache)?;
            let looks = looks.entry((key.cache, key.task.comm)).or_default();
            *looks += 1;
            (*looks <= INSPECTED / 2).then_some((subject, object))
        });
        let mut looker = Inspector::new(&kernel.memory, &kernel.layout);
        objects
            .take(INSPECTED)
            .take_while(|_| Instant::now() < deadline)
            .filter_map(|(subject, object)| Some((object, looker.inspect(subject, object.ptr)?)))
            .collect()
    }
}

/// The caches that have objects to look at, and what these are.
fn subjects(kernel: &Kernel, caches: &Directory, ledger: &Ledger) -> HashMap<Address, Inspectable> {
    let mut subjects = HashMap::new();
    for origin in ledger.origins().filter(|origin| origin.outstanding() > 0) {
        let cache = origin.key.cache;
        if subjects.contains_key(&cache) {
            continue;
        }
        let subject = caches.infos().get(&cache).and_then(|info| {
            let mut names = std::iter::once(&info.name).chain(&info.aliases);
            names.find_map(|name| Inspectable::of_cache(name, generation::address(cache), &kernel.layout))
        });
        subjects.insert(cache, subject);
    }
    subjects.into_iter().filter_map(|(cache, subject)| Some((cache, subject?))).collect()
}
