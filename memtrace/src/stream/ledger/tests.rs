//! The ledger against a naive model of itself, over sequences in which addresses, processes and names come back often.

mod model;
mod sampling;

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use self::model::{Called, Model, Totals, seen_in_ledger, seen_in_model};
use super::{
    names::{MAX_GROUPS, OTHER_PATTERN},
    origins::MAX_ORIGINS,
    pattern::pattern,
    *,
};
use crate::stream::event::{Comm, Label, NO_GFP, NO_NODE, NO_STACK, Name, Task};

/// Something that happens to a ledger; one [`UNIT`] or none passes between two.
#[derive(Clone, Debug)]
enum Step {
    /// With a time so much before that of the step: events of other objects came first.
    Alloc {
        alloc: Alloc,
        late: TimeNs,
    },
    Free(Address),
    Name {
        ptr: Address,
        parent: &'static [u8],
        name: &'static [u8],
    },
    /// An object of this age turned out to be free.
    Refute {
        ptr: Address,
        age: TimeNs,
    },
    /// Naming an object that was looked at when one of this age was there.
    Label {
        ptr: Address,
        age: TimeNs,
        parent: &'static [u8],
        name: &'static [u8],
    },
}

/// Long enough for ages to be exact.
const UNIT: TimeNs = ages::MOMENT * TICK_NS;

/// How many different things there are. Few, so that all of them come back.
#[derive(Clone, Copy)]
struct World {
    pointers: u64,
    caches: u64,
    processes: u32,
    names: usize,
    /// The share of allocations that may repeat one.
    repeats: f64,
}

const SMALL: World = World { pointers: 8, caches: 2, processes: 3, names: 6, repeats: 0.0 };

const COMMS: [&[u8]; 3] = [b"curl", b"bash", b""];
const PARENTS: [&[u8]; 2] = [b"db", b"/"];
const NAMES: [&[u8]; 12] = [
    b"core.1",
    b"core.22",
    b"passwd",
    b"group",
    b"a.1.db",
    b"a.2.db",
    b"tmp.X7faQ2kL9z",
    b"\xff7",
    b"x",
    b"y",
    b"z",
    b"",
];

fn step(world: World) -> impl Strategy<Value = Step> {
    let ptr = (1..=world.pointers).prop_map(|number| number * 8);
    let parent = proptest::sample::select(&PARENTS[..]);
    let name = proptest::sample::select(&NAMES[..world.names]);
    let task = (0..world.processes, proptest::sample::select(&COMMS[..]), any::<bool>()).prop_map(
        |(tgid, comm, is_kthread)| Task { tgid, started: 0, comm: Comm::truncated(comm), is_kthread },
    );
    let late = prop_oneof![3 => Just(0), 1 => (0..5_u64).prop_map(|units| units * UNIT)];
    let may_repeat = proptest::bool::weighted(world.repeats);
    let alloc = (ptr.clone(), 100..100 + world.caches, task, late, may_repeat).prop_map(
        |(ptr, cache, task, late, may_repeat)| {
            let alloc = Alloc { ptr, cache, task, may_repeat, ..some_alloc(task) };
            Step::Alloc { alloc, late }
        },
    );
    prop_oneof![
        5 => alloc,
        3 => ptr.clone().prop_map(Step::Free),
        3 => (ptr.clone(), parent.clone(), name.clone())
            .prop_map(|(ptr, parent, name)| Step::Name { ptr, parent, name }),
        1 => (ptr.clone(), 0..8_u64).prop_map(|(ptr, age)| Step::Refute { ptr, age: age * UNIT }),
        1 => (ptr, 0..8_u64, parent, name)
            .prop_map(|(ptr, age, parent, name)| Step::Label { ptr, age: age * UNIT, parent, name }),
    ]
}

fn steps(world: World) -> impl Strategy<Value = Vec<Step>> {
    vec(step(world), 0..200)
}

/// Some steps happen in the same tick.
fn time_of(step: usize) -> TimeNs {
    (1000 + step as u64 * 2 / 3) * UNIT + step as u64 % 7
}

/// Around the times of steps.
fn times() -> impl Strategy<Value = Vec<TimeNs>> {
    vec((990..1140_u64).prop_map(|units| units * UNIT), 3)
}

fn apply(ledger: &mut Ledger, time: TimeNs, step: &Step) {
    match (event(time, step), step) {
        (Some(event), _) => ledger.apply(event),
        (None, &Step::Label { ptr, age, parent, name }) => {
            let object = ObjectId { ptr, time: time.saturating_sub(age) };
            ledger.label(object, &Label::named(parent, name));
        }
        (None, &Step::Refute { ptr, age }) => {
            ledger.refute(ObjectId { ptr, time: time.saturating_sub(age) });
        }
        _ => {}
    }
}

/// The event that a step is.
fn event(time: TimeNs, step: &Step) -> Option<Event<'static>> {
    match *step {
        Step::Alloc { alloc, late } => Some(Event::Alloc(Alloc { time: time - late, ..alloc })),
        Step::Free(ptr) => Some(Event::Free(Free { ptr, cache: Some(7) })),
        Step::Name { ptr, parent, name } => Some(Event::Name(Name { dentry: ptr, name, parent })),
        Step::Label { .. } | Step::Refute { .. } => None,
    }
}

/// Both, after the same steps.
fn run(bounds: Bounds, steps: &[Step]) -> (Ledger, Model) {
    run_sampled(bounds, steps, &[])
}

/// The period is multiplied by each of these factors, at equal distances.
fn run_sampled(bounds: Bounds, steps: &[Step], factors: &[u32]) -> (Ledger, Model) {
    let (mut ledger, mut model) = (Ledger::with_bounds(bounds), Model::default());
    let mut factors = factors.iter();
    for (index, step) in steps.iter().enumerate() {
        if index % 40 == 10
            && let Some(factor) = factors.next()
        {
            model.set_period(model.period * factor);
            ledger.set_period(model.period);
        }
        apply(&mut ledger, time_of(index), step);
        model.apply(time_of(index), step, bounds.objects);
    }
    (ledger, model)
}

fn bounds(objects: usize) -> Bounds {
    Bounds { objects, origins: MAX_ORIGINS, groups: MAX_GROUPS }
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        steps in steps(World { repeats: 0.3, ..SMALL }),
        most_objects in prop_oneof![0..6usize, Just(usize::MAX)],
        factors in vec(1..4_u32, 0..4),
        times in times(),
    ) {
        let (ledger, model) = run_sampled(bounds(most_objects), &steps, &factors);
        prop_assert_eq!(ledger.tally(), model.tally);
        prop_assert_eq!(ledger.outstanding(), model.objects.len());
        for cache in 99..103 {
            prop_assert_eq!(ledger.unseen_frees(cache), model.unseen_frees.get(&cache).copied().unwrap_or(0));
        }
        prop_assert_eq!(seen_in_ledger(&ledger, &times), seen_in_model(&model, &times));
    }

    /// Batches of whatever length are the same as events one by one.
    #[test]
    fn a_batch_is_its_events(steps in steps(SMALL), lengths in vec(1..100_usize, 1..10)) {
        let mut ledger = Ledger::with_bounds(bounds(5));
        let mut applier = Applier::default();
        let mut ends = lengths.iter().cycle();
        let mut left = *ends.next().unwrap();
        let steps: Vec<_> = steps.into_iter().filter(|step| !matches!(step, Step::Label { .. } | Step::Refute { .. })).collect();
        for (index, step) in steps.iter().enumerate() {
            applier.add(event(time_of(index), step).unwrap(), &mut ledger);
            left -= 1;
            if left == 0 {
                applier.finish(&mut ledger);
                left = *ends.next().unwrap();
            }
        }
        applier.finish(&mut ledger);
        let (one_by_one, _) = run(bounds(5), &steps);
        prop_assert_eq!(ledger.tally(), one_by_one.tally());
        let times = [1020 * UNIT];
        prop_assert_eq!(seen_in_ledger(&ledger, &times), seen_in_ledger(&one_by_one, &times));
    }

    /// A second thread changes nothing, whenever somebody wants to see the ledger, and however soon it is full.
    #[test]
    fn two_threads_are_as_one(
        seed: u64, objects in prop_oneof![100..5_000_usize, Just(usize::MAX)], longest in 1..20_000_usize,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut ledgers = [0; 2].map(|_| Ledger::with_bounds(Bounds { objects, ..bounds(100) }));
        let mut appliers = [Applier::default(), Applier::with_second_thread(|| {}).unwrap()];
        let mut left = 0;
        for time in 0..30_000 {
            let ptr = 0xffff_8880_0000_0000 + 64 * random.u64(..8_000);
            let step = match random.u8(..10) {
                0..6 => Step::Alloc { alloc: Alloc { ptr, ..some_alloc(task_of(1 + random.u32(..5))) }, late: 0 },
                6 => Step::Name { ptr, parent: b"nssdb", name: b"name" },
                _ => Step::Free(ptr),
            };
            if left == 0 {
                left = random.usize(1..=longest);
                appliers.iter_mut().zip(&mut ledgers).for_each(|(applier, ledger)| applier.finish(ledger));
                prop_assert_eq!(ledgers[0].outstanding(), ledgers[1].outstanding());
            }
            left -= 1;
            for (applier, ledger) in appliers.iter_mut().zip(&mut ledgers) {
                if ledger.is_full() {
                    applier.finish(ledger);
                }
                applier.add(event(time_of(time / 100), &step).unwrap(), ledger);
            }
        }
        appliers.iter_mut().zip(&mut ledgers).for_each(|(applier, ledger)| applier.finish(ledger));
        let [one, two] = &ledgers;
        prop_assert_eq!(one.tally(), two.tally());
        let times = [1020 * UNIT];
        prop_assert_eq!(seen_in_ledger(one, &times), seen_in_ledger(two, &times));
    }

    /// A walk meets no more objects than it may, and only those from before a time; wherever it begins, all of them.
    #[test]
    fn a_sample_is_of_all(
        steps in steps(SMALL), turn in any::<usize>(), most in 0..10_usize, time in 990..1140_u64,
    ) {
        let (ledger, model) = run(bounds(usize::MAX), &steps);
        let objects = |most| ledger.sample(turn, time * UNIT, most).map(|(_, object)| (object.ptr, object.time));
        let all: BTreeSet<_> = objects(usize::MAX).collect();
        let expected = model.objects.iter().filter(|object| object.time < time * UNIT);
        prop_assert_eq!(&all, &expected.map(|object| (object.ptr, object.time)).collect());
        prop_assert!(objects(most).count() <= most && objects(most).all(|object| all.contains(&object)));
    }

    /// What came in is either still there or went one of the ways that are counted.
    #[test]
    fn nothing_is_lost_or_made_up(steps in steps(SMALL), most_objects in 0..10usize, most_origins in 1..6usize) {
        let bounds = Bounds { objects: most_objects, origins: most_origins, groups: 3 };
        let (ledger, _) = run(bounds, &steps);
        let tally = ledger.tally();
        let sum = |of: fn(&Origin) -> u64| ledger.origins().map(of).sum::<u64>();
        prop_assert_eq!(sum(|origin| origin.allocs), tally.allocs - tally.refused);
        prop_assert_eq!(sum(|origin| origin.frees), tally.frees - tally.unknown_frees + tally.reused_pointers + tally.refuted);
        prop_assert_eq!(sum(Origin::outstanding), ledger.outstanding() as u64);
        prop_assert!(ledger.outstanding() <= most_objects);
        let all = ledger.allocated_until(TimeNs::MAX);
        for origin in ledger.origins() {
            let named: u64 = ledger.names(origin).map(|named| named.objects).sum();
            prop_assert!(named <= origin.outstanding());
            prop_assert_eq!(all.objects(origin), origin.outstanding());
        }
    }

    /// Many processes, of which few hold something at a time: the ended ones become one each by cache and name.
    #[test]
    fn folding_keeps_totals_by_cache_and_command_name(
        steps in steps(World { pointers: 3, processes: 50, ..SMALL }),
    ) {
        // Room for all sums: two caches, three names, both kinds of threads.
        let bounds = Bounds { origins: 12, ..bounds(usize::MAX) };
        let (ledger, model) = run(bounds, &steps);
        let mut in_ledger: BTreeMap<_, Totals> = BTreeMap::new();
        for origin in ledger.origins() {
            let totals = in_ledger.entry((origin.key.cache, origin.key.task.comm, origin.key.task.is_kthread));
            let totals = totals.or_default();
            totals.allocs += origin.allocs;
            totals.frees += origin.frees;
            prop_assert!(origin.key.task.tgid != FOLDED || origin.outstanding() == 0, "who holds something has a row");
        }
        let mut in_model: BTreeMap<_, Totals> = BTreeMap::new();
        for ((cache, _, comm, is_kthread), of_process) in &model.totals {
            let totals = in_model.entry((*cache, *comm, *is_kthread)).or_default();
            totals.allocs += of_process.allocs;
            totals.frees += of_process.frees;
        }
        prop_assert_eq!(in_ledger, in_model);
        let times = [1020 * UNIT, 1100 * UNIT];
        let holders = |mut seen: BTreeMap<_, model::Seen>| {
            seen.retain(|_, seen| seen.outstanding > 0);
            // What a process did before it was folded is in the sum now.
            seen.values_mut().for_each(|seen| seen.totals = Totals::default());
            seen
        };
        prop_assert_eq!(holders(seen_in_ledger(&ledger, &times)), holders(seen_in_model(&model, &times)));
    }

    /// However many processes hold something and however they are called: there are as many rows as the bound, as many
    /// sums, and one for all others of each cache; and each cache's totals are right.
    #[test]
    fn origins_are_bounded(steps in steps(World { pointers: 40, processes: 50, ..SMALL }), most in 1..12usize) {
        let (ledger, model) = run(Bounds { origins: most, ..bounds(usize::MAX) }, &steps);
        let others = Comm::truncated(OTHERS);
        let (sums, rows): (Vec<_>, Vec<_>) = ledger
            .origins()
            .map(|origin| origin.key)
            .filter(|key| key.task.comm != others)
            .partition(|key| key.task.tgid == FOLDED);
        prop_assert!(rows.len() <= most && sums.len() <= most);
        prop_assert!(ledger.origins().count() - rows.len() - sums.len() <= SMALL.caches as usize);
        let mut in_ledger: BTreeMap<_, Totals> = BTreeMap::new();
        for origin in ledger.origins() {
            let totals = in_ledger.entry(origin.key.cache).or_default();
            totals.allocs += origin.allocs;
            totals.frees += origin.frees;
        }
        let mut in_model: BTreeMap<_, Totals> = BTreeMap::new();
        for ((cache, ..), of_process) in &model.totals {
            let totals = in_model.entry(*cache).or_default();
            totals.allocs += of_process.allocs;
            totals.frees += of_process.frees;
        }
        prop_assert_eq!(in_ledger, in_model);
    }

    /// With room for as many names as there are named objects, names that are gone always make room, and a name that
    /// takes another's room is never taken for it.
    #[test]
    fn names_that_are_gone_make_room(steps in steps(World { pointers: 3, names: NAMES.len(), ..SMALL })) {
        // One for all other names, one for an object's new name before its old one goes.
        let (ledger, model) = run(Bounds { groups: 3 + 2, ..bounds(usize::MAX) }, &steps);
        let times = [1010 * UNIT, 1030 * UNIT, 1090 * UNIT];
        prop_assert_eq!(seen_in_ledger(&ledger, &times), seen_in_model(&model, &times));
    }

    /// With less room, objects are called by their names or counted as others, and each is called something.
    #[test]
    fn names_are_bounded(steps in steps(World { pointers: 12, names: NAMES.len(), ..SMALL }), most in 1..8usize) {
        let (ledger, model) = run(Bounds { groups: most, ..bounds(usize::MAX) }, &steps);
        let model = seen_in_model(&model, &[]);
        let other: Called = (Vec::new(), OTHER_PATTERN.to_vec());
        let mut distinct = BTreeSet::new();
        for (who, mut seen) in seen_in_ledger(&ledger, &[]) {
            let model = &model[&who].names;
            prop_assert_eq!(seen.names.values().sum::<u64>(), model.values().sum::<u64>());
            seen.names.remove(&other);
            for (called, objects) in seen.names {
                prop_assert!(objects <= model.get(&called).copied().unwrap_or(0), "{called:?}");
                distinct.insert(called);
            }
        }
        prop_assert!(distinct.len() < most);
    }

    #[test]
    fn an_example_is_a_name_of_its_pattern(steps in steps(SMALL), most in 1..8usize) {
        let (ledger, _) = run(Bounds { groups: most, ..bounds(usize::MAX) }, &steps);
        for named in ledger.origins().flat_map(|origin| ledger.names(origin)) {
            if named.pattern != OTHER_PATTERN {
                prop_assert_eq!(pattern(named.example), named.pattern);
                prop_assert!(NAMES.contains(&named.example));
            }
        }
    }
}

/// An event of an object by its number.
fn alloc(ledger: &mut Ledger, object: u64, tgid: u32, comm: &str) {
    let task = Task { tgid, started: 0, comm: Comm::truncated(comm.as_bytes()), is_kthread: false };
    ledger.apply(Event::Alloc(Alloc { ptr: 8 * object, ..some_alloc(task) }));
}

fn task_of(tgid: u32) -> Task {
    Task { tgid, started: 0, comm: Comm::truncated(b"task"), is_kthread: false }
}

fn some_alloc(task: Task) -> Alloc {
    Alloc {
        time: 0,
        ptr: 8,
        cache: 1,
        call_site: 0,
        cgroup: 1,
        stack: NO_STACK,
        gfp: NO_GFP,
        node: NO_NODE,
        task,
        is_io_worker: false,
        may_repeat: false,
    }
}

fn free(ledger: &mut Ledger, object: u64) {
    ledger.apply(Event::Free(Free { ptr: 8 * object, cache: Some(7) }));
}

#[test]
fn an_allocation_that_repeats_counts_once() {
    let mut ledger = Ledger::with_bounds(bounds(10));
    let task =
        |comm: &str| Task { tgid: 7, started: 0, comm: Comm::truncated(comm.as_bytes()), is_kthread: false };
    let again = |ledger: &mut Ledger, comm| {
        let alloc = Alloc { time: 1, ptr: 16, may_repeat: true, ..some_alloc(task(comm)) };
        ledger.apply(Event::Alloc(alloc));
    };
    alloc(&mut ledger, 2, 7, "a");
    again(&mut ledger, "a");
    assert_eq!((show(&ledger), ledger.tally().reused_pointers), (vec!["a:7 1-0 (1)".to_owned()], 0));
    free(&mut ledger, 2);
    // Not outstanding, or another's: it was not sent before.
    again(&mut ledger, "a");
    assert_eq!((show(&ledger), ledger.tally().reused_pointers), (vec!["a:7 2-1 (1)".to_owned()], 0));
    again(&mut ledger, "b");
    assert_eq!(ledger.tally().reused_pointers, 1);
    assert_eq!(ledger.tally().allocs, 4);
}

/// Each origin as `comm:tgid allocs-frees (processes)`.
fn show(ledger: &Ledger) -> Vec<String> {
    let mut lines: Vec<_> = ledger
        .origins()
        .map(|origin| {
            let Origin { allocs, frees, processes, .. } = origin;
            let tgid = match origin.key.task.tgid {
                FOLDED => "*".to_owned(),
                tgid => tgid.to_string(),
            };
            format!("{:?}:{tgid} {allocs}-{frees} ({processes})", origin.key.task.comm)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn short_lived_processes_become_one_row() {
    let mut ledger = Ledger::with_bounds(Bounds { origins: 4, ..bounds(100) });
    alloc(&mut ledger, 1, 1, "init");
    for tgid in 2..=100 {
        alloc(&mut ledger, 2, tgid, "curl");
        free(&mut ledger, 2);
    }
    assert_eq!(
        show(&ledger),
        ["curl:* 96-96 (96)", "curl:100 1-1 (1)", "curl:98 1-1 (1)", "curl:99 1-1 (1)", "init:1 1-0 (1)"]
    );
}

#[test]
fn where_all_hold_something_new_ones_are_others() {
    let mut ledger = Ledger::with_bounds(Bounds { origins: 2, ..bounds(100) });
    for tgid in 1..=5 {
        alloc(&mut ledger, u64::from(tgid), tgid, "curl");
    }
    assert_eq!(show(&ledger), ["(others):* 3-0 (1)", "curl:1 1-0 (1)", "curl:2 1-0 (1)"]);
    // One that ends makes room for the next.
    free(&mut ledger, 1);
    alloc(&mut ledger, 6, 6, "wget");
    assert_eq!(show(&ledger), ["(others):* 3-0 (1)", "curl:* 1-1 (1)", "curl:2 1-0 (1)", "wget:6 1-0 (1)"]);
}

/// A process may change its name as often as it likes; others are still seen.
#[test]
fn made_up_command_names_do_not_fill_the_ledger() {
    let mut ledger = Ledger::with_bounds(Bounds { origins: 8, ..bounds(100) });
    for n in 0..1000 {
        alloc(&mut ledger, 1, 1, &format!("evil-{n}"));
        free(&mut ledger, 1);
    }
    alloc(&mut ledger, 2, 2, "curl");
    assert!(show(&ledger).contains(&"curl:2 1-0 (1)".to_owned()), "{:?}", show(&ledger));
    assert_eq!(ledger.origins().count(), 8 + 8 + 1);
}

#[test]
fn a_free_of_any_cache_is_no_surprise() {
    let mut ledger = Ledger::with_bounds(bounds(10));
    alloc(&mut ledger, 2, 7, "a");
    for ptr in [16, 32] {
        ledger.apply(Event::Free(Free { ptr, cache: None }));
    }
    let tally = ledger.tally();
    assert_eq!((ledger.outstanding(), tally.frees, tally.unknown_frees), (0, 2, 0));
}

#[test]
fn unknown_frees_are_told_apart_by_their_cache() {
    let (dentry, filp) = (0xffff_8881_0004_1200, 0xffff_8881_0004_1240);
    let mut ledger = Ledger::with_bounds(bounds(10));
    alloc(&mut ledger, 2, 7, "a");
    for (ptr, cache) in [(16, dentry), (32, dentry), (48, filp), (64, filp)] {
        ledger.apply(Event::Free(Free { ptr, cache: Some(cache_tag(cache)) }));
    }
    assert_eq!([dentry, filp, 0].map(|cache| ledger.unknown_frees(cache)), [1, 2, 0]);
    assert_eq!(ledger.tally().unknown_frees, 3);
}
