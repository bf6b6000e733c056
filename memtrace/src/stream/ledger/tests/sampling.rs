//! A sample of the objects stands for all.

use memtrace_common::sample;
use proptest::{collection::vec, prelude::*};

use super::super::*;
use super::some_alloc;
use crate::stream::event::{Comm, Name, Task};

fn alloc(ptr: Address) -> Event<'static> {
    let task = Task { tgid: 7, started: 0, comm: Comm::truncated(b"curl"), is_kthread: false };
    Event::Alloc(Alloc { time: ptr, ptr, cache: 100, ..some_alloc(task) })
}

fn free(ptr: Address) -> Event<'static> {
    Event::Free(Free { ptr, cache: Some(cache_tag(100)) })
}

fn kept(objects: &[Address], period: u32) -> u64 {
    objects.iter().filter(|&&ptr| sample::keeps(ptr, sample::limit(period))).count() as u64
}

/// Allocations, frees and outstanding objects of the only origin; none before its first object.
fn totals(ledger: &Ledger) -> (u64, u64, u64) {
    ledger.origins().next().map_or((0, 0, 0), |origin| (origin.allocs, origin.frees, origin.outstanding()))
}

proptest! {
    #[test]
    fn each_object_stands_for_the_period_that_held(
        objects in 1_u64..500,
        freed in 0_u64..500,
        period in 1_u32..10,
        more in 1_u32..10,
    ) {
        let address = |object: u64| 0xffff_8881_0000_0000 + object * 192;
        let objects: Vec<Address> = (0..objects).map(address).collect();
        let (freed, held) = objects.split_at(objects.len().min(freed as usize));
        let mut ledger = Ledger::new(1 << 20);
        ledger.set_period(period);
        objects.iter().for_each(|&ptr| ledger.apply(alloc(ptr)));
        freed.iter().for_each(|&ptr| ledger.apply(free(ptr)));
        let weight = u64::from(period);
        let expected = (kept(&objects, period) * weight, kept(freed, period) * weight);
        prop_assert_eq!(totals(&ledger), (expected.0, expected.1, kept(held, period) * weight));
        // What was counted stays counted; what is left stands for more.
        let period = period * more;
        ledger.set_period(period);
        prop_assert_eq!(ledger.outstanding() as u64, kept(held, period));
        prop_assert_eq!(totals(&ledger), (expected.0, expected.1, kept(held, period) * u64::from(period)));
        held.iter().for_each(|&ptr| ledger.apply(free(ptr)));
        prop_assert_eq!(totals(&ledger).2, 0);
        // Those that were forgotten are no strangers.
        prop_assert_eq!(ledger.tally().unknown_frees, 0);
        prop_assert_eq!(ledger.tally().total(), 2 * objects.len() as u64);
    }

    /// Whatever happens while the others are forgotten, in the end it is as if they had been at once.
    #[test]
    fn a_sweep_in_steps_ends_as_one_at_once(
        before in vec((0_u64..300, any::<bool>()), 0..400),
        meanwhile in vec((0_u64..300, any::<bool>(), 0_usize..40), 0..400),
        periods in (1_u32..4, 2_u32..6),
    ) {
        let event = |object: u64, is_alloc: bool| {
            let ptr = 0xffff_8881_0000_0000 + object * 192;
            if is_alloc { alloc(ptr) } else { free(ptr) }
        };
        let mut at_once = Ledger::new(1 << 20);
        at_once.set_period(periods.0);
        before.iter().for_each(|&(object, is_alloc)| at_once.apply(event(object, is_alloc)));
        let mut in_steps = at_once.clone();
        at_once.set_period(periods.0 * periods.1);
        in_steps.raise_period(periods.0 * periods.1);
        for (object, is_alloc, steps) in meanwhile {
            (0..steps).for_each(|_| _ = in_steps.sweep());
            for ledger in [&mut at_once, &mut in_steps] {
                ledger.apply(event(object, is_alloc));
            }
        }
        in_steps.finish_sweep();
        prop_assert_eq!(totals(&in_steps), totals(&at_once));
        prop_assert_eq!(in_steps.tally(), at_once.tally());
        let held = |ledger: &Ledger| ledger.objects().map(|held| held.object).collect::<Vec<_>>();
        prop_assert_eq!(held(&in_steps), held(&at_once));
        let ages = |ledger: &Ledger| {
            let spans = ledger.origins().flat_map(|origin| ledger.allocated(origin));
            spans.map(|span| span.objects).sum::<u64>()
        };
        prop_assert_eq!(ages(&in_steps), ages(&at_once));
    }

    #[test]
    fn names_stand_for_as_many_as_their_objects(named in vec(any::<bool>(), 1..200), period in 1_u32..20) {
        let mut ledger = Ledger::new(1 << 20);
        let mut with_name = Vec::new();
        for (ptr, is_named) in (0..).map(|object: u64| 0xffff_8881_0000_0000 + object * 192).zip(named) {
            ledger.apply(alloc(ptr));
            if is_named {
                ledger.apply(Event::Name(Name { dentry: ptr, parent: b"db", name: b"core" }));
                with_name.push(ptr);
            }
        }
        ledger.set_period(period);
        let expected = kept(&with_name, period) * u64::from(period);
        let named = ledger.origins().flat_map(|origin| ledger.names(origin)).map(|named| named.objects);
        prop_assert_eq!(named.sum::<u64>(), expected);
        let all = ledger.allocated_until(TimeNs::MAX);
        prop_assert_eq!(ledger.origins().map(|origin| all.objects(origin)).sum::<u64>(), totals(&ledger).2);
    }
}
