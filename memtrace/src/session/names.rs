//! Names of dentries where they cannot be had as dentries are made: read from those that survive, at each report.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use crate::{
    event::Address,
    kernel::{
        dentries::{DentryName, DentryNames},
        discover::Kernel,
    },
    ledger::{Ledger, Origin, Outstanding},
};

/// Objects looked at for a report at most: some milliseconds.
const LOOKS: usize = 1_000;
/// Where looking takes longer, the ring should not wait, nor whoever ends the session.
const LOOKED_FOR: Duration = Duration::from_millis(50);
/// An origin's objects that already have names are walked over, so many at most.
const MOST_WALKED: usize = 100_000;

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

    /// Looks at objects that have no name yet, [`LOOKS`] at most: biggest origins first, in each the oldest first. One
    /// origin gets half at most, so that a flood does not hide everybody else's names.
    pub fn look(&self, kernel: &Kernel, ledger: &Ledger) -> Vec<(Outstanding, DentryName)> {
        let Self::LookedUp(caches) = self else { return Vec::new() };
        let mut origins: Vec<&Origin> = ledger
            .origins()
            .filter(|origin| caches.contains(&origin.key.cache) && origin.outstanding() > 0)
            .collect();
        origins.sort_by_key(|origin| Reverse(origin.outstanding()));
        let deadline = Instant::now() + LOOKED_FOR;
        let origins = origins.into_iter().take_while(|_| Instant::now() < deadline);
        let objects = origins.flat_map(|origin| ledger.unnamed(origin, MOST_WALKED).take(LOOKS / 2));
        let mut names = DentryNames::new(&kernel.memory, &kernel.layout);
        objects
            .take(LOOKS)
            .take_while(|_| Instant::now() < deadline)
            .filter_map(|object| Some((object, names.read(object.ptr)?)))
            .collect()
    }
}
