//! Caches whose objects are counted exactly, and what the tracer and slabinfo make of them.

use proptest::prelude::*;

use super::{
    growth::{MIN_HIDDEN_SHARE, MIN_REUSED, MIN_SHARE},
    *,
};

/// What really happened to a cache since attach.
#[derive(Clone, Copy, Debug, Default)]
struct World {
    /// Objects from before attach.
    old: u64,
    allocs: u64,
    /// Seen, of new objects and of old ones.
    frees: u64,
    old_frees: u64,
    /// Not seen; the address was handed out again, or was not yet.
    reused: u64,
    hidden: u64,
}

impl World {
    fn traced(&self) -> Traced {
        Traced {
            allocs: self.allocs,
            frees: self.frees,
            unknown_frees: self.old_frees,
            reused: self.reused,
            missing: 0,
        }
    }

    fn objects(&self) -> u64 {
        self.old + self.allocs - self.frees - self.old_frees - self.reused - self.hidden
    }

    fn unseen_share(&self) -> f64 {
        let unseen = (self.reused + self.hidden) as f64;
        unseen / (unseen + (self.frees + self.old_frees) as f64)
    }

    /// With so many free objects at hand, of `slack` at most.
    fn reading(&self, per_cpu_free: u64, slack: u64) -> Reading {
        Reading { objects: self.objects() + per_cpu_free, slack, before: self.traced(), after: self.traced() }
    }

    fn start(old: u64, per_cpu_free: u64, slack: u64) -> Reading {
        Self { old, ..Self::default() }.reading(per_cpu_free, slack)
    }
}

/// A share of a number.
fn part(whole: u64, share: f64) -> u64 {
    (whole as f64 * share) as u64
}

/// All frees are seen.
fn honest() -> impl Strategy<Value = World> {
    (0..1_000_000_u64, 0..5_000_000_u64, 0.0..=1.0, 0.0..=1.0).prop_map(|(old, allocs, freed, old_freed)| {
        World { old, allocs, frees: part(allocs, freed), old_frees: part(old, old_freed), ..World::default() }
    })
}

proptest! {
    /// Churn, leaks, and the death of all that was there before: as long as every free is seen, nothing is held against it.
    #[test]
    fn a_cache_whose_frees_are_all_seen_is_whole(
        world in honest(),
        slack in 0..20_000_u64,
        per_cpu_free in 0.0..=1.0,
        at_hand_before in 0.0..=1.0,
    ) {
        let start = World::start(world.old, part(slack, at_hand_before), slack);
        let growth = Growth::between(&start, &world.reading(part(slack, per_cpu_free), slack));
        prop_assert_eq!(Partial::find(&world.traced(), Some(&growth)), None);
        prop_assert!(!growth.disagrees());
    }

    /// Whether it was handed out again or not: the estimate is off by no more than slabinfo is.
    #[test]
    fn a_cache_whose_frees_are_not_seen_is_partial(
        world in honest(),
        unseen in 0.2..=1.0,
        reused in 0.0..=1.0,
        slack in 0..2_000_u64,
        per_cpu_free in 0.0..=1.0,
    ) {
        prop_assume!(world.allocs - world.frees > 20_000);
        let freed = part(world.allocs - world.frees, unseen);
        let reused = part(freed, reused);
        let world = World { reused, hidden: freed - reused, ..world };
        // So much is promised to be found; of the rest, a little is handed out again and a little hidden, and neither tells.
        let outstanding = world.allocs - world.frees - world.reused;
        let seen = world.frees + world.old_frees;
        let is_handed_out_again = world.reused as f64 >= MIN_SHARE * (seen + world.reused) as f64 && world.reused >= MIN_REUSED;
        let is_missed = world.hidden.saturating_sub(2 * slack) as f64 >= MIN_HIDDEN_SHARE * outstanding as f64;
        prop_assume!(is_handed_out_again || is_missed);
        let start = World::start(world.old, 0, slack);
        let growth = Growth::between(&start, &world.reading(part(slack, per_cpu_free), slack));
        let partial = Partial::find(&world.traced(), Some(&growth));
        prop_assert!(partial.is_some(), "{growth:?}");
        let off = (partial.unwrap().unseen_frees_share - world.unseen_share()).abs();
        let frees = world.frees + world.old_frees + freed;
        prop_assert!(off * frees as f64 <= 2.0 * slack as f64 + 1.0, "{partial:?} {growth:?}");
    }

    #[test]
    fn events_that_happen_during_a_reading_are_no_sign(
        world in honest(),
        meanwhile in 0..100_000_u64,
        share in 0.0..=1.0,
        is_leak in any::<bool>(),
    ) {
        let start = World::start(world.old, 0, 0);
        let more = |events: u64| match is_leak {
            true => World { allocs: world.allocs + events, ..world },
            false => World { frees: world.frees + events.min(world.allocs - world.frees), ..world },
        };
        let reading = more(part(meanwhile, share)).reading(0, 0);
        let now = Reading { before: world.traced(), after: more(meanwhile).traced(), ..reading };
        let growth = Growth::between(&start, &now);
        prop_assert_eq!(growth.unexplained(), 0);
        prop_assert_eq!(Partial::find(&now.after, Some(&growth)), None);
    }

    /// Whatever the numbers: shares are shares, and nothing overflows.
    #[test]
    fn nonsense_is_borne(start in reading(), now in reading()) {
        let growth = Growth::between(&start, &now);
        if let Some(partial) = Partial::find(&now.after, Some(&growth)) {
            prop_assert!((0.0..=1.0).contains(&partial.unseen_frees_share), "{partial:?}");
        }
        if let Some(share) = growth.disagreement() {
            prop_assert!((0.0..=1.0).contains(&share), "{share}");
        }
    }
}

fn reading() -> impl Strategy<Value = Reading> {
    let traced = || {
        any::<[u64; 5]>().prop_map(|[allocs, frees, unknown_frees, reused, missing]| Traced {
            allocs,
            frees,
            unknown_frees,
            reused,
            missing,
        })
    };
    (any::<[u64; 2]>(), traced(), traced()).prop_map(|([objects, slack], before, after)| Reading {
        objects,
        slack,
        before,
        after,
    })
}

fn reused(frees: u64, reused: u64, missing: u64) -> Option<Partial> {
    let traced = Traced { allocs: frees + reused + 10, frees, unknown_frees: 0, reused, missing };
    Partial::find(&traced, None)
}

#[test]
fn addresses_that_are_handed_out_twice_need_no_slabinfo() {
    assert_eq!(reused(0, 100, 0), Some(Partial { sign: Sign::Reused, unseen_frees_share: 1.0 }));
    assert_eq!(reused(300, 100, 0), Some(Partial { sign: Sign::Reused, unseen_frees_share: 0.25 }));
}

#[test]
fn a_few_of_them_prove_nothing() {
    assert_eq!(reused(0, MIN_REUSED - 1, 0), None);
    assert!(reused(0, MIN_REUSED, 0).is_some());
    // 43 of a million are what a kernel with late frees was seen to have.
    assert_eq!(reused(1_000_000, 43, 0), None);
    assert!(reused(1_000_000, 2_000, 0).is_some());
}

/// A free that was lost leaves its object's address to be handed out again, too.
#[test]
fn what_may_have_been_lost_is_no_sign() {
    assert_eq!(reused(1000, 500, 500), None);
    assert!(reused(1000, 516, 500).is_some());
    let world = World { old: 1000, allocs: 10_000, hidden: 5_000, ..World::default() };
    let find = |missing| {
        let traced = Traced { missing, ..world.traced() };
        let now = Reading { after: traced, ..world.reading(0, 0) };
        Partial::find(&traced, Some(&Growth::between(&World::start(1000, 0, 0), &now)))
    };
    assert_eq!(find(0), Some(Partial { sign: Sign::Slabinfo, unseen_frees_share: 1.0 }));
    assert_eq!(find(5_000), None);
}

/// 5 % of what looks outstanding: the leak beside it is there all the same.
#[test]
fn little_that_is_hidden_behind_much_does_not_count() {
    let find = |hidden| {
        let world = World { allocs: 100_000, hidden, ..World::default() };
        Partial::find(&world.traced(), Some(&Growth::between(&World::start(0, 0, 0), &world.reading(0, 0))))
    };
    assert_eq!(find(5_000), None);
    assert!(find(20_000).is_some());
    // And next to nothing is no sign at all.
    let few = World { allocs: 100, hidden: 60, ..World::default() };
    let growth = Growth::between(&World::start(0, 0, 0), &few.reading(0, 0));
    assert_eq!(Partial::find(&few.traced(), Some(&growth)), None);
}

/// Objects from before attach that were freed unseen are in no figure of ours.
#[test]
fn what_was_never_shown_is_not_hidden() {
    let growth = Growth::between(&World::start(100_000, 0, 0), &World::start(10_000, 0, 0));
    assert_eq!(Partial::find(&Traced::default(), Some(&growth)), None);
    assert_eq!((growth.unexplained(), growth.disagrees()), (-90_000, true));
}

#[test]
fn agreement_needs_growth_that_slabinfo_can_tell() {
    let disagreement = |objects: u64, allocs: u64| {
        let now = Reading { objects: 1000 + objects, ..World { allocs, ..World::default() }.reading(0, 100) };
        Growth::between(&World::start(1000, 0, 100), &now).disagreement()
    };
    assert_eq!(disagreement(0, 0), None);
    assert_eq!(disagreement(750, 700), None);
    assert_eq!(disagreement(1000, 990), Some(0.01));
    // More than the slack is always worth a word.
    assert_eq!(disagreement(0, 101), Some(1.0));
}

#[test]
fn what_is_traced_of_a_cache_is_added_up_by_name() {
    use crate::{
        stream::event::{Alloc, Comm, Event, Free, NO_GFP, NO_NODE, NO_STACK, Task, cache_tag},
        view::lookups::CacheInfo,
    };
    let (one, two) = (0x1000, 0x2000);
    let cache = |name: &str| CacheInfo { name: name.to_owned(), ..CacheInfo::default() };
    let caches = Caches::from([(one, cache("dentry")), (two, cache("dentry")), (0x3000, cache("idle"))]);
    let mut ledger = Ledger::new(1 << 20);
    let task = Task { tgid: 7, started: 0, comm: Comm::truncated(b"curl"), is_kthread: false };
    let mut alloc = |ptr, cache| {
        let (call_site, cgroup, may_repeat) = (0, 1, false);
        ledger.apply(Event::Alloc(Alloc {
            time: 1,
            ptr,
            cache,
            call_site,
            cgroup,
            stack: NO_STACK,
            gfp: NO_GFP,
            node: NO_NODE,
            task,
            is_io_worker: false,
            may_repeat,
        }));
    };
    for (ptr, cache) in [(64, one), (128, one), (192, two), (192, two)] {
        alloc(ptr, cache);
    }
    for (ptr, cache) in [(64, one), (640, one), (704, two)] {
        ledger.apply(Event::Free(Free { ptr, cache: Some(cache_tag(cache)) }));
    }
    let lost = |allocs, frees| Losses { allocs, frees };
    let losses = HashMap::from([(one, lost(1, 0)), (two, lost(0, 2)), (NO_CACHE, lost(0, 10))]);
    let traced = traced(&ledger, &caches, &losses, 100);
    // Of each of the two caches: what was skipped, and what was lost of no cache, may have been of either.
    let missing = 1 + 2 + 2 * 110;
    assert_eq!(traced["dentry"], Traced { allocs: 4, frees: 1, unknown_frees: 2, reused: 1, missing });
    assert_eq!(traced["idle"], Traced { missing: 110, ..Traced::default() });
}
