use std::collections::BTreeMap;

use clap::ValueEnum as _;

use super::*;
use crate::figures::{Busy, Idle};
use crate::process::Spent;
use crate::profile::{ProgramCost, Samples, SessionPrograms};
use crate::stats::Ratio;
use crate::table;
use crate::targets;
use crate::tracer::Use;
use crate::workload::Workload;

fn estimate(median: f64) -> Estimate {
    Estimate { median, mad: median.abs() / 100.0, runs: 7 }
}

fn cost(contender: Contender, added: f64, to_floor: f64) -> Cost {
    Cost {
        contender,
        added_ns_per_op: estimate(added),
        added_ns_per_hit: Some(added / 9.0),
        to_floor: contender.floor().and_then(|_| Ratio::between(estimate(to_floor), estimate(1.0))),
        to_all: Ratio::between(estimate(added), estimate(1100.0)),
        to_dentry: Ratio::between(estimate(added), estimate(700.0)),
        tracer: None,
    }
}

fn tracer(events: Option<f64>, lost: Option<u64>) -> Option<TracerCost> {
    Some(TracerCost {
        cpu_ns_per_event: Some(estimate(41.0)),
        events,
        lost,
        peak_rss_bytes: 23.7e6,
        map_bytes: 135e6,
        written_bytes: 9000.0,
        start_ns: 2e8,
        stop_ns: 9e6,
    })
}

fn eventfd() -> Comparison {
    Comparison {
        workload: Workload::Eventfd,
        hits: BTreeMap::from([("kfree".into(), 2.0), ("kmem_cache_alloc".into(), 3.01)]),
        bare_ns_per_op: estimate(1680.0),
        costs: vec![
            cost(Contender::Bare, -1.3, 0.0),
            cost(Contender::Floor, 300.0, 1.0),
            cost(Contender::FloorAll, 350.0, 1.0),
            Cost { tracer: tracer(Some(1.6e6), Some(0)), ..cost(Contender::All, 1100.0, 3.2) },
            Cost { tracer: tracer(None, None), ..cost(Contender::Bpftrace, 2400.0, 8.0) },
        ],
    }
}

fn fork() -> Comparison {
    let costs = vec![cost(Contender::Floor, 910.0, 1.0), cost(Contender::FloorAll, -12.0, 1.0)];
    Comparison { workload: Workload::Fork, bare_ns_per_op: estimate(25_300.0), costs, ..eventfd() }
}

fn sessions() -> Sessions {
    let flood = |events: u64, lost: u64| Flood {
        workload: Workload::Mix,
        cpus: 2,
        seconds: 10.0,
        events_per_s: events as f64 / 10.0,
        cpu_ns_per_event: Some(45.0),
        tracer: Use {
            cpu_ns: 45 * events,
            events: Some(events),
            lost: Some(lost),
            peak_rss_bytes: 30 << 20,
            ..Use::default()
        },
    };
    Sessions {
        attached_ns: estimate(1.8e8),
        first_event_ns: estimate(1.9e8),
        idle: Idle { rss_bytes: 20 << 20, anonymous_bytes: 5 << 20, map_bytes: 129 << 20, cpu_percent: 0.31 },
        full_speed: vec![flood(36_000_000, 0)],
        stopped: vec![flood(30_000_000, 12_345)],
        recorded: vec![Recorded {
            flood: flood(31_000_000, 0),
            bytes: 61_000_000,
            bytes_per_event: Some(61.0 / 31.0),
            reported_per_s: Some(31e6 / 4.1),
            report: Spent { cpu_ns: 4_100_000_000, wall_ns: 4_200_000_000, peak_rss_bytes: 48 << 20 },
        }],
        probes_gone_ns: estimate(1.2e7),
        gone_ns: estimate(9.9e7),
    }
}

fn running() -> Vec<Running> {
    let busy = |told_percent| Some(Busy { percent: 31.4, told_percent });
    let running = |name, busy| Running {
        name,
        idle_percent: 0.123,
        rss_bytes: 14 << 20,
        anonymous_bytes: 1 << 20,
        busy,
    };
    vec![running("top", busy(None)), running("serve", busy(Some(87.0))), running("watch", None)]
}

fn profile() -> Profile {
    let program = ProgramCost {
        name: "kmem_cache_alloc".into(),
        runs_per_op: 7.0,
        ns_per_run: 61.2,
        recursion_misses: 3,
        verified_insns: 301,
        insns: 160,
        jited_bytes: 700,
    };
    let symbols =
        vec![(31.02, "[k] bpf_ringbuf_reserve".into()), (4.5, "[k] kmem_cache_alloc_noprof".into())];
    Profile {
        statistics_ns_per_run: 47.9,
        sessions: vec![SessionPrograms { cache: "all".into(), programs: vec![program] }],
        samples: Ok(vec![Samples { process: "bench".into(), symbols }]),
    }
}

fn stages() -> Vec<Figures> {
    vec![Figures {
        stage: "ledger".into(),
        name: "apply".into(),
        events_per_s: Some(7.5e6),
        ns_per_event: Some(133.3),
        bytes_per_event: None,
        bytes_per_object: Some(24.5),
        resident_bytes_per_object: Some(25.1),
        outstanding: Some(10_000_000),
        longest_pause_ns: Some(1.2e6),
        against_one: Some(1.3),
    }]
}

fn judged(report: Report) -> Report {
    Report { targets: targets::judge(&serde_json::to_value(&report).unwrap()).unwrap(), ..report }
}

#[test]
fn every_target_is_of_a_figure_in_the_results() {
    let results = serde_json::to_value(report()).unwrap();
    for path in targets::tests::paths() {
        let any = path.split('.').map(|step| if step.contains('=') { "*" } else { step });
        let any = any.collect::<Vec<_>>().join(".");
        assert!(targets::tests::has_figures(&results, &any), "{path}");
        let contender = path.split('.').find_map(|step| step.strip_prefix("contender="));
        assert!(contender.is_none_or(|name| Contender::from_str(name, false).is_ok()), "{path}");
    }
}

fn report() -> Report {
    judged(Report {
        facts: Facts {
            date: "2026-11-23T07:14:08Z".into(),
            kernel: "6.18.44".into(),
            cpu: "AMD EPYC".into(),
            cpus: 2,
            memory_bytes: 24 << 30,
            commit: "d173485".into(),
            peers: vec![("bpftrace".into(), "0.17.0-1".into())],
            busy_before: 0.02,
        },
        undisturbed: Some(0.991),
        clock: Clock::Wall,
        rounds: 7,
        seconds_per_run: 0.4,
        comparisons: vec![eventfd(), fork()],
        refusals: vec![(Contender::Memleak, "not installed".into())],
        sessions: Some(sessions()),
        running: running(),
        stages: stages(),
        profile: Some(profile()),
        targets: vec![],
    })
}

#[test]
fn all_in_one_report() {
    insta::assert_snapshot!(table::text(&report().sections()));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(table::markdown(&report().sections()));
}

#[test]
fn only_a_comparison_on_a_busy_machine_without_a_profile() {
    let report = judged(Report {
        undisturbed: Some(0.43),
        clock: Clock::Cpu,
        sessions: None,
        running: Vec::new(),
        stages: vec![],
        profile: None,
        ..report()
    });
    insta::assert_snapshot!(table::text(&report.sections()));
}

#[test]
fn only_what_is_left_running() {
    let report = judged(Report {
        undisturbed: None,
        sessions: None,
        stages: vec![],
        profile: None,
        comparisons: vec![],
        refusals: vec![],
        ..report()
    });
    insta::assert_snapshot!(table::text(&report.sections()));
}
