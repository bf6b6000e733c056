//! Names of dentries where they cannot be had as dentries are made: read from those that survive, at each report.

use crate::{
    event::Address,
    kernel::{
        dentries::{self, DentryName},
        discover::Kernel,
    },
    ledger::{Ledger, Origin, Outstanding},
};

/// Objects looked at for a report: some milliseconds.
pub const LOOKS: usize = 1_000;
/// And for the last one, when nothing waits for us any more.
pub const LAST_LOOKS: usize = 10_000;
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

    /// Looks at objects that have no name yet, `most` at most: biggest origins first, in each the oldest first. One origin
    /// gets half at most, so that a flood does not hide everybody else's names.
    pub fn look(&self, kernel: &Kernel, ledger: &Ledger, most: usize) -> Vec<(Outstanding, DentryName)> {
        let Self::LookedUp(caches) = self else { return Vec::new() };
        let mut origins: Vec<&Origin> = ledger
            .origins()
            .filter(|origin| caches.contains(&origin.key.cache) && origin.outstanding() > 0)
            .collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.outstanding()));
        let objects =
            origins.into_iter().flat_map(|origin| ledger.unnamed(origin, MOST_WALKED).take(most / 2));
        objects
            .take(most)
            .filter_map(|object| Some((object, dentries::name(&kernel.memory, &kernel.layout, object.ptr)?)))
            .collect()
    }
}
