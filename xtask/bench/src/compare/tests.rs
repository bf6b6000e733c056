use std::collections::BTreeMap;

use super::*;

pub fn memtrace() -> Memtrace {
    let shape = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Memtrace {
        program: "memtrace".into(),
        floor: "floor".into(),
        quiet_cache: "bdev_cache",
        sleeper: 1,
        one: shape(&["kfree", "kmem_cache_alloc", "kmem_cache_free", "kmem_cache_free"]),
        all: shape(&["kfree", "kmalloc", "kmem_cache_alloc", "kmem_cache_free", "kmem_cache_free"]),
    }
}

fn hits() -> Hits {
    let hits = [("kfree", 2.0), ("kmalloc", 1.0), ("kmem_cache_alloc", 3.0), ("kmem_cache_free", 3.0)];
    hits.into_iter().map(|(name, hits)| (name.to_owned(), hits)).collect::<BTreeMap<_, _>>()
}

fn measured([wall_ns, cpu_ns]: [u64; 2]) -> Measured {
    Measured { ops: 1000, wall_ns: 1000 * wall_ns, cpu_ns: 1000 * cpu_ns, threads: 1 }
}

/// A thousand operations, each of these nanoseconds by the clock and of CPU: bare, and under the contender.
fn run(contender: Contender, bare: [u64; 2], under_it: [u64; 2], tracer: Option<Use>) -> Run {
    let (bare, measured) = (measured(bare), measured(under_it));
    Run { round: 0, workload: Workload::Eventfd, contender, bare, measured, tracer }
}

fn used(cpu_ns: u64, events: u64, lost: u64) -> Option<Use> {
    Some(Use { cpu_ns, events: Some(events), lost: Some(lost), peak_rss_bytes: 1 << 20, ..Use::default() })
}

/// Half of the time all is slower.
fn results() -> Results {
    use Contender::{All, Bare, Dentry, Floor, FloorAll};
    let (fast, slow) = ([1000, 1000], [2000, 1900]);
    Results {
        runs: vec![
            run(Bare, fast, [1001, 1001], None),
            run(Floor, fast, [1400, 1300], None),
            run(FloorAll, fast, [1500, 1400], None),
            run(Dentry, fast, [1800, 1700], used(90_000, 1000, 0)),
            run(All, fast, [2500, 2400], used(180_000, 6000, 3)),
            run(Bare, slow, [1999, 1899], None),
            run(Floor, slow, [2400, 2200], None),
            run(FloorAll, slow, [2500, 2300], None),
            run(Dentry, slow, [2800, 2600], used(110_000, 1000, 0)),
            run(All, slow, [3500, 3300], used(240_000, 6000, 4)),
        ],
        hits: vec![(Workload::Eventfd, hits())],
        refusals: vec![],
    }
}

fn only(clock: Clock) -> Comparison {
    Comparison::compare_all(&results(), clock, &memtrace()).remove(0)
}

#[test]
fn each_run_is_compared_with_the_bare_one_before_it() {
    let comparison = only(Clock::Wall);
    assert_eq!(comparison.bare_ns_per_op.median, 1500.0);
    let added = |contender| comparison.cost(contender).unwrap().added_ns_per_op;
    assert_eq!(added(Contender::Floor), Estimate { median: 400.0, mad: 0.0, runs: 2 });
    assert_eq!(added(Contender::All).median, 1500.0);
    assert_eq!(added(Contender::Bare), Estimate { median: 0.0, mad: 1.0, runs: 2 });
    assert!(comparison.cost(Contender::Bpftrace).is_none());
}

#[test]
fn cpu_time_leaves_out_what_others_used() {
    let comparison = only(Clock::Cpu);
    assert_eq!(comparison.cost(Contender::Floor).unwrap().added_ns_per_op.median, 300.0);
    let share = undisturbed_share(&results().runs).unwrap();
    assert!((share - 0.975).abs() < 1e-9, "{share}");
    assert_eq!([Clock::fitting(0.99), Clock::fitting(0.5)], [Clock::Wall, Clock::Cpu]);
    assert_eq!(undisturbed_share(&[]), None);
}

#[test]
fn each_is_a_multiple_of_its_own_floor() {
    let comparison = only(Clock::Wall);
    let to_floor = |contender| comparison.cost(contender).unwrap().to_floor.unwrap().value;
    assert_eq!(to_floor(Contender::Floor), 1.0);
    assert_eq!(to_floor(Contender::Dentry), 2.0);
    assert_eq!(to_floor(Contender::All), 3.0);
    let to_all = |contender| comparison.cost(contender).unwrap().to_all.unwrap().value;
    assert_eq!(to_all(Contender::All), 1.0);
    assert_eq!(to_all(Contender::Dentry), 1.0 / 1.875);
    assert!(comparison.cost(Contender::Memleak).is_none());
}

#[test]
fn a_hit_is_of_a_tracepoint_that_is_attached() {
    let comparison = only(Clock::Wall);
    let per_hit = |contender| comparison.cost(contender).unwrap().added_ns_per_hit.unwrap();
    assert_eq!(per_hit(Contender::Floor), 50.0);
    assert_eq!(per_hit(Contender::All), 1500.0 / 9.0);
}

#[test]
fn tracers_are_charged_for_the_events_that_they_saw() {
    let comparison = only(Clock::Wall);
    let tracer = |contender| comparison.cost(contender).unwrap().tracer.as_ref();
    assert!(tracer(Contender::Floor).is_none());
    let all = tracer(Contender::All).unwrap();
    assert_eq!(all.cpu_ns_per_event.unwrap().median, 35.0);
    assert_eq!((all.events, all.lost, all.peak_rss_bytes), (Some(6000.0), Some(7), 1_048_576.0));
    assert_eq!(tracer(Contender::Dentry).unwrap().cpu_ns_per_event.unwrap().median, 100.0);

    let run = run(Contender::Filtered, [1000, 1000], [1000, 1000], None);
    let idle = Use { cpu_ns: 5_000_000, events: Some(3), ..Use::default() };
    assert_eq!(TracerCost::of(&[(&run, &idle)], 8.0).unwrap().cpu_ns_per_event, None);
    let silent = Use { events: None, ..idle };
    let by_hits = TracerCost::of(&[(&run, &silent)], 8.0).unwrap().cpu_ns_per_event.unwrap();
    assert_eq!(by_hits.median, 625.0);
}
