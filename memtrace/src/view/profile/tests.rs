//! Scripts of what processes do, and the profiles that come of it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    output::sample,
    stream::calls::{CallSites, StackNames},
    view::{
        By,
        build::tests::script::{OWN_TGID, Session, report_options},
    },
};

/// Stack 1 is `__d_alloc < d_alloc < main [curl]`; 2 is another way to the same place; 3 is 1, called elsewhere in `main`; 4 has
/// no names, since it is all of tracing. One allocation in so many tells it. Functions lie at multiples of 100.
struct Names;

impl StackNames for Names {
    fn period(&self) -> u32 {
        2
    }

    fn names(&self, id: StackId) -> Vec<String> {
        let names: &[&str] = match id {
            1 | 3 => &["__d_alloc", "d_alloc", "main [curl]"],
            2 => &["__d_alloc", "d_alloc_parallel", "main [curl]"],
            _ => &[],
        };
        names.iter().map(ToString::to_string).collect()
    }
}

impl CallSites for Names {
    fn name(&self, call_site: Address) -> Option<String> {
        (call_site < 1000).then(|| format!("function_{}+{:#x}", call_site / 100, call_site % 100))
    }
}

fn profile(session: &Session, older: Option<Duration>) -> Profile {
    session.with_lookups(|ledger, checkpoint, lookups| {
        let lookups = Lookups { stacks: Some(&Names), call_sites: Some(&Names), ..lookups };
        Profile::new(ledger, checkpoint, lookups, older)
    })
}

/// A line for each sample: who, where, which cache, the calls, allocations and outstanding objects with their bytes.
fn show(profile: &Profile) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line = |sample: &Sample| {
        let cgroup = sample.cgroup.as_deref().map_or_else(|| "-".to_owned(), text);
        let Sample { cache, allocs, alloc_bytes, objects, bytes, .. } = sample;
        let calls = sample.frames.join("<");
        format!(
            "{} {cgroup} {cache} {calls} +{allocs} {alloc_bytes} B = {objects} {bytes} B",
            text(&sample.comm)
        )
    };
    profile.samples.iter().map(line).collect()
}

#[track_caller]
fn check(script: &str, expected: &[&str]) {
    let mut session = Session::new(report_options(By::Comm));
    session.run(script);
    assert_eq!(show(&profile(&session, None)), expected);
}

#[test]
fn what_all_told_is_as_it_was_counted() {
    check(
        "stack 1; alloc curl:10 dentry x3; stack 2; alloc curl:10 dentry x4; free curl:10 dentry x1; \
         stack 1; alloc [kswapd0]:20 inode x1",
        &[
            "[kswapd0] / inode __d_alloc<d_alloc<main [curl] +1 1000 B = 1 1000 B",
            "curl / dentry __d_alloc<d_alloc<main [curl] +3 576 B = 2 384 B",
            "curl / dentry __d_alloc<d_alloc_parallel<main [curl] +4 768 B = 4 768 B",
        ],
    );
}

#[test]
fn equal_samples_are_one() {
    check(
        "stack 1; alloc curl:10 dentry x1; alloc curl:11 dentry x2; stack 3; alloc curl:10 dentry x4; alloc curl:10 dentry#2 x8",
        &["curl / dentry __d_alloc<d_alloc<main [curl] +15 2880 B = 15 2880 B"],
    );
}

#[test]
fn samples_are_told_apart_by_comm_and_cgroup_and_cache() {
    check(
        "stack 1; alloc curl:10 dentry x1; cgroup 3; alloc curl:10 dentry x2; alloc sh:10 dentry x4; cgroup 99; \
         alloc curl:10 dentry x8; cgroup 0; alloc curl:10 inode x16",
        &[
            "curl - dentry __d_alloc<d_alloc<main [curl] +8 1536 B = 8 1536 B",
            "curl - inode __d_alloc<d_alloc<main [curl] +16 16000 B = 16 16000 B",
            "curl / dentry __d_alloc<d_alloc<main [curl] +1 192 B = 1 192 B",
            "curl /jobs/7 dentry __d_alloc<d_alloc<main [curl] +2 384 B = 2 384 B",
            "sh /jobs/7 dentry __d_alloc<d_alloc<main [curl] +4 768 B = 4 768 B",
        ],
    );
}

/// 10 of 13 tell no stack: what is outstanding goes by the stacks of what is, 1 to 1, and what is freed by those of the freed.
#[test]
fn those_without_a_stack_go_by_those_with_one() {
    check(
        "stack 1; alloc curl:10 dentry x2; free curl:10 dentry x1; stack 2; alloc curl:10 dentry x1; \
         stack 0; alloc curl:10 dentry x10",
        &[
            "curl / dentry __d_alloc<d_alloc<main [curl] +7 1344 B = 6 1152 B",
            "curl / dentry __d_alloc<d_alloc_parallel<main [curl] +6 1152 B = 6 1152 B",
        ],
    );
}

/// Those that told a stack are all free: nobody knows whose the others are.
#[test]
fn no_stack_stands_for_others_than_its_like() {
    check(
        "stack 1; alloc curl:10 dentry x2; free curl:10 dentry x2; stack 0; alloc curl:10 dentry x5; alloc sh:1 dentry x1",
        &[
            "curl / dentry  +5 960 B = 5 960 B",
            "curl / dentry __d_alloc<d_alloc<main [curl] +2 384 B = 0 0 B",
            "sh / dentry  +1 192 B = 1 192 B",
        ],
    );
}

#[test]
fn a_stack_without_a_name_is_none() {
    check("stack 4; alloc curl:10 dentry x2", &["curl / dentry  +2 384 B = 2 384 B"]);
}

/// Where places in the kernel are told apart, each has its own stacks, or stands for itself.
#[test]
fn a_place_stands_for_stacks_that_nobody_told() {
    let mut session = Session::new(report_options(By::Comm));
    session.tell_call_sites();
    session.run(
        "callsite 110; alloc curl:10 dentry x4; callsite 150; alloc curl:10 dentry x1; callsite 5000; alloc curl:10 dentry x2; \
         callsite 300; alloc curl:10 dentry x3; stack 1; alloc curl:10 dentry x1",
    );
    assert_eq!(
        show(&profile(&session, None)),
        [
            "curl / dentry 0x1388 +2 384 B = 2 384 B",
            "curl / dentry __d_alloc<d_alloc<main [curl] +4 768 B = 4 768 B",
            "curl / dentry function_1 +5 960 B = 5 960 B",
        ]
    );
}

#[test]
fn our_own_process_is_left_out() {
    check(&format!("stack 1; alloc memtrace:{OWN_TGID} dentry x5"), &[]);
}

#[test]
fn only_old_objects_count_as_outstanding() {
    let mut session = Session::new(report_options(By::Comm));
    session.run("stack 1; alloc curl:10 dentry x2; at 10s; alloc curl:10 dentry x3; stack 2; alloc curl:10 dentry x1; at 12s");
    assert_eq!(
        show(&profile(&session, Some(Duration::from_secs(5)))),
        [
            "curl / dentry __d_alloc<d_alloc<main [curl] +5 960 B = 2 384 B",
            "curl / dentry __d_alloc<d_alloc_parallel<main [curl] +1 192 B = 0 0 B",
        ]
    );
}

#[test]
fn a_live_session_names_places_by_the_kernel_s_symbols() {
    let mut session = Session::new(report_options(By::Comm));
    session.tell_call_sites();
    session.run("stack 1; callsite 110; alloc curl:10 dentry x2");
    // This one has neither symbols nor stacks.
    let live =
        session.with_lookups(|ledger, checkpoint, known| Profile::new(ledger, checkpoint, known, None));
    assert_eq!(live.stacks_period, None);
    assert_eq!(show(&live), ["curl / dentry 0x6e +2 384 B = 2 384 B"]);
}

proptest! {
    /// Whoever tells stacks, and whatever is followed: nothing is lost and nothing is made up.
    #[test]
    fn samples_add_up_to_the_ledger(
        steps in vec((0..3u32, 0..2u32, 0..3usize, 0..4usize, 1..9u32, 0..5u32, 0..3u32, 0..4u32), 0..40),
        tells_call_sites in any::<bool>(),
        two_processes in any::<bool>(),
        period in prop_oneof![Just(1), 2..5u32],
    ) {
        let report_options = report_options(By::Comm);
        let mut session = if two_processes { Session::of_two_processes(report_options) } else { Session::new(report_options) };
        if tells_call_sites {
            session.tell_call_sites();
        }
        for (at, (what, tgid, comm, cache, count, stack, call_site, cgroup)) in steps.into_iter().enumerate() {
            // In the middle of it, so that outstanding objects stand for others than those that were allocated.
            if at == 10 {
                session.sample(period);
            }
            let verb = ["alloc", "alloc", "free"][what as usize];
            let comm = ["curl", "bash", "[kswapd0]"][comm];
            let cache = ["dentry", "dentry#2", "inode", "kmalloc-64"][cache];
            let origin = format!("stack {stack}; callsite {}; cgroup {cgroup}", call_site * 100);
            session.run(&format!("{origin}; {verb} {comm}:{tgid} {cache} x{count}"));
        }
        let found = profile(&session, None);
        let mut expected: BTreeMap<_, (u64, u64, u64, u64)> = BTreeMap::new();
        session.with_lookups(|ledger, _, lookups| {
            for origin in lookups.shown(ledger) {
                let cache = &lookups.caches[&origin.key.cache];
                let cgroup = lookups.cgroups.path(origin.key.cgroup).map(<[u8]>::to_vec);
                let sum = expected.entry((command_label(command_of(origin.key.task)), cgroup, cache.name.clone())).or_default();
                sum.0 += origin.allocs;
                sum.1 += origin.allocs * cache.object_size;
                sum.2 += origin.outstanding();
                sum.3 += origin.outstanding() * cache.object_size;
            }
        });
        let mut sums: BTreeMap<_, (u64, u64, u64, u64)> = BTreeMap::new();
        for sample in &found.samples {
            let sum = sums.entry((sample.comm.clone(), sample.cgroup.clone(), sample.cache.clone())).or_default();
            sum.0 += sample.allocs;
            sum.1 += sample.alloc_bytes;
            sum.2 += sample.objects;
            sum.3 += sample.bytes;
            prop_assert!(period > 1 || sample.objects <= sample.allocs, "{sample:?}");
        }
        prop_assert_eq!(sums, expected);
        let key = |sample: &Sample| (sample.comm.clone(), sample.cgroup.clone(), sample.cache.clone(), sample.frames.clone());
        prop_assert!(found.samples.is_sorted_by(|a, b| key(a) < key(b)), "each is there once");
    }

    #[test]
    fn shares_are_fair(total in any::<u64>(), weights in vec(any::<u64>(), 1..20)) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let found = shares(total, &weights);
        prop_assert_eq!(found.iter().map(|&share| u128::from(share)).sum::<u128>(), u128::from(total));
        let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        for (&share, &weight) in found.iter().zip(&weights) {
            let exact = u128::from(total) * u128::from(weight);
            prop_assert!((u128::from(share) * sum).abs_diff(exact) < sum, "less than one from its due");
        }
    }

    #[test]
    fn shares_of_what_was_counted_are_the_counts(weights in vec(0..1u64 << 50, 1..20)) {
        prop_assert_eq!(shares(weights.iter().sum(), &weights), weights);
    }
}

proptest! {
    /// For each command, its calls and cache, whatever the cgroups: what is there after, less what was there before.
    #[test]
    fn what_was_added(before in sample::any_profile(), after in sample::any_profile()) {
        let held = |profile: &Profile| {
            let mut held: HashMap<_, u64> = HashMap::new();
            for sample in &profile.samples {
                let key = (sample.comm.clone(), sample.cache.clone(), sample.frames.clone());
                *held.entry(key).or_default() += sample.objects;
            }
            held
        };
        let (old, added) = (held(&before), held(&Profile::added(&before, &after)));
        for (key, objects) in held(&after) {
            let less = objects.saturating_sub(old.get(&key).copied().unwrap_or(0));
            prop_assert_eq!(added.get(&key).copied().unwrap_or(0), less);
        }
        prop_assert_eq!(Profile::added(&after, &after).samples, []);
        prop_assert_eq!(held(&Profile::added(&Profile::default(), &after)).values().sum::<u64>(), held(&after).values().sum::<u64>());
    }
}
