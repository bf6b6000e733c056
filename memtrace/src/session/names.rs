//! Names of dentries where they cannot be had as dentries are made: read from those that survive, at each report.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    event::Address,
    kernel::{
        clock,
        dentries::{DentryName, DentryNames},
        discover::Kernel,
    },
    ledger::{Ledger, OriginKey, Outstanding},
};

/// Objects looked at for a report at most: some milliseconds.
const LOOKS: usize = 1_000;
/// Where looking takes longer, the ring should not wait, nor whoever ends the session.
const LOOKED_FOR: Duration = Duration::from_millis(50);
/// Objects that are walked over for them, with and without names: a few milliseconds.
const MOST_WALKED: usize = 1_000_000;

/// Where names come from in this session.
pub enum Names {
    /// Nothing that is traced has any.
    None,
    /// From the kernel side, with each new dentry.
    Streamed,
    /// From the surviving objects of the caches at these addresses.
    LookedUp(Vec<Address>),
}

impl Names {
    pub fn are_looked_up(&self) -> bool {
        matches!(self, Self::LookedUp(_))
    }

    /// Looks at objects that have no name yet, [`LOOKS`] at most, in an order that has nothing to do with whose they are.
    /// One origin gets half at most, so that a flood does not hide everybody else's names.
    pub fn look(&self, kernel: &Kernel, ledger: &Ledger) -> Vec<(Outstanding, DentryName)> {
        let Self::LookedUp(caches) = self else { return Vec::new() };
        let deadline = Instant::now() + LOOKED_FOR;
        let mut looks: HashMap<OriginKey, usize> = HashMap::new();
        let objects = ledger.unnamed(clock::now(), MOST_WALKED).filter(|(origin, _)| {
            caches.contains(&origin.key.cache) && {
                let looks = looks.entry(origin.key).or_default();
                *looks += 1;
                *looks <= LOOKS / 2
            }
        });
        let mut names = DentryNames::new(&kernel.memory, &kernel.layout);
        objects
            .take(LOOKS)
            .take_while(|_| Instant::now() < deadline)
            .filter_map(|(_, object)| Some((object, names.read(object.ptr)?)))
            .collect()
    }
}
