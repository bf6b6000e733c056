//! Inspects surviving objects before each report: their full names, their directories, what they stand for.
//!
//! A probe may have sent the name of a dentry when it was made. It cannot know the rest: a negative dentry becomes positive later,
//! and a path is too long a walk for a probe.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use memtrace_common::generation;

use super::caches::CacheDirectory;
use crate::{
    kernel::{
        clock,
        discover::Kernel,
        inspect::{Inspectable, Inspection, Inspector},
    },
    stream::{
        event::{Address, Comm, ObjectId},
        ledger::Ledger,
    },
};

/// Objects inspected for a report at most: some milliseconds.
const MAX_INSPECTED: usize = 1_000;
/// An inspection that takes longer is cut off: neither the rings nor the end of the session should wait for it.
const INSPECT_FOR: Duration = Duration::from_millis(50);
/// Objects walked over to find them: a few milliseconds.
const MAX_WALKED: usize = 1_000_000;

/// Inspects other objects each time.
#[derive(Default)]
pub struct SurvivorInspector {
    turn: usize,
}

impl SurvivorInspector {
    /// Inspects [`MAX_INSPECTED`] outstanding objects at most, in an order that has nothing to do with their owners. One command
    /// name gets half of them at most in each cache, so that a flood does not hide the others' objects.
    pub fn inspect(
        &mut self,
        kernel: &Kernel,
        caches: &CacheDirectory,
        ledger: &Ledger,
    ) -> Vec<(ObjectId, Inspection)> {
        let inspectable = inspectable(kernel, caches, ledger);
        if inspectable.is_empty() {
            return Vec::new();
        }
        let deadline = Instant::now() + INSPECT_FOR;
        self.turn = self.turn.wrapping_add(1);
        let mut taken: HashMap<(Address, Comm), usize> = HashMap::new();
        let objects = ledger.sample(self.turn, clock::now(), MAX_WALKED).filter_map(|(origin, object)| {
            let key = origin.key;
            let kind = *inspectable.get(&key.cache)?;
            let taken = taken.entry((key.cache, key.task.comm)).or_default();
            *taken += 1;
            (*taken <= MAX_INSPECTED / 2).then_some((kind, object))
        });
        let mut inspector = Inspector::new(&kernel.memory, &kernel.layout);
        objects
            .take(MAX_INSPECTED)
            .take_while(|_| Instant::now() < deadline)
            .filter_map(|(kind, object)| Some((object, inspector.inspect(kind, object.ptr)?)))
            .collect()
    }
}

/// The caches that have objects to inspect, and what these are.
fn inspectable(kernel: &Kernel, caches: &CacheDirectory, ledger: &Ledger) -> HashMap<Address, Inspectable> {
    let mut inspectable = HashMap::new();
    for origin in ledger.origins().filter(|origin| origin.outstanding() > 0) {
        let cache = origin.key.cache;
        if inspectable.contains_key(&cache) {
            continue;
        }
        let kind = caches.infos().get(&cache).and_then(|info| {
            let mut names = std::iter::once(&info.name).chain(&info.aliases);
            names.find_map(|name| Inspectable::of_cache(name, generation::address(cache), &kernel.layout))
        });
        inspectable.insert(cache, kind);
    }
    inspectable.into_iter().filter_map(|(cache, kind)| Some((cache, kind?))).collect()
}
